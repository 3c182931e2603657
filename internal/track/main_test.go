package track_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

func TestMain(m *testing.M) { fixtures.Main(m, func(testing.TB) {}) }

// world is a database at a baseline, with a copy of its rows inside it.
type world struct {
	*testing.T
	url     string
	conn    *pgx.Conn // that goes back
	home    string
	cat     *catalog.Catalog
	content map[string]string // the queries that return all of a table or a sequence as one text
	truth   map[string]string // what they returned at the baseline

	owner string // the role that goes back, which owns the tables; none: a superuser

	extension bool // setup is one's table
	rowwise   bool // triggers for statements are not relied on
	lowered   bool // a DELETE of three rows is one of too many

	switched []string // the tables whose replica identities are switched where the test loads them

	alternative *track.Alternative // where it is better, it is asked for and not taken
}

const token = "the baseline"

// connect opens a connection that ends with the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(ctx) })
	return conn
}

// connectTo connects to another database of the server.
func connectTo(t *testing.T, url, database string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	config.Database = database
	conn, err := pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// newWorld makes a database of the SQL and marks it.
func newWorld(t *testing.T, sql ...string) *world {
	t.Helper()
	fixtures.Open(t, fixtures.WithSchema(sql...))
	w := &world{T: t, url: fixtures.URL(t)}
	w.session()
	w.mark()
	return w
}

// newOwnersWorld makes a database whose tables belong to a role that is no superuser, which
// marks it and goes back.
func newOwnersWorld(t *testing.T, sql ...string) *world {
	t.Helper()
	fixtures.Open(t, fixtures.WithSchema(sql...))
	w := &world{T: t, url: fixtures.URL(t)}
	w.giveAway()
	w.session()
	w.mark()
	return w
}

// giveAway makes everything in the database a role's that is no superuser.
func (w *world) giveAway() {
	w.Helper()
	admin := connect(w.T, w.url)
	w.owner = fmt.Sprintf("owner_%d_%s", os.Getpid(), admin.Config().Database[len("groundhog_test_"):])
	w.sql(admin, `CREATE ROLE `+w.owner+`; GRANT CREATE ON DATABASE `+pgx.Identifier{admin.Config().Database}.Sanitize()+` TO `+w.owner+`; GRANT ALL ON SCHEMA public TO `+w.owner)
	w.sql(admin, `DO $$ DECLARE d text; BEGIN
		FOR d IN SELECT format('ALTER %s %s OWNER TO `+w.owner+`', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
				FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
					AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass AND c.relkind = 'S')
			UNION ALL SELECT format('ALTER FUNCTION %s OWNER TO `+w.owner+`', p.oid::regprocedure) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
				AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
			UNION ALL SELECT format('ALTER TYPE %s OWNER TO `+w.owner+`', t.oid::regtype) FROM pg_type t WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('d', 'e') LOOP
			EXECUTE d;
		END LOOP;
	END $$`)
	w.Cleanup(func() {
		admin := connect(w.T, w.url)
		var err error
		var pg *pgconn.PgError
		for range 10 { // the session of the test may still be undoing, and be the other one in a deadlock
			_, err = admin.Exec(context.Background(), `DROP OWNED BY `+w.owner+` CASCADE; DROP ROLE `+w.owner, pgx.QueryExecModeSimpleProtocol)
			if !errors.As(err, &pg) || pg.Code != "40P01" {
				break
			}
		}
		require.NoError(w, err)
	})
}

// session begins a new one to go back over.
func (w *world) session() {
	w.Helper()
	w.conn = connect(w.T, w.url)
	w.sql(w.conn, w.asOwner()+"; "+track.SessionSettings(w.owner != "")+"; SET lock_timeout = '5s'")
	var err error
	w.home, err = track.ServerID(w.Context(), w.conn)
	require.NoError(w, err)
}

// asOwner is SQL that gives the session the role that goes back.
func (w *world) asOwner() string {
	if w.owner == "" {
		return "SELECT"
	}
	return "RESET ROLE; SET CONSTRAINTS ALL IMMEDIATE; SET session_replication_role = origin; SET groundhog_test.loads = off; SET ROLE " + w.owner
}

// asSuperuser is SQL that lets the session write rows which nothing reacts to.
func (w *world) asSuperuser() string {
	if w.owner == "" {
		return "SELECT"
	}
	return "RESET ROLE; SET session_replication_role = replica; SET groundhog_test.loads = on"
}

// inTx runs f in a transaction that keeps writers out.
func (w *world) inTx(f func(tx pgx.Tx)) {
	w.Helper()
	require.NoError(w, w.tryTx(func(tx pgx.Tx) error { f(tx); return nil }))
}

func (w *world) tryTx(f func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(w.Context(), w.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(w.Context(), "SELECT pg_advisory_xact_lock($1)", track.WriterLock); err != nil {
			return err
		}
		return f(tx)
	})
}

