package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Way is a direction through a [Proxy].
type Way int

// The ways.
const (
	ToServer Way = iota
	FromServer
)

// How is the kind of fault that a connection meets.
type How int

// The faults.
const (
	// RST resets both sides at once. As in life, bytes on the way may be lost.
	RST How = iota
	// FIN ends both sides in good order: what was let through arrives, then
	// each side reads the end of file, and what it still says is swallowed.
	FIN
	// Stall keeps both sides open and lets nothing through until [Proxy.Resume].
	Stall
)

// Rule says when a connection meets a fault: at a count of bytes or at a text.
type Rule struct {
	// Conn names the connection, counted from 1 in order of arrival. 0 means
	// every connection.
	Conn int
	// Way is the direction that the rule watches.
	Way Way
	// After is the number of bytes let through before the fault. With 0 the
	// fault comes with the first byte, and that one is not let through.
	After int64
	// Match, when given, takes the place of After: the fault comes when this
	// text has been let through; with Before, just before it would be. It may
	// arrive in pieces, and is 1 KiB long at most.
	Match  string
	Before bool
	// How is the fault.
	How How
	// Times limits how often the rule strikes, over all connections. 0 sets
	// no limit. On one connection a rule strikes once.
	Times int
}

// Traffic counts what one connection, or all of them, let through.
type Traffic struct{ ToServer, FromServer int64 }

// Proxy stands on loopback in front of a server and lets connections through
// until a [Rule] or a call strikes. Its methods may be called at any time from
// any goroutine.
type Proxy struct {
	network, target string // the server
	url             string // the server's URL, for a PostgreSQL
	addr            string // where we listen
	leaveSeat       func() // gives the port back

	mu       sync.Mutex
	listener net.Listener // nil while refusing
	rules    []*rule
	links    []*link
	stalled  bool
	closed   bool
	running  sync.WaitGroup
}

type rule struct {
	Rule
	struck int
}

// NewProxy starts a proxy in front of the server at the address, for example
// ("tcp", "127.0.0.1:5432") or ("unix", "/tmp/x/.s.PGSQL.5432"). It fails t
// when it can't listen; when t ends, all connections are reset and no
// goroutine is left.
func NewProxy(t testing.TB, network, address string) *Proxy {
	t.Helper()
	addr, leave, err := takeSeat()
	if err != nil {
		t.Fatalf("fault: no proxy: %v", err)
	}
	p := &Proxy{network: network, target: address, addr: addr, leaveSeat: leave}
	if err := p.listen(); err != nil {
		leave()
		t.Fatalf("fault: no proxy: %v", err)
	}
	t.Cleanup(p.close)
	return p
}

// Postgres starts a proxy in front of the PostgreSQL of a connection string (a
// URL or keywords and values, a TCP address or a unix socket). [Proxy.URL] is
// the string that goes through it.
func Postgres(t testing.TB, connString string) *Proxy {
	t.Helper()
	config, err := pgconn.ParseConfig(connString)
	if err != nil {
		t.Fatalf("fault: no proxy: %v", err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	p := NewProxy(t, network, address)
	p.url, err = redirect(connString, p.addr)
	if err != nil {
		t.Fatalf("fault: no proxy: %v", err)
	}
	return p
}

// Addr is where the proxy listens, "127.0.0.1:port".
func (p *Proxy) Addr() string { return p.addr }

// URL is the connection string given to [Postgres], leading through the proxy.
func (p *Proxy) URL() string { return p.url }

// Add makes rules hold for connections that are open and that will come. Bytes
// that passed before count: a rule whose count is reached strikes at the next
// byte.
func (p *Proxy) Add(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		p.rules = append(p.rules, &rule{Rule: r})
	}
}

// Clear takes all rules away.
func (p *Proxy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// Strike brings the fault upon all open connections at once. After Stall it
// holds for new ones too, until [Proxy.Resume].
func (p *Proxy) Strike(how How) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = p.stalled || how == Stall
	for _, l := range p.links {
		l.strike(how)
	}
}

// Resume lets stalled connections go on, whatever stalled them.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = false
	for _, l := range p.links {
		l.resume()
	}
}

