//go:build !linux

package fault

// takeSeat leaves the port to the system: while the proxy refuses connections,
// another socket may get it.
func takeSeat() (addr string, leave func(), err error) {
	return "127.0.0.1:0", func() {}, nil
}
