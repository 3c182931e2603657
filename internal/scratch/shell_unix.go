//go:build unix

package scratch

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// keeperScript makes the folder $1, so that there is no moment at which nobody
// would remove it, and removes it when its input ends: the kernel closes the
// other end of that pipe when our process ends. Signals are for our process.
const keeperScript = `trap '' HUP INT TERM PIPE
mkdir -m 0700 -- "$1" 2>&1 || exit
exec >/dev/null 2>&1
while read -r order; do
	[ "$order" != keep ] || exit
done
rm -rf -- "$1"`

var shell = "/bin/sh"

// shellKeeper is a shell that owns a folder; none where there is no shell.
type shellKeeper struct {
	cmd  *exec.Cmd
	life *os.File
}

// held keeps the pipes open for as long as the process lives, whether anybody
// still knows the folder or not: a file that is garbage is closed.
var held sync.Map

func keepByShell(dir string) (keeper, error) {
	lifeRead, life, err := os.Pipe()
	if err != nil {
		return shellKeeper{}, err
	}
	saysRead, says, err := os.Pipe()
	if err != nil {
		return shellKeeper{}, errors.Join(err, lifeRead.Close(), life.Close())
	}
	defer func() { _ = saysRead.Close() }()
	cmd := exec.Command(shell, "-c", keeperScript, "groundhog", dir)
	cmd.Stdin, cmd.Stdout, cmd.Dir = lifeRead, says, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_, _ = lifeRead.Close(), says.Close()
	if err != nil { // there are systems without a shell
		return shellKeeper{}, errors.Join(life.Close(), os.Mkdir(dir, 0o700))
	}
	held.Store(life, nil)
	k := shellKeeper{cmd: cmd, life: life}
	said, err := io.ReadAll(saysRead) // until the folder is there
	if err == nil && len(said) > 0 {
		err = errors.New(strings.TrimSpace(string(said)))
	}
	if err == nil {
		_, err = os.Lstat(dir)
	}
	if err != nil {
		return shellKeeper{}, errors.Join(err, k.end())
	}
	return k, nil
}

func (k shellKeeper) leave() error {
	if k.cmd == nil {
		return nil
	}
	_, err := k.life.WriteString("keep\n")
	return errors.Join(err, k.end())
}

func (k shellKeeper) remove(dir string) error {
	return errors.Join(os.RemoveAll(dir), k.end())
}

func (k shellKeeper) end() error {
	if k.cmd == nil {
		return nil
	}
	err := k.life.Close()
	held.Delete(k.life)
	_ = k.cmd.Wait() // its status tells nothing: what is left was said before
	return err
}
