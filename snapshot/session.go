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
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/guard"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/testdb"
	"github.com/groundhogdb/groundhog/internal/track"
)

// sessionIdle is how long a session is kept for the next call. Connecting takes
// several times as long as going back does; whoever drops or copies the database
// should not find us in the way.
const sessionIdle = time.Second

// session is a connection of our own, set up to change the database.
type session struct {
	conn   *pgx.Conn
	powers catalog.Privileges
	tracks bool   // what is written can be tracked
	home   string // see track.ServerID
	path   string // the search path that it was given; none: that with which it began

	untracked track.Cause // why not
}

// sessions are those that wait for the next call.
var sessions = struct {
	sync.Mutex
	by map[*pgxpool.Pool]*keptSession
}{by: map[*pgxpool.Pool]*keptSession{}}

type keptSession struct {
	*session
	timer *time.Timer
}

var _ = testdb.OnClose(func(pool *pgxpool.Pool) {
	if se := take(pool); se != nil {
		closeConn(se.conn)
	}
})

// take returns a kept session, or nil.
func take(pool *pgxpool.Pool) *session {
	sessions.Lock()
	defer sessions.Unlock()
	k := sessions.by[pool]
	if k == nil {
		return nil
	}
	delete(sessions.by, pool)
	k.timer.Stop()
	return k.session
}

// keep keeps a session for the next call, unless another one is kept already.
func (s *Store) keep(se *session) {
	sessions.Lock()
	defer sessions.Unlock()
	if sessions.by[s.pool] != nil || se.conn.IsClosed() || se.conn.PgConn().TxStatus() != 'I' {
		go closeConn(se.conn)
		return
	}
	k := &keptSession{session: se}
	k.timer = time.AfterFunc(sessionIdle, func() {
		sessions.Lock()
		mine := sessions.by[s.pool] == k
		if mine {
			delete(sessions.by, s.pool)
		}
		sessions.Unlock()
		if mine {
			closeConn(se.conn)
		}
	})
	sessions.by[s.pool] = k
}

// inSession runs f over a session. A kept one may have been cut since: then f runs
// again at once, over a new one.
func (s *Store) inSession(ctx context.Context, cfg *storeConfig, f func(*session) error) error {
	se := take(s.pool)
	old := se != nil
	for {
		if se == nil {
			var err error
			if se, err = s.newSession(ctx); err != nil {
				return err
			}
		}
		if err := guard.Check(se.powers.Database, cfg.allowed, cfg.lang); err != nil {
			s.keep(se)
			return err
		}
		err := f(se)
		if err != nil && old && se.conn.IsClosed() && ctx.Err() == nil && errs.IsClass(err, errs.ErrConnection) {
			se, old = nil, false
			continue
		}
		s.keep(se)
		return err
	}
}

func (s *Store) newSession(ctx context.Context) (_ *session, err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeConn(conn)
		}
	}()
	if err := s.ofItsOwn(ctx, conn); err != nil {
		return nil, err
	}
	se := &session{conn: conn, untracked: track.NoPrivileges.Because()}
	if se.powers, err = catalog.ReadPrivileges(ctx, conn); err != nil {
		return nil, err
	}
	if err := s.writable(se.powers); err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("SET lock_timeout = %d;", lockWait.Milliseconds())
	if se.powers.Replica {
		settings += track.SessionSettings
		se.home, err = track.ServerID(ctx, conn)
		var pg *pgconn.PgError
		if err != nil && !errors.As(err, &pg) { // the role may not ask, or the server does not tell
			return nil, err
		}
		se.tracks = err == nil
		if err != nil {
			se.untracked = track.Said(strings.TrimPrefix(errs.Line(err), "ERROR: "))
		}
	}
	_, err = conn.Exec(ctx, settings, pgx.QueryExecModeSimpleProtocol)
	return se, err
}

// writable refuses a server that nothing can be changed on.
func (c *storeConfig) writable(powers catalog.Privileges) error {
	if !powers.Standby {
		return nil
	}
	return errs.New(ErrInvalidArgument, msg.AddressStandby.In(c.lang, powers.Database), nil)
}

// ofItsOwn refuses a session that a pooler would hand to others with what we set.
func (s *Store) ofItsOwn(ctx context.Context, conn *pgx.Conn) error {
	self, err := catalog.WhoAmI(ctx, conn)
	if err != nil {
		return err
	}
	shared, err := catalog.SharesSessions(ctx, conn, self)
	if shared {
		c := conn.Config()
		return errs.New(ErrInvalidArgument, msg.AddressPooled.In(s.lang, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))), nil)
	}
	return err
}
