package track_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/track"
)

//go:embed chaos.sql
var chaosSQL string

// envSteps says how many random statements TestChaos runs; see docs/development.md.
const envSteps = "GROUNDHOG_STEPS"

const (
	defaultSteps     = 1_000
	stepsOfADatabase = 10_000
)

func steps() int {
	if n, err := strconv.Atoi(os.Getenv(envSteps)); err == nil {
		return n
	}
	return defaultSteps
}

// TestChaos runs random statements of all kinds from several connections on a small
// schema, goes back every now and then, and compares every table and sequence with
// what it was before anybody can write again.
func TestChaos(t *testing.T) { random(t, chaos) }

// TestChaosOfAnOwner is TestChaos with a role that is no superuser and owns the tables.
func TestChaosOfAnOwner(t *testing.T) { random(t, chaosOfOwner) }

func random(t *testing.T, chaos func(t *testing.T, seed uint64, steps int, without ...string) []string) {
	seed := uint64(time.Now().UnixNano())
	// Catalogs that nothing vacuums grow with each change of the schema, and slow
	// everything down: a long run takes one database after the other.
	for done := 0; done < steps(); done += stepsOfADatabase {
		t.Run(strconv.Itoa(done), func(t *testing.T) {
			n, seed := min(stepsOfADatabase, steps()-done), seed+uint64(done)
			t.Logf("seed %d, %d steps", seed, n)
			require.Empty(t, chaos(t, seed, n))
		})
	}
}

// chaos returns the differences that it found.
func chaos(t *testing.T, seed uint64, steps int, without ...string) (found []string) {
	w := &world{T: t, rowwise: seed%2 == 0, lowered: seed%4 < 2}
	w.extension = chaosDatabase(t, chaosSQL)
	w.url = fixtures.URL(t)
	return w.chaos(seed, steps, without...)
}

func chaosOfOwner(t *testing.T, seed uint64, steps int, without ...string) (found []string) {
	w := &world{T: t, rowwise: seed%2 == 0, lowered: seed%4 < 2}
	fixtures.Open(t, fixtures.WithSchema(chaosSQL, setupTable, setupRows))
	w.url = fixtures.URL(t)
	w.giveAway()
	return w.chaos(seed, steps, without...)
}

func (w *world) chaos(seed uint64, steps int, without ...string) (found []string) {
	t := w.T
	w.session()
	w.mark()
	for _, sql := range without {
		w.inTx(func(tx pgx.Tx) { w.sql(tx, sql) })
	}
	made := 0
	c := &chance{left: int64(steps), settled: len(without) > 0}
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() { c.work(t, w.url, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	random := rand.New(rand.NewPCG(seed, 99))
	count := ways{why: map[track.Reason]int{}}
	restores, repeats, told, quiet := 0, 0, 0, false
	likeness := w.likeness()
	for done := false; !done; {
		done = atomic.LoadInt64(&c.left) <= 0
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond) // the next moment is a random one
		if len(without) == 0 && random.IntN(2) == 0 {
			wrong, err := w.untrue(&told)
			if !refused(err) {
				require.NoError(t, err)
			}
			if len(wrong) > 0 {
				found = append(found, wrong...)
				t.Logf("after %d restores: %s\nthe last statements:\n%s", restores, strings.Join(wrong, "\n"), c.recent())
			}
		}
		if random.IntN(3) == 0 {
			w.alternative = &track.Alternative{Likeness: likeness, Most: int64(random.IntN(400)) - 20}
		} else {
			w.alternative = nil
		}
		if random.IntN(4) == 0 {
			w.skipSome(random)
		}
		for {
			var wrong []string
			err := w.back(&count, func(tx pgx.Tx) (err error) {
				wrong, err = w.differences(tx)
				if err == nil && len(wrong) > 0 && w.owner != "" {
					name := token
					var written track.Outcome
					if written, err = track.Written(t.Context(), tx, &name, w.home); written.Unusable == track.SchemaChanged {
						wrong = nil // by who disabled our triggers meanwhile, and so takes no lock: the next restore finds it
					}
				}
				if err == nil && len(wrong) > 0 {
					_, err = tx.Exec(t.Context(), "UPDATE groundhog.state SET token = NULL") // what comes next starts from a true baseline
				}
				return err
			})
			if refused(err) {
				repeats++
				if !quiet && repeats%3 == 0 {
					quiet = true
					c.pause.Lock() // all tables are locked when all are loaded: between writers that never rest that may take for ever
				}
				continue
			}
			if quiet {
				quiet = false
				c.pause.Unlock()
			}
			if err != nil && len(without) > 0 {
				found = append(found, err.Error())
				w.inTx(func(tx pgx.Tx) { w.sql(tx, "UPDATE groundhog.state SET token = NULL") })
				break
			}
			require.NoError(t, err)
			restores++
			if count.void > made { // then what was taken out may be there again
				made = count.void
				for _, sql := range without {
					for refused(w.tryTx(func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), sql); return err })) {
					}
				}
			}
			if len(wrong) > 0 {
				found = append(found, wrong...)
				t.Logf("after %d restores: %s\nthe last statements:\n%s", restores, strings.Join(wrong, "\n"), c.recent())
			}
			break
		}
		if len(found) > 5 {
			atomic.StoreInt64(&c.left, 0)
		}
	}
	workers.Wait()
	t.Logf("%d statements, %d of them refused; changes of %d tables told; %d restores, %d repeated; costly %d, nothing %d, void %d, tables undone %d, reloaded %d, unique values set aside %d: %v",
		c.done.Load(), c.failed.Load(), told, restores, repeats, count.costly, count.nothing, count.void, count.undone, count.reloaded, count.aside, count.why)
	return found
}

