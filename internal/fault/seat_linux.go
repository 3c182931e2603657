package fault

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// takeSeat binds a free port of 127.0.0.1 and never listens on it. With
// SO_REUSEADDR Linux lets a listener come and go beside it, and while there is
// none connections are refused, but the system gives the port to nobody else:
// not to another listener on port 0 and not to an outgoing connection. A
// closed port without a seat is somebody else's a moment later, and a test that
// counts on being refused is let in there.
func takeSeat() (addr string, leave func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, os.NewSyscallError("socket", err)
	}
	leave = func() { _ = syscall.Close(fd) }
	defer func() {
		if err != nil {
			leave()
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", nil, os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return "", nil, os.NewSyscallError("getsockname", err)
	}
	in4, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		return "", nil, fmt.Errorf("bound to %T", bound)
	}
	return (&net.TCPAddr{IP: in4.Addr[:], Port: in4.Port}).String(), leave, nil
}
