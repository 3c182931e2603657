package fault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

const tmpfsChild = "groundhog/internal/fault/tmpfs"

func init() { Register(tmpfsChild, serveTmpFS) }

// TmpFS returns a folder on a file system in memory that holds size bytes and
// no more, made for t and gone with it. Writing beyond fails with ENOSPC.
//
// It is mounted in a namespace of its own, which a process of ours holds and
// the folder's path leads through (/proc/PID/root/…): so an ordinary user can
// have one where the system lets users make namespaces, and none is left when
// the test binary is killed. Where it can't be made, t is skipped with the
// reason. Don't resolve the path's symbolic links: that leads out of the
// namespace. A path on it means nothing to processes of other users.
func TmpFS(t testing.TB, size int64) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatalf("fault: no tmpfs: %v", err)
	}
	// Root may need no user namespace, and may be refused one.
	var attempts []error
	for _, attr := range []*syscall.SysProcAttr{
		{Cloneflags: syscall.CLONE_NEWNS},
		{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		},
	} {
		cmd := childCommand(t, tmpfsChild, dir, strconv.FormatInt(size, 10))
		cmd.SysProcAttr = attr
		p, err := launch(t, cmd, "tmpfs")
		if err == nil {
			if _, mounted := p.await(&p.stdout, "mounted"); mounted {
				return fmt.Sprintf("/proc/%d/root%s", p.PID(), dir)
			}
			err = errors.New(p.exit.String())
		}
		attempts = append(attempts, err)
	}
	t.Skipf("fault: no tmpfs: mounting is not allowed here: %v", errors.Join(attempts...))
	return ""
}

// serveTmpFS mounts and keeps its namespace until it is killed.
func serveTmpFS(args []string) error {
	// Our mounts must not show outside of our namespace.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	if err := syscall.Mount("groundhog-test", args[0], "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0700,size="+args[1]); err != nil {
		return os.NewSyscallError("mount", err)
	}
	fmt.Println("mounted")
	select {}
}