// skipSome has the writes to some tables, or to none, not journaled from now on.
func (w *world) skipSome(r *rand.Rand) {
	w.Helper()
	var names []schema.Name
	for _, t := range w.cat.Schema.Tables {
		if r.IntN(6) == 0 {
			names = append(names, t.Name)
		}
	}
	if r.IntN(2) == 0 {
		names = nil
	}
	if err := track.Skip(w.Context(), w.conn, names); !refused(err) { // others may hold the tables
		require.NoError(w, err)
	}
}

// refused reports whether a deadlock or a lock that others hold too long ended a
// transaction.
func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "55P03")
}

// chance makes random statements.
type chance struct {
	left         int64
	done, failed atomic.Int64
	pause        sync.RWMutex // held by each worker during a transaction
	settled      bool         // the schema stays as it is

	mu   sync.Mutex
	last []string
}

func (c *chance) note(worker int, sql string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := fmt.Sprintf("%d: %s", worker, sql)
	if err != nil {
		line += " -- " + err.Error()
	}
	if c.last = append(c.last, line); len(c.last) > 400 {
		c.last = slices.Clone(c.last[200:])
	}
}

func (c *chance) recent() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.last, "\n")
}

// work runs transactions until enough statements are done.
func (c *chance) work(t *testing.T, url string, worker int, r *rand.Rand) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx)
	do := func(sql string) bool {
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		atomic.AddInt64(&c.left, -1)
		c.done.Add(1)
		if err != nil {
			c.failed.Add(1)
		}
		c.note(worker, sql, err)
		return err == nil
	}
	do("SET lock_timeout = '3s'; SET deadlock_timeout = '150ms'; SET statement_timeout = '8s'")
	prepared := 0
	transaction := func() {
		c.pause.RLock()
		defer c.pause.RUnlock()
		switch {
		case r.IntN(30) == 0:
			do(maintenance(r))
			return
		case r.IntN(25) == 0:
			c.copy(ctx, conn, worker, r)
			return
		case r.IntN(120) == 0 && !c.settled:
			do(ddl(r))
			return
		case r.IntN(3) == 0:
			do(statement(r))
			return
		}
		do("BEGIN" + pick(r, "", "", "", " ISOLATION LEVEL REPEATABLE READ", " ISOLATION LEVEL SERIALIZABLE"))
		if r.IntN(8) == 0 { // an id or a snapshot from before a restore
			do(pick(r, "SELECT pg_current_xact_id()", "SELECT count(*) FROM hot", "CREATE TEMPORARY TABLE IF NOT EXISTS tmp (i int); INSERT INTO tmp VALUES (1)", "SAVEPOINT z; SELECT pg_current_xact_id()"))
			time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		}
		if r.IntN(8) == 0 {
			do("SET LOCAL session_replication_role = replica")
		}
		good := true
		for n := r.IntN(5) + 1; n > 0 && good; n-- {
			sql := statement(r)
			switch r.IntN(10) {
			case 0:
				do("SAVEPOINT s")
				if ok := do(sql); !ok || r.IntN(2) == 0 {
					do("ROLLBACK TO s")
				} else if r.IntN(2) == 0 {
					do("RELEASE s")
				}
			case 1:
				good = do("SELECT run($q$" + sql + "$q$)")
			case 2:
				good = do("SELECT run_quietly($q$" + sql + "$q$)")
			case 3:
				good = do("SELECT run_in_vain($q$" + sql + "$q$)")
			case 4:
				good = do("SET CONSTRAINTS ALL " + pick(r, "DEFERRED", "IMMEDIATE"))
			case 5:
				good = do("RESET ALL") && do(sql)
			default:
				good = do(sql)
			}
		}
		if r.IntN(10) == 0 {
			time.Sleep(time.Duration(r.IntN(15)) * time.Millisecond)
		}
		switch n := r.IntN(12); {
		case !good || n < 2:
			do("ROLLBACK")
		case n == 2:
			prepared++
			name := fmt.Sprintf("'%d %d'", worker, prepared)
			if do("PREPARE TRANSACTION " + name) {
				time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
				do(pick(r, "COMMIT", "ROLLBACK") + " PREPARED " + name)
			}
		default:
			do("COMMIT")
		}
		if conn.PgConn().TxStatus() != 'I' {
			do("ROLLBACK")
		}
	}
	for atomic.LoadInt64(&c.left) > 0 && !conn.IsClosed() {
		transaction()
	}
}

