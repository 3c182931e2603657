package snapshot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/track"
)

// session is a connection of our own, set up to change the database.
type session struct {
	conn       *pgx.Conn
	privileges catalog.Privileges
	tracks     bool   // what is written can be tracked
	serverID   string // see track.ServerID
	stale      bool   // the role has other rights than when it began
	path       string // the search path that it was given; none: that with which it began

	untracked track.Cause // why not
}

// newSession sets a connection up. On an error it closes it.
func newSession(ctx context.Context, cfg *settings, conn *pgx.Conn) (_ *session, err error) {
	defer func() {
		if err != nil {
			closeConn(conn)
		}
	}()
	c := conn.Config()
	if _, err := catalog.CheckSession(ctx, conn, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), cfg.lang); err != nil {
		return nil, err
	}
	se := &session{conn: conn}
	if se.privileges, err = catalog.ReadPrivileges(ctx, conn); err != nil {
		return nil, err
	}
	se.serverID, err = track.ServerID(ctx, conn)
	var pg *pgconn.PgError
	if err != nil && !errors.As(err, &pg) { // the role may not ask, or the server does not tell
		return nil, err
	}
	se.tracks = err == nil
	if err != nil {
		se.untracked = track.Said(strings.TrimPrefix(errs.Line(err), "ERROR: "))
	}
	_, err = conn.Exec(ctx, track.SessionSettings(!se.privileges.Replica), pgx.QueryExecModeSimpleProtocol)
	return se, err
}

// usable reports whether another operation can use the session.
func (se *session) usable() bool {
	return !se.stale && !se.conn.IsClosed() && se.conn.PgConn().TxStatus() == 'I'
}

// guard refuses a database that is not for tests.
func (se *session) guard(cfg *settings) error {
	return guard.Check(se.privileges.Database, cfg.allowed, cfg.lang)
}

// setPath gives the session a search path; an empty one stands for that with which
// it began.
func (se *session) setPath(ctx context.Context, path string) error {
	se.path = path
	if path == "" {
		_, err := se.conn.Exec(ctx, "RESET search_path")
		return err
	}
	_, err := se.conn.Exec(ctx, "SELECT pg_catalog.set_config('search_path', $1, false)", path)
	return err
}

// usersPath is the statement that gives a transaction of the session its own search
// path again.
func (se *session) usersPath() string {
	if se.path == "" {
		return "SET LOCAL search_path TO DEFAULT"
	}
	return localPath(se.path)
}

// setLockWait sets how long statements of the session wait for locks.
func (se *session) setLockWait(ctx context.Context, wait time.Duration) error {
	_, err := se.conn.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, false)", fmt.Sprint(wait.Milliseconds()))
	return err
}

func (se *session) close() { closeConn(se.conn) }

// closeConn does not use the context of the call: the server must hear of the end
// even after a cancelled one.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn.Close(ctx)
}

// sessionIdle is how long a session is kept for the next call: see keepWhile for where it is
// longer. Connecting takes several times as long as going back does; another session that drops
// or copies the database should not find ours in the way.
const sessionIdle = time.Second

// sessions keep one session for the next call.
type sessions struct {
	mu      sync.Mutex
	stay    func() bool // see keepWhile; nil: it is not kept for longer
	idle    *session
	timer   *time.Timer // closes it
	opening *task       // of the one that is made ahead, or nil
	ended   bool
	work    sync.WaitGroup // of the timer, and of what makes one ahead
}

// keepWhile has the session kept as long as stay reports true: that package fixtures has the
// database, and that its pool has connections.
func (s *sessions) keepWhile(stay func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stay = stay
}

// take returns the session that is kept, or nil. It waits for one that is being made.
func (s *sessions) take() *session {
	for {
		s.mu.Lock()
		se, o := s.idle, s.opening
		if se != nil {
			s.idle = nil
			s.timer.Stop()
		}
		s.mu.Unlock()
		if se != nil || o == nil {
			return se
		}
		o.wait()
	}
}

// await waits for a session that is being made.
func (s *sessions) await() {
	if se := s.take(); se != nil {
		s.put(se)
	}
}

// release closes the session that is kept. It does not wait for one that is being made.
func (s *sessions) release() {
	s.mu.Lock()
	se := s.idle
	s.idle = nil
	if se != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	if se != nil {
		se.close()
	}
}

// openAhead makes a session for the next call, unless there is one.
func (s *sessions) openAhead(open func() (*session, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil || s.opening != nil || s.ended {
		return
	}
	o := newTask()
	s.opening = o
	s.work.Go(func() {
		o.run(func() {
			se, err := open()
			s.mu.Lock()
			s.opening = nil
			s.mu.Unlock()
			if err == nil { // else the next call tells
				s.put(se)
			}
		})
	})
}

// put keeps a session for the next call, unless another one is kept already.
func (s *sessions) put(se *session) {
	if !s.keep(se) {
		se.close()
	}
}

func (s *sessions) keep(se *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil || s.ended || !se.usable() {
		return false
	}
	s.idle = se
	s.timer = time.AfterFunc(sessionIdle, func() { s.expire(se) })
	return true
}

// expire closes a session that is still kept.
func (s *sessions) expire(se *session) {
	s.mu.Lock()
	mine := s.idle == se
	if mine && s.stay != nil && s.stay() {
		s.timer.Reset(sessionIdle)
		mine = false
	}
	if mine {
		s.idle = nil
		s.work.Add(1)
	}
	s.mu.Unlock()
	if mine {
		defer s.work.Done()
		se.close()
	}
}

// close closes the session that is kept, and keeps none from then on.
func (s *sessions) close() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	if se := s.take(); se != nil {
		se.close()
	}
	s.work.Wait()
}