// Refuse stops listening: new connections are refused by the system. Open ones
// go on.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// Accept ends [Proxy.Refuse], at the same address.
func (p *Proxy) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return nil
	}
	return p.listen()
}

// Conns tells what each connection let through, in order of arrival: the k-th
// connection of a [Rule] is at k-1.
func (p *Proxy) Conns() []Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Traffic, len(p.links))
	for i, l := range p.links {
		out[i] = Traffic{l.passed[ToServer].Load(), l.passed[FromServer].Load()}
	}
	return out
}

// Traffic is the sum over all connections so far.
func (p *Proxy) Traffic() Traffic {
	var sum Traffic
	for _, c := range p.Conns() {
		sum.ToServer += c.ToServer
		sum.FromServer += c.FromServer
	}
	return sum
}

// listen opens the listener and its goroutine. The caller holds mu, or is the
// only one who knows p.
func (p *Proxy) listen() error {
	// Without a seat, an outgoing connection of somebody else may sit on the
	// port for a moment between Refuse and Accept.
	var listener net.Listener
	var err error
	for range 50 {
		if listener, err = net.Listen("tcp", p.addr); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	p.listener, p.addr = listener, listener.Addr().String()
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.serve(client)
		}
	})
	return nil
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		reset(client)
		return
	}
	l := newLink(p, len(p.links)+1, client)
	p.links = append(p.links, l)
	if p.stalled {
		l.strike(Stall)
	}
	p.running.Go(l.run)
}

func (p *Proxy) close() {
	p.Refuse()
	p.mu.Lock()
	p.closed = true
	links := p.links
	p.mu.Unlock()
	for _, l := range links {
		l.strike(RST)
	}
	p.running.Wait()
	p.leaveSeat()
}

// due finds the rule that strikes first within the chunk, which is next to
// pass on l after pos bytes, of which tail is the end. It returns how many
// bytes of the chunk pass before.
func (p *Proxy) due(l *link, way Way, pos int64, tail, chunk []byte) (n int, how How, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first *rule
	for _, r := range p.rules {
		if r.Way != way || r.Conn != 0 && r.Conn != l.number || r.Times > 0 && r.struck >= r.Times || l.met[r] {
			continue
		}
		if at, hit := r.at(pos, tail, chunk); hit && (first == nil || at < n) {
			first, n = r, at
		}
	}
	if first == nil {
		return 0, 0, false
	}
	first.struck++
	l.met[first] = true
	return n, first.How, true
}

// at reports whether the rule strikes within the chunk, and after how many of
// its bytes.
func (r *rule) at(pos int64, tail, chunk []byte) (n int, hit bool) {
	if r.Match == "" {
		return int(max(r.After-pos, 0)), pos+int64(len(chunk)) >= r.After
	}
	keep := min(len(tail), len(r.Match)-1)
	joined := append(bytes.Clone(tail[len(tail)-keep:]), chunk...)
	i := bytes.Index(joined, []byte(r.Match))
	if i < 0 {
		return 0, false
	}
	if !r.Before {
		i += len(r.Match)
	}
	return max(i-keep, 0), true
}

// redirect leads a connection string to another TCP address.
func redirect(connString, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(connString, "postgres://") && !strings.HasPrefix(connString, "postgresql://") {
		return fmt.Sprintf("%s host=%s port=%s", connString, host, port), nil // the last one holds
	}
	u, err := url.Parse(connString)
	if err != nil {
		return "", errors.New("the URL can't be read") // url's own error would show the password
	}
	u.Host = address
	query := u.Query()
	query.Del("host")
	query.Del("port")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// dialLimit bounds the way to a server that is on this machine.
const dialLimit = 10 * time.Second

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	return new(net.Dialer).DialContext(ctx, network, address)
}

// reset closes the connection with an RST where there is such a thing.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// finish ends our side of the connection in good order.
func finish(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