func (c *chance) copy(ctx context.Context, conn *pgx.Conn, worker int, r *rand.Rand) {
	into, rows := pick(r, "busy (id, v)", "unlogged", "parent", "keyed (id, v)"), fmt.Sprintf("%d\tcp\n%d\tcp\n", r.IntN(20), 30+r.IntN(20))
	if r.IntN(2) == 0 {
		into, rows = "part", fmt.Sprintf("%d\t%d\tcp\n%d\t%d\tcp\n", r.IntN(20), r.IntN(13), 30+r.IntN(20), r.IntN(5))
	}
	_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(rows), "COPY "+into+" FROM STDIN")
	atomic.AddInt64(&c.left, -1)
	c.done.Add(1)
	c.note(worker, "COPY "+into, err)
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// simple are tables with an integer key called id and a text.
var simple = []string{"busy", "parent", "child", "orphan", "self", `"Soon é"`, "late", "unlogged", "hot", "base", "keyed", "free", "ruled", "setup"}

// setup is an extension's table where the server can have an extension.
const (
	setupTable = `CREATE TABLE setup (id int PRIMARY KEY, v text);`
	setupRows  = `INSERT INTO setup SELECT g, 'e' FROM generate_series(1, 10) g`
)

func text(table string) string {
	if strings.HasPrefix(table, `"`) {
		return `"V v"`
	}
	return "v"
}

func maintenance(r *rand.Rand) string {
	table := pick(r, append([]string{"part0", "part1", "pair", "word", "ident", "made", "keyless"}, simple...)...)
	switch r.IntN(6) {
	case 0:
		return "VACUUM " + table
	case 1:
		return "VACUUM FREEZE " + table
	case 2:
		return "VACUUM FULL " + table
	case 3:
		return "REINDEX TABLE " + table
	case 4:
		return "ANALYZE " + table
	}
	return "CLUSTER hot USING hot_pkey"
}