// mark makes what is there now the baseline, and keeps a copy in temporary tables.
func (w *world) mark() {
	w.Helper()
	w.inTx(func(tx pgx.Tx) {
		w.read(tx)
		// Row level security hides rows from the owner.
		w.sql(tx, "RESET ROLE")
		for _, t := range w.cat.Tables {
			w.sql(tx, "CREATE TEMPORARY TABLE "+copyOf(t)+" AS SELECT * FROM "+t.Only())
			if w.owner != "" {
				w.sql(tx, "GRANT SELECT ON "+copyOf(t)+" TO PUBLIC")
			}
		}
		require.NoError(w, w.baseline(tx))
		w.sql(tx, "RESET ROLE")
		var err error
		w.truth, err = w.state(tx)
		w.sql(tx, w.asOwner())
		require.NoError(w, err)
	})
}

// read reads the catalog.
func (w *world) read(tx pgx.Tx) {
	w.Helper()
	w.sql(tx, "SET LOCAL search_path = pg_catalog")
	cat, err := catalog.Read(w.Context(), tx, msg.English)
	require.NoError(w, err)
	w.sql(tx, "SET LOCAL search_path TO DEFAULT") // for functions behind indexes
	w.cat = cat
	w.content = map[string]string{}
	for _, t := range cat.Schema.Tables {
		if t.PartitionKey == "" {
			w.content[t.Name.String()] = "SELECT coalesce(string_agg(t::text, '|' ORDER BY t::text COLLATE \"C\"), '') FROM ONLY " + catalog.Ident(t.Name) + " t"
		}
	}
	for _, s := range cat.Schema.Sequences {
		w.content[s.String()] = "SELECT last_value || ',' || is_called FROM " + catalog.Ident(s)
	}
}

