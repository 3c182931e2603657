package fault_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/fault"
)

// echo serves on loopback and says everything back.
func echo(t *testing.T, network, address string) net.Addr {
	t.Helper()
	listener, err := net.Listen(network, address)
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return listener.Addr()
}

func proxied(t *testing.T) *fault.Proxy {
	t.Helper()
	server := echo(t, "tcp", "127.0.0.1:0")
	return fault.NewProxy(t, server.Network(), server.String())
}

func connect(t *testing.T, p *fault.Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

func hear(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// rest reads to the end: what came, and how the connection ended.
func rest(conn net.Conn) (string, error) {
	var got bytes.Buffer
	_, err := io.Copy(&got, conn)
	return got.String(), err
}

func TestProxyLetsThroughAndCounts(t *testing.T) {
	t.Parallel()
	p := proxied(t)
	first, second := connect(t, p), connect(t, p)
	say(t, first, "hello")
	hear(t, first, "hello")
	say(t, second, "good morning")
	hear(t, second, "good morning")
	// Connections are counted in order of arrival.
	require.Equal(t, []fault.Traffic{{ToServer: 5, FromServer: 5}, {ToServer: 12, FromServer: 12}}, p.Conns())
	require.Equal(t, fault.Traffic{ToServer: 17, FromServer: 17}, p.Traffic())
}

func TestProxyPassesOnAnEndInGoodOrder(t *testing.T) {
	t.Parallel()
	p := proxied(t)
	conn := connect(t, p)
	big := strings.Repeat("0123456789", 1<<17)
	go func() {
		_, _ = io.WriteString(conn, big)
		_ = conn.CloseWrite()
	}()
	got, err := rest(conn)
	require.NoError(t, err)
	require.Equal(t, big, got)
}

func TestProxyOverUnixSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "fault") // short enough for a socket
	require.NoError(t, err)
	fault.AtEnd(t, func() error { return os.RemoveAll(dir) })
	socket := filepath.Join(dir, ".s.PGSQL.5432")
	echo(t, "unix", socket)

	p := fault.NewProxy(t, "unix", socket)
	conn := connect(t, p)
	say(t, conn, "hello")
	hear(t, conn, "hello")
	p.Strike(fault.RST)
	_, err = rest(conn)
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule fault.Rule
		want string // what the echo gives back of "begin; insert; commit; more"
	}{
		"bytes to the server":               {fault.Rule{Way: fault.ToServer, After: 7, How: fault.FIN}, "begin; "},
		"bytes from the server":             {fault.Rule{Way: fault.FromServer, After: 3, How: fault.FIN}, "beg"},
		"no byte at all":                    {fault.Rule{Way: fault.FromServer, After: 0, How: fault.FIN}, ""},
		"after a text":                      {fault.Rule{Way: fault.FromServer, Match: "commit", How: fault.FIN}, "begin; insert; commit"},
		"before a text":                     {fault.Rule{Way: fault.FromServer, Match: "commit", Before: true, How: fault.FIN}, "begin; insert; "},
		"the first connection":              {fault.Rule{Conn: 1, Way: fault.FromServer, After: 3, How: fault.FIN}, "beg"},
		"another connection":                {fault.Rule{Conn: 2, Way: fault.FromServer, After: 3, How: fault.FIN}, "begin; insert; commit; more"},
		"a count beyond what is said":       {fault.Rule{Way: fault.ToServer, After: 100, How: fault.FIN}, "begin; insert; commit; more"},
		"a text that is said the other way": {fault.Rule{Way: fault.ToServer, Match: "rollback", How: fault.FIN}, "begin; insert; commit; more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proxied(t)
			p.Add(tc.rule)
			conn := connect(t, p)
			say(t, conn, "begin; insert; commit; more")
			require.NoError(t, conn.CloseWrite())
			got, err := rest(conn)
			require.NoError(t, err)
			if tc.rule.Way == fault.FromServer || tc.rule.After > 27 || tc.rule.Match != "" {
				require.Equal(t, tc.want, got)
				return
			}
			// FIN ends both ways: what was let through has reached the server,
			// but its answer may come too late.
			require.Equal(t, int64(len(tc.want)), p.Traffic().ToServer)
			require.True(t, strings.HasPrefix(tc.want, got))
		})
	}
}

func TestRuleMatchesATextInPieces(t *testing.T) {
	t.Parallel()
	p := proxied(t)
	p.Add(fault.Rule{Way: fault.FromServer, Match: "commit", How: fault.FIN})
	conn := connect(t, p)
	for _, piece := range []string{"x com", "m"} {
		say(t, conn, piece)
		hear(t, conn, piece)
	}
	say(t, conn, "it; more")
	got, err := rest(conn)
	require.NoError(t, err)
	require.Equal(t, "it", got)
}

