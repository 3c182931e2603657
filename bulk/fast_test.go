package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
	"github.com/groundhogdb/groundhog/internal/cost"
)

// many is a number of rows that is worth the fast way.
const many = 1000

// watched opens tables, and a pool whose statements are seen.
func watched(t *testing.T, ddl string, more ...func(*pgxpool.Config)) (*pgxpool.Pool, *cost.Wire) {
	t.Helper()
	db := tablesOf(t, ddl)
	superuser(t, db)
	config := db.Config()
	wire := cost.Watch(&config.ConnConfig.Config)
	for _, f := range more {
		f(config)
	}
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db, wire
}

// fast reports whether triggers were switched off since it was asked last.
func fast(wire *cost.Wire) bool {
	defer wire.Reset()
	return slices.ContainsFunc(wire.Statements(), func(s string) bool { return strings.Contains(s, "session_replication_role = replica") })
}

// child is a row of the tables of this file.
type child struct {
	ID     int
	Parent *int
}

// children makes rows that all have the parents from 1 on.
func children(from int) []child {
	rows := make([]child, many)
	for i := range rows {
		rows[i] = child{ID: from + i, Parent: new(1 + i)}
	}
	return rows
}

const parentsSQL = `CREATE TABLE parents (id int PRIMARY KEY, v text); INSERT INTO parents SELECT generate_series(1, 1000);`

func TestBrokenForeignKeysAreFoundEitherWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ddl  string
		fast bool
	}{
		"plain":             {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`, true},
		"not valid":         {`CREATE TABLE c (id int PRIMARY KEY, parent int); INSERT INTO c VALUES (-1, -1); ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (parent) REFERENCES parents NOT VALID`, true},
		"deferred":          {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents DEFERRABLE INITIALLY DEFERRED)`, true},
		"partitioned child": {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents) PARTITION BY RANGE (id); CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (700); CREATE TABLE c2 PARTITION OF c DEFAULT`, true},
		"a partition's own": {`CREATE TABLE c (id int PRIMARY KEY, parent int) PARTITION BY RANGE (id); CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (300); CREATE TABLE c2 PARTITION OF c DEFAULT; ALTER TABLE c2 ADD CONSTRAINT fk FOREIGN KEY (parent) REFERENCES parents`, true},
		"inherited from":    {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents); CREATE TABLE heir () INHERITS (c); INSERT INTO heir VALUES (-1, -1)`, true},
		"partitioned parent": {`CREATE TABLE pp (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE pp1 PARTITION OF pp FOR VALUES FROM (0) TO (300); CREATE TABLE pp2 PARTITION OF pp DEFAULT;
			INSERT INTO pp SELECT id FROM parents; CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES pp)`, true},
		"another type":           {`CREATE TABLE bp (id bigint PRIMARY KEY); INSERT INTO bp SELECT id FROM parents; CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES bp)`, true},
		"odd names":              {`CREATE SCHEMA "S ""x"; CREATE TABLE "S ""x"."P" ("I d" int PRIMARY KEY); INSERT INTO "S ""x"."P" SELECT id FROM parents; CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES "S ""x"."P")`, true},
		"trigger":                {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION f()`, false},
		"trigger for updates":    {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE UPDATE ON c FOR EACH ROW EXECUTE FUNCTION f()`, true},
		"trigger of a partition": {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents) PARTITION BY RANGE (id); CREATE TABLE c1 PARTITION OF c DEFAULT; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t AFTER INSERT ON c1 FOR EACH ROW EXECUTE FUNCTION f()`, false},
		"deferrable unique":      {`CREATE TABLE c (id int PRIMARY KEY DEFERRABLE, parent int CONSTRAINT fk REFERENCES parents)`, false},
		"always by a user":       {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE c ENABLE ALWAYS TRIGGER t`, false},
		"always by groundhog":    {`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents); CREATE SCHEMA groundhog; CREATE FUNCTION groundhog.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER t AFTER INSERT ON c FOR EACH STATEMENT EXECUTE FUNCTION groundhog.f(); ALTER TABLE c ENABLE ALWAYS TRIGGER t`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, wire := watched(t, parentsSQL+c.ddl)
			ctx := t.Context()
			wire.Reset()
			require.Len(t, bulk.Insert(t, db, "c", children(1)), many)
			require.Equal(t, c.fast, fast(wire))

			rows := children(2001)
			rows[777].Parent = new(4711)
			rows[778].Parent = nil
			_, err := bulk.InsertRows(ctx, db, "c", rows)
			requireForeignKey(t, err, 777, "4711")
			require.Equal(t, c.fast, fast(wire))
			_, err = bulk.InsertRowsSeq(ctx, db, "c", slices.Values(rows))
			requireForeignKey(t, err, -1, "4711")
			require.Equal(t, many, one[int](t, db, "SELECT count(*) FROM c WHERE id > 0"))
			require.Equal(t, "origin", one[string](t, db, "SHOW session_replication_role"))
		})
	}
}