// ddl changes the schema and changes it back.
func ddl(r *rand.Rand) string {
	table := pick(r, simple...)
	return pick(r,
		"ALTER TABLE "+table+" ADD COLUMN extra int DEFAULT 7; ALTER TABLE "+table+" DROP COLUMN extra",
		"CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1); DROP TABLE fresh",
		"CREATE INDEX passing ON word (v); DROP INDEX passing",
		"ALTER PUBLICATION part_of_it ADD TABLE hot WHERE (w = 0); INSERT INTO hot (id, w) VALUES (30, 1), (31, 0); ALTER PUBLICATION part_of_it DROP TABLE hot",
		"ALTER TABLE keyless REPLICA IDENTITY DEFAULT; INSERT INTO keyless VALUES (1, 'x'); ALTER TABLE keyless REPLICA IDENTITY FULL",
		"ALTER TABLE hot DISABLE TRIGGER USER; UPDATE hot SET w = 77; ALTER TABLE hot ENABLE TRIGGER USER",
		`ALTER TABLE hot DISABLE TRIGGER USER; DELETE FROM hot; INSERT INTO hot (id) VALUES (1)`,
		"ALTER TABLE part DETACH PARTITION part0; INSERT INTO part0 VALUES (99, 1, 'd'); ALTER TABLE part ATTACH PARTITION part0 FOR VALUES FROM (0) TO (4)",
		"CREATE TABLE copied AS SELECT * FROM hot; DROP TABLE copied",
		"CREATE TEMPORARY TABLE mine (id serial PRIMARY KEY, v text DEFAULT 'x' CHECK (v <> '')); DROP TABLE mine",
		"REFRESH MATERIALIZED VIEW seen")
}

