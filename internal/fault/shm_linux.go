package fault

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

const shmChild = "groundhog/internal/fault/shm"

func init() { Register(shmChild, serveShm) }

// ChildWithShm is [Child] in a process that sees, with all that it starts, another file
// system at /dev/shm: of this type, mounted with these options ("tmpfs", "size=64m"). That
// ends with the last of these processes. Where it can't be mounted, t is skipped with the
// reason.
func ChildWithShm(t testing.TB, fsType, options, name string, args ...string) *Process {
	t.Helper()
	if !registered[name] {
		t.Fatalf("fault: no child: nothing is registered as %q", name)
	}
	const capSysAdmin = 21
	var attempts []error
	for _, attr := range []*syscall.SysProcAttr{
		{Cloneflags: syscall.CLONE_NEWNS},
		{
			// The user stays the same, as a server refuses root.
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
			AmbientCaps: []uintptr{capSysAdmin},
		},
	} {
		cmd := childCommand(t, shmChild, append([]string{fsType, options, name}, args...)...)
		cmd.SysProcAttr = attr
		p, err := launch(t, cmd, name)
		if err == nil {
			if _, mounted := p.await(&p.stdout, "mounted"); mounted {
				return p
			}
			err = errors.New(p.exit.String())
		}
		attempts = append(attempts, err)
		if os.Geteuid() == 0 {
			break // in a namespace of its own it could not become another user
		}
	}
	t.Skipf("fault: no other /dev/shm: mounting is not allowed here: %v", errors.Join(attempts...))
	return nil
}

// serveShm mounts, and becomes the child.
func serveShm(args []string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	if err := syscall.Mount("groundhog-test", "/dev/shm", args[0], syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, args[1]); err != nil {
		return os.NewSyscallError("mount", err)
	}
	if _, err := os.Stdout.WriteString("mounted\n"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, append([]string{self}, args[3:]...), append(os.Environ(), envChild+"="+args[2]))
}