func TestRuleStrikesSomeTimes(t *testing.T) {
	t.Parallel()
	p := proxied(t)
	p.Add(fault.Rule{Way: fault.ToServer, Match: "commit", Times: 1})
	first, second := connect(t, p), connect(t, p)
	say(t, second, "commit")
	_, err := rest(second)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	say(t, first, "commit")
	hear(t, first, "commit")
}

func TestRSTAtEachByte(t *testing.T) {
	t.Parallel()
	const text = "begin; commit"
	for after := range len(text) {
		p := proxied(t)
		p.Add(fault.Rule{Way: fault.ToServer, After: int64(after), How: fault.RST})
		conn := connect(t, p)
		say(t, conn, text)
		_, err := rest(conn)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Equal(t, int64(after), p.Traffic().ToServer)
	}
}

func TestFINLetsTheServerHearWhatPassed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	heard := make(chan string, 1)
	go func() {
		defer listener.Close()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		got, _ := rest(conn)
		heard <- got
	}()
	p := fault.NewProxy(t, "tcp", listener.Addr().String())
	p.Add(fault.Rule{Way: fault.ToServer, Match: "commit", How: fault.FIN})
	conn := connect(t, p)
	say(t, conn, "begin; commit; more")
	got, err := rest(conn)
	require.NoError(t, err)
	require.Empty(t, got)
	require.Equal(t, "begin; commit", <-heard)
}

func TestStallAndResume(t *testing.T) {
	t.Parallel()
	for name, stall := range map[string]func(*fault.Proxy){
		"by a rule":  func(p *fault.Proxy) { p.Add(fault.Rule{Way: fault.ToServer, After: 2, How: fault.Stall}) },
		"by command": func(p *fault.Proxy) { p.Strike(fault.Stall) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proxied(t)
			conn := connect(t, p)
			say(t, conn, "h")
			hear(t, conn, "h")
			stall(p)
			say(t, conn, "ello")
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
			got, err := rest(conn)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
			p.Resume()
			hear(t, conn, "ello"[len(got):])
		})
	}
}

func TestStallHoldsNewConnections(t *testing.T) {
	t.Parallel()
	p := proxied(t)
	p.Strike(fault.Stall)
	conn := connect(t, p)
	say(t, conn, "hello")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := rest(conn)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Zero(t, p.Traffic().ToServer)
}

func TestRefuseAndAccept(t *testing.T) {
	t.Parallel()
	p := proxied(t)
	open := connect(t, p)
	say(t, open, "hello")
	hear(t, open, "hello")
	p.Refuse()
	_, err := net.Dial("tcp", p.Addr())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	say(t, open, "still there")
	hear(t, open, "still there")
	require.NoError(t, p.Accept())
	again := connect(t, p)
	say(t, again, "hello")
	hear(t, again, "hello")
}

// TestRefusedPortStaysOurs takes the ports that the system gives away while a
// proxy refuses: as many as a busy machine gives in a moment.
func TestRefusedPortStaysOurs(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("holding a port without listening needs Linux")
	}
	p := proxied(t)
	p.Refuse()
	for range 500 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		require.NotEqual(t, p.Addr(), listener.Addr().String())
	}
	require.NoError(t, p.Accept())
}

func TestNoServerBehind(t *testing.T) {
	t.Parallel()
	gone := proxied(t)
	gone.Refuse()
	p := fault.NewProxy(t, "tcp", gone.Addr())
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil { // the reset may come while the connection is made
		_, err = rest(conn)
		_ = conn.Close()
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// TestProxyEnds is not parallel: it looks at the goroutines of the process.
func TestProxyEnds(t *testing.T) {
	fault.NoGoroutines(t)
	for _, how := range []fault.How{fault.RST, fault.FIN, fault.Stall} {
		p := proxied(t)
		conn := connect(t, p)
		say(t, conn, "hello")
		hear(t, conn, "hello")
		p.Strike(how)
		_, _ = conn.Write([]byte("into the void"))
	}
}

func TestPostgresURL(t *testing.T) {
	t.Parallel()
	for name, connString := range map[string]string{
		"URL":                  "postgres://jo:secret@db.example:6000/app_test?sslmode=disable&application_name=x",
		"URL of a unix socket": "postgres:///app_test?host=/tmp/nowhere&port=6000&user=jo&password=secret&application_name=x&sslmode=disable",
		"keywords and values":  "host=/tmp/nowhere port=6000 user=jo password=secret dbname=app_test application_name=x sslmode=disable",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := fault.Postgres(t, connString)
			config, err := pgconn.ParseConfig(p.URL())
			require.NoError(t, err)
			_, address := pgconn.NetworkAddress(config.Host, config.Port)
			require.Equal(t, p.Addr(), address)
			require.Equal(t, "jo", config.User)
			require.Equal(t, "secret", config.Password)
			require.Equal(t, "app_test", config.Database)
			require.Equal(t, "x", config.RuntimeParams["application_name"])
		})
	}
}