func statement(r *rand.Rand) string {
	n := func(most int) int { return r.IntN(most) + 1 }
	v := pick(r, "x", "m", "q", "skip", "k2", "pre", "z", "touch", "keep", "back", "y")
	table := pick(r, simple...)
	only := pick(r, "", "", "", "ONLY ")
	col := text(table)
	upsert := pick(r, "busy", "parent", "unlogged", "hot")
	switch r.IntN(43) {
	case 0, 1:
		return fmt.Sprintf("UPDATE %s%s SET %s = '%s' WHERE id = %d", only, table, col, v, n(12))
	case 2:
		return fmt.Sprintf("UPDATE %s%s SET %s = '%s' WHERE id %% %d = 0", only, table, col, v, n(4))
	case 3, 4:
		return fmt.Sprintf("INSERT INTO %s (id, %s) VALUES (%d, '%s')", table, col, n(14), v)
	case 5, 6:
		return fmt.Sprintf("DELETE FROM %s%s WHERE id = %d", only, table, n(12))
	case 7:
		return fmt.Sprintf("DELETE FROM %s%s WHERE id %% %d = 0", only, table, n(4))
	case 8:
		return fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d", table, n(14), n(12))
	case 9:
		return fmt.Sprintf("UPDATE %s SET id = id + %d WHERE id > %d", pick(r, `"Soon é"`, "late", "hot", "self", "parent"), n(3), n(10))
	case 10:
		return fmt.Sprintf("UPDATE %s SET id = 3 - id WHERE id IN (1, 2)", pick(r, `"Soon é"`, "late"))
	case 11:
		return fmt.Sprintf("INSERT INTO %s (id, v) SELECT g, '%s' FROM generate_series(%d, %d) g ON CONFLICT (id) DO UPDATE SET v = excluded.v WHERE %[1]s.id <> %[5]d",
			pick(r, upsert, "keyed", "self"), v, n(6), 6+n(6), n(10))
	case 12:
		return fmt.Sprintf("INSERT INTO %s (id, v) SELECT g, '%s' FROM generate_series(%d, %d) g ON CONFLICT DO NOTHING", upsert, v, n(6), 6+n(8))
	case 13:
		return fmt.Sprintf("MERGE INTO %s t USING (SELECT g FROM generate_series(%d, %d) g) s ON t.id = s.g WHEN MATCHED AND s.g %% 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = '%s' WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.g, 'mi')",
			upsert, n(8), 8+n(5), v)
	case 14:
		return fmt.Sprintf("WITH d AS (DELETE FROM %s WHERE id < %d RETURNING *) INSERT INTO %[1]s (id, v) SELECT id + %d, v FROM d", pick(r, "unlogged", "hot", "busy", "late"), n(9), 20*r.IntN(2))
	case 15:
		return fmt.Sprintf("WITH i AS (INSERT INTO hot (id, v) VALUES (%d, 'cte') RETURNING id), u AS (UPDATE unlogged SET v = 'cte' WHERE id = %d RETURNING id) DELETE FROM parent WHERE id IN (SELECT id FROM i UNION SELECT id FROM u)", n(14), n(8))
	case 16:
		return fmt.Sprintf("UPDATE hot SET v = write_next(id) WHERE id %% 2 = %d", r.IntN(2))
	case 17:
		return fmt.Sprintf("DELETE FROM hot WHERE id %% 3 = %d AND delete_next(id)", r.IntN(3))
	case 18:
		return fmt.Sprintf("INSERT INTO hot (id, v) SELECT id + 10, write_next(id) FROM hot WHERE id < %d", n(6))
	case 19:
		return fmt.Sprintf("INSERT INTO %s (id, r, v) VALUES (%d, %d, '%s') ON CONFLICT DO NOTHING", pick(r, "part", "part", "part0", "part1", "part2", "part2a", "part2b"), n(16), r.IntN(14), v)
	case 20:
		return fmt.Sprintf("UPDATE part SET r = %d, v = '%s' WHERE id = %d", r.IntN(14), v, n(16))
	case 21:
		return fmt.Sprintf("UPDATE %s SET v = '%s' WHERE id %% 3 = %d", pick(r, "part", "part0", "part1", "part2", "part2b"), v, r.IntN(3))
	case 22:
		return fmt.Sprintf("DELETE FROM %s WHERE id %% 5 = %d", pick(r, "part", "part0", "part1", "part2", "part2a"), r.IntN(5))
	case 23:
		return fmt.Sprintf("MERGE INTO part t USING (SELECT g FROM generate_series(%d, %d) g) s ON t.id = s.g WHEN MATCHED AND s.g %% 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET r = (t.r + %d) %% 13 WHEN NOT MATCHED THEN INSERT VALUES (s.g, s.g %% 12, 'mm')", n(12), 12+n(6), n(8))
	case 24:
		return fmt.Sprintf("INSERT INTO part SELECT g, g %% 12, 'up' FROM generate_series(%d, %d) g ON CONFLICT (id, r) DO UPDATE SET v = '%s'", n(12), 12+n(6), v)
	case 25:
		return fmt.Sprintf("UPDATE %s SET r = (r + %d) %% 14", pick(r, "part", "part2"), n(9))
	case 26:
		return pick(r,
			fmt.Sprintf(`INSERT INTO pair VALUES (%d, 'b%d', 'n') ON CONFLICT ("B", a) DO UPDATE SET v = 'o', a = pair.a + 1`, r.IntN(4), n(10)),
			fmt.Sprintf(`UPDATE pair SET a = a + 1, "B" = 'b%d' WHERE "B" = 'b%d'`, n(10), n(10)),
			fmt.Sprintf(`DELETE FROM pair WHERE a = %d`, r.IntN(4)),
			fmt.Sprintf(`UPDATE pair SET v = '%s'`, v))
	case 27:
		return pick(r,
			fmt.Sprintf("INSERT INTO word VALUES ('k%d', 'u%d') ON CONFLICT DO NOTHING", n(12), n(12)),
			fmt.Sprintf("UPDATE word SET k = 'k%d' WHERE k = 'k%d'", n(12), n(12)),
			fmt.Sprintf("DELETE FROM word WHERE k > 'k%d'", n(9)),
			fmt.Sprintf("UPDATE word SET v = v || 'x' WHERE k = 'k%d'", n(12)))
	case 28:
		return pick(r,
			fmt.Sprintf("INSERT INTO ident (a) SELECT g FROM generate_series(1, %d) g", n(4)),
			fmt.Sprintf("UPDATE ident SET a = a + 1 WHERE id < %d", n(9)),
			fmt.Sprintf("DELETE FROM ident WHERE id = %d", n(9)),
			fmt.Sprintf("INSERT INTO ident OVERRIDING SYSTEM VALUE VALUES (%d, 5)", n(12)))
	case 29:
		return pick(r,
			fmt.Sprintf("INSERT INTO made (raw, v) VALUES ('r%d', 'n') ON CONFLICT (id) DO UPDATE SET raw = 'r%d'", n(12), n(12)),
			fmt.Sprintf("UPDATE made SET raw = 'r%d' WHERE raw = 'r%d'", n(12), n(12)),
			fmt.Sprintf("DELETE FROM made WHERE raw > 'r%d'", n(9)),
			"UPDATE made SET v = v || 'x' WHERE raw < 'r4'")
	case 30:
		return pick(r, "INSERT INTO keyless SELECT * FROM keyless LIMIT 2", "UPDATE keyless SET v = 'n' || random() WHERE id = 1", "DELETE FROM keyless WHERE id = 2",
			"DELETE FROM keyless WHERE ctid = (SELECT ctid FROM keyless LIMIT 1)")
	case 31:
		return fmt.Sprintf("SELECT * FROM %s WHERE id < %d ORDER BY id FOR %s", table, n(10), pick(r, "UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"))
	case 32:
		if r.IntN(3) == 0 {
			return pick(r, "TRUNCATE parent CASCADE", "TRUNCATE ident RESTART IDENTITY", "TRUNCATE part1", "TRUNCATE base", "TRUNCATE part2")
		}
		return fmt.Sprintf("UPDATE parent SET id = id + %d WHERE id = %d", 10+n(5), n(8))
	case 33:
		return fmt.Sprintf("DELETE FROM %s WHERE id = %d", pick(r, "parent", "self"), n(10))
	case 34:
		return fmt.Sprintf("UPDATE self SET id = %d, v = '%s' WHERE id = %d", 10+n(8), v, n(10))
	case 35:
		return fmt.Sprintf("INSERT INTO %s (id, %s) SELECT g, 'bulk' FROM generate_series(%d, %d) g", table, col, 11+n(10), 21+n(200))
	case 36:
		return pick(r,
			fmt.Sprintf("INSERT INTO blurred VALUES ('%s%d', 'n') ON CONFLICT (k) DO UPDATE SET k = excluded.k", pick(r, "k", "K"), n(12)),
			fmt.Sprintf("UPDATE blurred SET k = upper(k) WHERE k < 'k%d'", n(9)),
			fmt.Sprintf("DELETE FROM blurred WHERE k = 'k%d'", n(9)),
			"UPDATE blurred SET k = lower(k)")
	case 37:
		// Who calls a sequence and writes nothing is not seen while he does: going back
		// can't wait for him, and the comparison would tell.
		const seen = "UPDATE total SET count = 0 WHERE false; "
		return pick(r, seen+"SELECT nextval('log_id_seq')", seen+"SELECT setval('log_id_seq', 3, false)", "ALTER SEQUENCE log_id_seq RESTART WITH 50", "INSERT INTO log (m) VALUES ('l')")
	case 38, 39: // a key that comes and goes
		table = pick(r, "unlogged", "hot", "word", "late")
		key, id := "id", strconv.Itoa(n(14))
		if table == "word" {
			key, id = "k", "'k"+id+"'"
		}
		del, ins := fmt.Sprintf("DELETE FROM %s WHERE %s = %s", table, key, id), fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, key, id)
		return strings.Join([]string{del, ins, del, ins, del}[r.IntN(3):], "; ")
	case 41: // tables that are published without a usable key
		return pick(r,
			fmt.Sprintf("INSERT INTO heard VALUES (%d, '%s'), (1, 'h1')", n(9), v), fmt.Sprintf("INSERT INTO heard SELECT g, 'bulk' FROM generate_series(1, %d) g", n(150)),
			fmt.Sprintf("INSERT INTO filtered VALUES (%d, '%s') ON CONFLICT DO NOTHING", n(30), v), fmt.Sprintf("INSERT INTO filtered SELECT g, 'bulk' FROM generate_series(%d, 40) g", 11+n(28)),
			fmt.Sprintf("INSERT INTO forked VALUES (%d, '%s'), (%d, 'f')", n(20), v, n(20)), fmt.Sprintf("INSERT INTO forked1 VALUES (%d, '%s')", 9+n(20), v),
			"DELETE FROM heard", "UPDATE filtered SET v = 'x'", "TRUNCATE heard", "TRUNCATE forked0", "TRUNCATE filtered")
	case 40: // nulls, and a key of the baseline that a new row has beside it until it goes
		return fmt.Sprintf("INSERT INTO late VALUES (%[1]d, 'dup'); DELETE FROM late WHERE id = %[1]d AND v = 'dup'", n(8))
	}
	return fmt.Sprintf("DELETE FROM %s; INSERT INTO %[1]s (id, v) SELECT g, 'all' FROM generate_series(1, %d) g", pick(r, "hot", "late", "unlogged", "busy"), n(20))
}