func requireForeignKey(t *testing.T, err error, row int, value string) {
	t.Helper()
	var refused *bulk.ConstraintError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, bulk.ForeignKey, refused.Kind)
	require.Equal(t, "public.c", refused.Table)
	require.Equal(t, []string{"parent"}, refused.Columns)
	require.Equal(t, "fk", refused.Constraint)
	require.NotEmpty(t, refused.References)
	require.Equal(t, row, refused.Row)
	if row >= 0 {
		require.Equal(t, fmt.Sprint("id=", 2001+row), refused.Key)
	}
	require.Contains(t, refused.Detail, "Key (parent)=("+value+") is not present in table ")
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "23503", pg.Code)
}

func TestMatchFullAndSeveralColumns(t *testing.T) {
	t.Parallel()
	type row struct {
		ID   int
		A, B *int
	}
	for match, mixed := range map[string]bool{"SIMPLE": true, "FULL": false} {
		db, wire := watched(t, `CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); INSERT INTO p VALUES (1, 2);
			CREATE TABLE c (id int PRIMARY KEY, a int, b int, CONSTRAINT fk FOREIGN KEY (a, b) REFERENCES p MATCH `+match+`)`)
		rows := make([]row, many)
		for i := range rows {
			rows[i] = row{ID: i, A: new(1), B: new(2)}
		}
		rows[5].A, rows[5].B = nil, nil
		bulk.Insert(t, db, "c", rows)
		require.True(t, fast(wire))
		execSQL(t, db, "DELETE FROM c")
		rows[6].A = nil
		_, err := bulk.InsertRows(t.Context(), db, "c", rows)
		if mixed {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "MATCH FULL")
		}
		execSQL(t, db, "DELETE FROM c")
		rows[6].A, rows[7].B = new(1), new(3)
		_, err = bulk.InsertRows(t.Context(), db, "c", rows)
		var refused *bulk.ConstraintError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 7, refused.Row)
		require.Equal(t, "Key (a, b)=(1, 3) is not present in table \"p\".", refused.Detail)
		require.Equal(t, []string{"a", "b"}, refused.Columns)
	}
}

func TestSelfReferencesInOneLoad(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, `CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES c)`)
	rows := make([]child, many)
	for i := range rows {
		rows[i] = child{ID: 2001 + i, Parent: new(2001 + (i+1)%many)} // each the next
	}
	bulk.Insert(t, db, "c", rows)
	require.True(t, fast(wire))
	execSQL(t, db, "TRUNCATE c")
	require.Equal(t, int64(many), bulk.InsertSeq(t, db, "c", slices.Values(rows)))
	execSQL(t, db, "TRUNCATE c")
	rows[777].Parent = new(4711)
	_, err := bulk.InsertRows(t.Context(), db, "c", rows)
	requireForeignKey(t, err, 777, "4711")
}

