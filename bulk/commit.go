package bulk

import (
	"context"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

const (
	// resolveTime bounds the time in which is found out what became of a commit.
	resolveTime = 15 * time.Second
	// resolveWait is waited between two questions.
	resolveWait = 100 * time.Millisecond
)

// resolve finds out what became of a commit whose answer was lost, on another
// connection: nil when the rows are stored, a connection fault when they are
// not, [ErrCommitUnknown] when nobody knows.
func (w *work) resolve(lost error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), resolveTime)
	defer cancel()
	unknown := errs.New(errs.ErrCommitUnknown, msg.BulkCommitLost.In(w.set.lang), lost)
	for {
		var status string
		err := w.elsewhere(ctx, func(tx pgx.Tx) (err error) {
			var restarted bool
			if status, restarted, err = catalog.XactStatus(ctx, tx, w.session); err != nil {
				return err
			}
			if restarted || status == "" {
				status, err = w.lookForKeys(ctx, tx)
			}
			return err
		})
		switch {
		case err == nil && status == catalog.XactCommitted:
			return nil
		case err == nil && status == catalog.XactAborted:
			return errs.New(errs.Class(lost), msg.BulkCommit.In(w.set.lang), lost)
		case err == nil && status == "":
			return unknown
		}
		select { // the server is still at it, or can't be reached yet
		case <-ctx.Done():
			return unknown
		case <-time.After(resolveWait):
		}
	}
}

// elsewhere asks something in a transaction on another connection.
func (w *work) elsewhere(ctx context.Context, ask func(pgx.Tx) error) error {
	db := w.db
	if _, ok := db.(*pgxpool.Pool); !ok {
		conn, err := pgx.ConnectConfig(ctx, w.tx.Conn().Config())
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		db = conn
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	return ask(tx)
}

// lookForKeys looks for the first and the last row that were loaded, by their
// keys: both there, neither, or "" where that can't be told.
func (w *work) lookForKeys(ctx context.Context, tx pgx.Tx) (string, error) {
	if len(w.loads) == 0 {
		return "", nil
	}
	first, last := w.loads[0].keyOf(false), w.loads[len(w.loads)-1].keyOf(true)
	if first == nil || last == nil {
		return "", nil
	}
	found := 0
	for _, key := range []*rowKey{first, last} {
		there, err := key.exists(ctx, tx)
		if err != nil {
			return "", err
		}
		if there {
			found++
		}
	}
	return map[int]string{0: catalog.XactAborted, 2: catalog.XactCommitted}[found], nil
}

// rows are the rows of a load that are kept until the call ends.
type rows interface {
	len() int
	// text writes a value as PostgreSQL does; ok is false for a null and for what
	// has no text.
	text(i int, c column) (text string, ok bool)
	goType(i int, c column) string
}

// slice is a slice of rows.
type slice[T any] struct {
	l    *loader[T]
	rows []T
}

func (s slice[T]) len() int { return len(s.rows) }

func (s slice[T]) text(i int, c column) (string, bool) {
	e := newEncoder(c, s.l.w.types.codecs, pgtype.TextFormatCode)
	out, err := e.encode(nil, reflect.ValueOf(s.rows[i]).FieldByIndex(c.index))
	return string(out), err == nil && out != nil
}

func (s slice[T]) goType(i int, c column) string {
	return goType(reflect.ValueOf(s.rows[i]).FieldByIndex(c.index))
}

// rowKey is the primary key of a row, as texts.
type rowKey struct {
	table   *catalog.InsertTarget
	columns []column
	values  []string
}

// keyOf returns the key of the load's first or last row; nil when it is not
// known.
func (one *load) keyOf(last bool) *rowKey {
	if one.rows == nil || one.rows.len() == 0 {
		return nil
	}
	i := 0
	if last {
		i = one.rows.len() - 1
	}
	return one.key(i)
}

// key returns the key of a row; nil when it is not known.
func (one *load) key(i int) *rowKey {
	if one.rows == nil || i < 0 || i >= one.rows.len() {
		return nil
	}
	k := &rowKey{table: one.table}
	parts := 0
	for _, c := range one.table.Columns {
		if c.Key {
			parts++
		}
	}
	for _, c := range one.columns {
		if !c.Key {
			continue
		}
		text, ok := one.rows.text(i, c)
		if !ok {
			return nil
		}
		k.columns, k.values = append(k.columns, c), append(k.values, text)
	}
	if parts == 0 || len(k.columns) < parts {
		return nil
	}
	return k
}

func (k *rowKey) exists(ctx context.Context, tx pgx.Tx) (found bool, err error) {
	conditions := make([]string, len(k.columns))
	args := make([]any, len(k.columns))
	for i, c := range k.columns {
		conditions[i] = pgx.Identifier{c.Name}.Sanitize() + " = $" + strconv.Itoa(i+1) + "::text::" + c.Type
		args[i] = k.values[i]
	}
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+catalog.Ident(k.table.Name)+" WHERE "+strings.Join(conditions, " AND ")+")", args...).Scan(&found)
	return found, err
}

// String writes the key as people do: id=7.
func (k *rowKey) String() string {
	if k == nil {
		return ""
	}
	parts := make([]string, len(k.columns))
	for i, c := range k.columns {
		parts[i] = schema.Told(c.Name) + "=" + k.values[i]
	}
	return strings.Join(parts, ", ")
}
