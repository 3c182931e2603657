package fault

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// link is one connection through a proxy: the client's side and the server's.
type link struct {
	proxy  *Proxy
	number int
	passed [2]atomic.Int64 // by Way
	met    map[*rule]bool  // the rules that struck here; guarded by proxy.mu

	ctx context.Context // ends with the link
	end context.CancelFunc

	mu             sync.Mutex
	client, server net.Conn      // server is nil until dialled
	gate           chan struct{} // while stalled: closed by resume
	swallow        bool          // after FIN: read on, let nothing through
}

func newLink(p *Proxy, number int, client net.Conn) *link {
	l := &link{proxy: p, number: number, client: client, met: map[*rule]bool{}}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

// run carries bytes both ways until both are done or the link is reset.
func (l *link) run() {
	defer l.release()
	server, err := dial(l.ctx, l.proxy.network, l.proxy.target)
	if err != nil {
		l.strike(RST)
		return
	}
	if !l.connect(server) {
		reset(server)
		return
	}
	var back sync.WaitGroup
	back.Go(func() { l.pump(server, l.client, FromServer) })
	l.pump(l.client, server, ToServer)
	back.Wait()
}

// connect takes the server's side in, and reports whether it could: not when the link
// has ended meanwhile.
func (l *link) connect(server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false
	}
	l.server = server
	if l.swallow {
		finish(server)
	}
	return true
}

// pump carries bytes one way until the source ends.
func (l *link) pump(from, to net.Conn, way Way) {
	const longestMatch = 1 << 10
	var tail []byte // the last bytes that passed
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for chunk := buf[:n]; len(chunk) > 0; {
			pass, how, struck := l.proxy.due(l, way, l.passed[way].Load(), tail, chunk)
			if !struck {
				pass = len(chunk)
			}
			if !l.write(to, chunk[:pass], way) {
				return
			}
			tail = append(tail, chunk[:pass]...)
			tail = tail[max(0, len(tail)-longestMatch):]
			chunk = chunk[pass:]
			if struck {
				l.strike(how)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			finish(to)
			return
		default: // a reset is passed on
			l.strike(RST)
			return
		}
	}
}

// write lets bytes through when the gate is open, and counts them. It reports
// whether the link lives on.
func (l *link) write(to net.Conn, p []byte, way Way) bool {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-l.ctx.Done():
			return false
		}
	}
	if l.ctx.Err() == nil && !l.swallows() && len(p) > 0 {
		l.passed[way].Add(int64(len(p))) // first, so that who has read them finds them counted
		if _, err := to.Write(p); err != nil && !l.swallows() {
			l.strike(RST) // one side is gone: so is the other
		}
	}
	return l.ctx.Err() == nil
}

func (l *link) swallows() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.swallow
}

// release closes both sides once nothing more is to be carried. Unlike a
// reset it lets arrive what is on the way.
func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}

// strike brings the fault upon the link, at once.
func (l *link) strike(how How) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return
	}
	switch how {
	case Stall:
		if l.gate == nil {
			l.gate = make(chan struct{})
		}
	case FIN:
		l.swallow = true
		finish(l.client)
		if l.server != nil {
			finish(l.server)
		}
		l.open()
	case RST:
		l.end()
		reset(l.client)
		if l.server != nil {
			reset(l.server)
		}
	}
}

func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open()
}

// open lets go what is stalled. The caller holds mu.
func (l *link) open() {
	if l.gate != nil {
		close(l.gate)
		l.gate = nil
	}
}
