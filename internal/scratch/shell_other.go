//go:build !unix

package scratch

import "os"

// shellKeeper does nothing here: the folder of a process that was killed stays.
type shellKeeper struct{}

func keepByShell(dir string) (keeper, error) { return shellKeeper{}, os.Mkdir(dir, 0o700) }

func (shellKeeper) leave() error            { return nil }
func (shellKeeper) remove(dir string) error { return os.RemoveAll(dir) }