func (w *world) baseline(tx pgx.Tx) error {
	sequences, err := catalog.Sequences(w.Context(), tx, w.cat.Schema.Sequences)
	if err != nil {
		return err
	}
	b := track.Baseline{Token: token, ServerID: w.home, Sequences: sequences, EventTriggers: true, Rows: map[schema.Name]int64{}, RowTriggersOnly: w.rowwise,
		CacheResets: map[schema.Name]catalog.CacheReset{}, Native: map[schema.Name]bool{}}
	for _, t := range w.cat.Tables {
		if p := t.CacheReset(); len(p.Statements) > 0 {
			b.CacheResets[t.Name] = p
		}
		b.Native[t.Name] = w.extension && t.Name.Name == "setup"
	}
	for _, t := range w.cat.Schema.Tables {
		b.Tables = append(b.Tables, t.Name)
		b.Rows[t.Name] = 1 << 20 // small tables are undone all the same
	}
	if _, err := tx.Exec(w.Context(), w.asOwner(), pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	b.Checked = w.owner != ""
	b.EventTriggers = !b.Checked
	if err := track.SetBaseline(w.Context(), tx, b); err != nil {
		return err
	}
	if w.lowered {
		if _, err := tx.Exec(w.Context(), lowerMost); err != nil {
			return err
		}
	}
	_, err = tx.Exec(w.Context(), "SET LOCAL search_path TO DEFAULT")
	return err
}

// lowerMost makes three deleted rows too many, where that is not so yet.
const lowerMost = `DO $do$ DECLARE f record; d text; was text; BEGIN
	FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'groundhog'::regnamespace AND p.proname ~ '^(note|old)_|^most_changes$' LOOP
		was := pg_get_functiondef(f.oid);
		d := regexp_replace(was, '\m1820\M|65536 OPERATOR\(pg_catalog\./\) 36|1000 OPERATOR\(pg_catalog\.\+\) \((o\.)?rows OPERATOR\(pg_catalog\.\*\) 0\.7\)', '2', 'g');
		IF d <> was THEN EXECUTE d; END IF;
	END LOOP;
END $do$`

// copyOf names the copy of a table.
func copyOf(t catalog.Table) string {
	return "pg_temp." + pgx.Identifier{"copy of " + t.Name.String()}.Sanitize()
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func (w *world) sql(q execer, sql string) {
	w.Helper()
	_, err := q.Exec(w.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(w, err, sql)
}

// state returns the content of all tables and sequences.
func (w *world) state(tx pgx.Tx) (map[string]string, error) {
	sql := "SELECT '', ''"
	for name, content := range w.content {
		sql += "\nUNION ALL SELECT '" + name + "', (" + content + ")"
	}
	rows, err := tx.Query(w.Context(), sql)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var name, content string
	_, err = pgx.ForEachRow(rows, []any{&name, &content}, func() error { out[name] = content; return nil })
	return out, err
}

// load puts the copy of a table back.
func (w *world) load(ctx context.Context, tx pgx.Tx, t catalog.Table) error {
	target := catalog.Ident(t.Name)
	columns := ""
	for i, c := range t.Columns {
		if i > 0 {
			columns += ", "
		}
		columns += pgx.Identifier{c}.Sanitize()
	}
	identities, err := catalog.ReplicaIdentities(ctx, tx, []schema.Name{t.Name})
	if err != nil {
		return err
	}
	there, back, _ := catalog.SwitchIdentities(identities[t.Name])
	if !slices.Contains([]string{"heard", "filtered", "forked"}, t.Name.Name) && !slices.Contains(w.switched, t.Name.Name) { // see chaos.sql
		there, back = nil, nil
	}
	for _, sql := range slices.Concat(there, []string{"DELETE FROM " + t.Only(),
		"INSERT INTO " + target + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + columns + " FROM " + copyOf(t), "SET CONSTRAINTS ALL IMMEDIATE"}, back) {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// ways counts what was done to tables.
type ways struct {
	nothing, undone, reloaded, void, costly, aside int
	why                                            map[track.Reason]int
}

// back goes back to the baseline as package snapshot does it, then calls check
// before the transaction ends, so that nobody writes in between. What is repeated
// in snapshot, deadlocks and lock timeouts, is returned.
func (w *world) back(count *ways, check func(tx pgx.Tx) error) error {
	ctx := w.Context()
	tx, err := w.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { tx.Rollback(ctx) }()
	out, partly, err := track.Restore(ctx, w.conn, token, w.home, w.alternative)
	if out.Unusable == track.Costly {
		count.costly++
		out, partly, err = track.Restore(ctx, w.conn, token, w.home, nil)
	}
	again := func() {
		require.NoError(w, tx.Rollback(ctx))
		tx, err = w.conn.Begin(ctx)
		require.NoError(w, err)
	}
	if err == nil && out.Unusable == track.Constraint { // which ended the transaction
		count.aside++
		again()
		out, err = track.RestoreAside(ctx, w.conn, token, w.home)
	}
	if partly {
		again()
		out, err = track.Undo(ctx, tx, token, w.home)
		if w.owner != "" && err == nil && out.Unusable == "" {
			var sources []track.Source
			for _, t := range w.cat.Tables {
				if i := slices.IndexFunc(out.Tables, func(o track.Table) bool { return o.Name == t.Name }); i >= 0 && !out.Tables[i].Reload.IsZero() {
					sources = append(sources, track.Source{Table: t.Name, From: copyOf(t)})
				}
			}
			var together track.Outcome
			if together, err = track.UndoLoaded(ctx, tx, sources); err == nil && together.Unusable == "" {
				together.Unusable, err = track.FinishUndo(ctx, tx)
			}
			if together.Unusable != "" {
				out, partly = together, false
			}
		}
	}
	if err != nil {
		return err
	}
	if tx.Conn().PgConn().TxStatus() == 'E' {
		again()
	}
	if partly && w.owner == "" || out.Unusable != "" {
		w.sql(tx, w.asSuperuser())
	}
	byName := map[schema.Name]catalog.Table{}
	for _, t := range w.cat.Tables {
		byName[t.Name] = t
	}
	switch {
	case out.Unusable != "":
		count.void++
		count.why[out.Unusable]++
		// Its writers may not take the lock.
		var names []string
		for _, t := range w.cat.Tables {
			names = append(names, t.Only())
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN EXCLUSIVE MODE"); err != nil {
			return err
		}
		for _, t := range w.cat.Tables {
			if err := w.load(ctx, tx, t); err != nil {
				return err
			}
		}
		if err := w.rewind(ctx, tx); err != nil {
			return err
		}
		if err := w.baseline(tx); err != nil {
			return err
		}
	case partly:
		for _, t := range out.Tables {
			if t.Reload.IsZero() {
				count.undone++
				continue
			}
			count.reloaded++
			count.why[t.Reload.Reason]++
			if w.owner != "" {
				continue // it was loaded with the others
			}
			if err := w.load(ctx, tx, byName[t.Name]); err != nil {
				return err
			}
		}
		if w.owner == "" {
			if _, err := track.FinishUndo(ctx, tx); err != nil {
				return err
			}
		}
	case len(out.Tables) == 0:
		count.nothing++
	default:
		count.undone += len(out.Tables)
	}
	if err := check(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rewind sets the sequences to what they were at the baseline.
func (w *world) rewind(ctx context.Context, tx pgx.Tx) error {
	for _, s := range w.cat.Schema.Sequences {
		value, called, _ := strings.Cut(w.truth[s.String()], ",")
		if _, err := tx.Exec(ctx, "SELECT setval($1::text::regclass, $2::text::bigint, $3::text::boolean)", catalog.Ident(s), value, called); err != nil {
			return err
		}
	}
	return nil
}

// differences names what is not as it was at the baseline.
func (w *world) differences(tx pgx.Tx) (out []string, err error) {
	state, err := w.state(tx)
	for name, content := range state {
		if content != w.truth[name] {
			out = append(out, name+"\n  was "+w.truth[name]+"\n  is  "+content)
		}
	}
	return out, err
}

// same goes back and requires that everything is as it was.
func (w *world) same() ways {
	w.Helper()
	count := ways{why: map[track.Reason]int{}}
	require.NoError(w, w.back(&count, func(tx pgx.Tx) error {
		found, err := w.differences(tx)
		require.Empty(w, found)
		return err
	}))
	return count
}

// untrue names the tables whose changes the journal does not tell as a comparison
// with their copies does, and counts those that it tells.
func (w *world) untrue(told *int) (out []string, err error) {
	err = pgx.BeginFunc(w.Context(), w.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(w.Context(), "SELECT pg_advisory_xact_lock($1)", track.WriterLock); err != nil {
			return err
		}
		name := token
		written, err := track.Written(w.Context(), tx, &name, w.home)
		if err != nil || written.Unusable != "" {
			return err
		}
		why := map[schema.Name]track.Cause{}
		for _, t := range written.Tables {
			why[t.Name] = t.Reload
		}
		if _, err := tx.Exec(w.Context(), "SET LOCAL search_path = pg_catalog"); err != nil {
			return err
		}
		var names []schema.Name
		copies := map[string]string{}
		for _, t := range w.cat.Tables {
			names = append(names, t.Name)
			copies[t.Name.String()] = copyOf(t)
		}
		relations, err := catalog.TrackedTables(w.Context(), tx, names)
		if err == nil {
			_, err = tx.Exec(w.Context(), "SET LOCAL search_path = pg_catalog, public") // for functions behind indexes
		}
		if err != nil {
			return err
		}
		for _, r := range relations {
			if r.OID != r.Root {
				continue
			}
			c := track.Comparison{Table: r}
			for _, a := range r.Columns {
				c.Columns = append(c.Columns, a.Name)
			}
			c.With = copies[r.Name.String()]
			truth, err := track.Compare(w.Context(), tx, c)
			if err != nil {
				return err
			}
			var got track.Compared
			reload, touched := why[r.Name]
			if touched {
				c.With = ""
				if got, err = track.Compare(w.Context(), tx, c); err != nil {
					return err
				}
			}
			// In replica role nothing keeps a deferred key from being there twice, of which
			// a comparison by key knows nothing.
			var more int64
			only := "ONLY " + catalog.Ident(r.Name)
			if r.Partitioned {
				only = catalog.Ident(r.Name)
			}
			err = tx.QueryRow(w.Context(), "SELECT (SELECT count(*) FROM "+only+") - (SELECT count(*) FROM "+copies[r.Name.String()]+")").Scan(&more)
			if err != nil {
				return err
			}
			if !reload.IsZero() || got.Undecided || more != truth.Inserted-truth.Deleted {
				continue
			}
			*told++
			if show(got) != show(truth) {
				out = append(out, fmt.Sprintf("%s\n  changes %s\n  truth   %s", r.Name, show(got), show(truth)))
			}
		}
		if written, err = track.Written(w.Context(), tx, &name, w.home); written.Unusable == track.SchemaChanged { // in between, where no event trigger takes the lock
			out = nil
		}
		return err
	})
	return out, err
}

func show(c track.Compared) string {
	row := func(values [][]byte) string {
		if values == nil {
			return "-"
		}
		return string(bytes.Join(values, []byte(",")))
	}
	out := make([]string, 0, len(c.Pairs))
	for _, p := range c.Pairs {
		out = append(out, row(p.Old)+" → "+row(p.New))
	}
	slices.Sort(out)
	return fmt.Sprint(c.Inserted, c.Updated, c.Deleted, out)
}