func TestDeferrableUniqueIsStillChecked(t *testing.T) {
	t.Parallel()
	db, _ := watched(t, parentsSQL+`CREATE TABLE c (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, parent int REFERENCES parents)`)
	rows := children(1)
	rows[500].ID = 7
	_, err := bulk.InsertRows(t.Context(), db, "c", rows)
	var refused *bulk.ConstraintError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, bulk.Unique, refused.Kind)
	require.Equal(t, 500, refused.Row, "the second of two equal ones")
	require.Zero(t, one[int](t, db, "SELECT count(*) FROM c"))
}

// A parent that was there before must not be deleted between the check and the
// commit: a check without a lock would leave orphans.
func TestParentsThatWereThereBeforeAreLocked(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`)
	ctx := t.Context()
	tx, err := db.Begin(ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	bulk.Insert(t, tx, "c", children(1)) // checked, and not committed
	require.True(t, fast(wire))
	deleted := make(chan error, 1)
	go func() {
		_, err := db.Exec(ctx, "DELETE FROM parents WHERE id = 500")
		deleted <- err
	}()
	require.Eventually(t, func() bool {
		return one[bool](t, db, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM parents%')")
	}, 10*time.Second, 5*time.Millisecond, "the delete waits")
	require.NoError(t, tx.Commit(ctx))
	var pg *pgconn.PgError
	require.ErrorAs(t, <-deleted, &pg)
	require.Equal(t, "23503", pg.Code)
	require.Equal(t, many, one[int](t, db, "SELECT count(*) FROM c JOIN parents p ON p.id = c.parent"))
}

// The other way round: a parent that somebody is about to delete.
func TestAParentThatIsBeingDeletedIsWaitedFor(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`)
	ctx := t.Context()
	tx, err := db.Begin(ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	_, err = tx.Exec(ctx, "DELETE FROM parents WHERE id = 500")
	require.NoError(t, err)
	loaded := make(chan error, 1)
	go func() {
		_, err := bulk.InsertRows(ctx, db, "c", children(2001))
		loaded <- err
	}()
	require.Eventually(t, func() bool {
		return one[bool](t, db, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR KEY SHARE%')")
	}, 10*time.Second, 5*time.Millisecond, "the check waits")
	require.NoError(t, tx.Commit(ctx))
	requireForeignKey(t, <-loaded, 499, "500")
	require.True(t, fast(wire))
}

func TestSettingsOfTheCallersTransactionArePutBack(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`)
	ctx := t.Context()
	for role, wantFast := range map[string]bool{"origin": true, "local": true, "replica": false} {
		tx, err := db.Begin(ctx)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, "SET LOCAL session_replication_role = "+role)
		require.NoError(t, err)
		wire.Reset()
		bulk.Insert(t, tx, "c", children(1))
		require.Equal(t, wantFast, fast(wire), role)
		require.Equal(t, role, one[string](t, tx, "SHOW session_replication_role"))
		rows := children(2001)
		rows[777].Parent = new(4711)
		if wantFast {
			_, err = bulk.InsertRows(ctx, tx, "c", rows)
			requireForeignKey(t, err, 777, "4711")
			require.Equal(t, role, one[string](t, tx, "SHOW session_replication_role"))
			_, err = tx.Exec(ctx, "INSERT INTO c VALUES (9999, 4711)")
			require.Error(t, err, "its foreign keys are checked again")
		}
		require.NoError(t, tx.Rollback(ctx))
		require.Equal(t, "origin", one[string](t, db, "SHOW session_replication_role"))
	}
}

// What the caller's transaction left for its end is the caller's.
func TestDeferredForeignKeysOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents DEFERRABLE INITIALLY DEFERRED)`)
	ctx := t.Context()
	tx, err := db.Begin(ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	rows := children(1)
	rows[3].Parent = new(5000)
	bulk.Insert(t, tx, "c", rows)
	require.False(t, fast(wire))
	_, err = tx.Exec(ctx, "INSERT INTO parents VALUES (5000)")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
}

func TestOrphansOfOthersAreNotOurs(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`)
	ctx := t.Context()
	tx, err := db.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "SET LOCAL session_replication_role = replica; INSERT INTO c VALUES (-5, -5)")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	bulk.Insert(t, db, "c", children(1))
	require.True(t, fast(wire))
}

func TestWithoutTheRight(t *testing.T) {
	t.Parallel()
	role := fmt.Sprintf("gh_plain_%d", time.Now().UnixNano())
	admin := tablesOf(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`)
	superuser(t, admin)
	execSQL(t, admin, "CREATE ROLE "+role)
	t.Cleanup(func() { execSQL(t, admin, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	execSQL(t, admin, "GRANT ALL ON c, parents TO "+role)
	config := admin.Config()
	wire := cost.Watch(&config.ConnConfig.Config)
	config.ConnConfig.RuntimeParams["role"] = role
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	for lang, text := range map[string]string{"en": "the role may not set session_replication_role", "ja": "session_replication_role を設定する権限がない"} {
		var log bytes.Buffer
		set := bulk.With(db, bulk.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), bulk.WithLanguage(lang))
		wire.Reset()
		require.Len(t, bulk.Insert(t, set, "c", children(1)), many)
		require.False(t, fast(wire))
		require.Equal(t, 1, strings.Count(log.String(), text), log.String())
		rows := children(2001)
		rows[777].Parent = new(4711)
		_, err = bulk.InsertRows(t.Context(), set, "c", rows)
		requireForeignKey(t, err, 777, "4711")
		execSQL(t, admin, "DELETE FROM c")
	}
	execSQL(t, admin, "GRANT SET ON PARAMETER session_replication_role TO "+role)
	bulk.Insert(t, db, "c", children(1))
	require.True(t, fast(wire), "the right is enough, no superuser needed")
	execSQL(t, admin, "REVOKE UPDATE ON parents FROM "+role)
	bulk.Insert(t, db, "c", children(2001))
	require.False(t, fast(wire), "parents can't be locked")
	execSQL(t, admin, "REVOKE SET ON PARAMETER session_replication_role FROM "+role)
}

func TestOtherIsolationLevelsTakeTheOrdinaryWay(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`)
	tx, err := db.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	bulk.Insert(t, tx, "c", children(1))
	require.False(t, fast(wire))
}

func TestAFewRowsTakeTheOrdinaryWay(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents)`)
	bulk.Insert(t, db, "c", children(1)[:10])
	require.False(t, fast(wire))
	execSQL(t, db, "INSERT INTO c SELECT g, 1 FROM generate_series(10000, 400000) g")
	wire.Reset()
	bulk.Insert(t, db, "c", children(2001)[:400])
	require.False(t, fast(wire), "looking through the table would cost more")
}

// A deferred trigger of the user's fires at the commit of the call, under the
// role that is usual.
func TestDeferredTriggersFire(t *testing.T) {
	t.Parallel()
	db, wire := watched(t, parentsSQL+`
		CREATE TABLE a (id int PRIMARY KEY, parent int REFERENCES parents);
		CREATE TABLE c (id int PRIMARY KEY, parent int CONSTRAINT fk REFERENCES parents);
		CREATE TABLE log (role text);
		CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO log VALUES (current_setting('session_replication_role')); 
			IF NEW.id = 2778 THEN RAISE EXCEPTION 'no'; END IF;
			RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER t AFTER INSERT ON c DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f()`)
	bulk.Insert(t, db, "c", children(1))
	require.False(t, fast(wire))
	require.Equal(t, many, one[int](t, db, "SELECT count(*) FROM log WHERE role = 'origin'"))
	_, err := bulk.InsertRows(t.Context(), db, "c", children(2001))
	var refused *bulk.RowError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 777, refused.Row, "found by halves")
	require.Equal(t, "id=2778", refused.Key)
	require.Equal(t, many, one[int](t, db, "SELECT count(*) FROM c"))
	require.False(t, errors.Is(err, bulk.ErrConnection))
}
