package snapshot_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// sillyNames are no names of snapshots, or of none that is there.
var sillyNames = []string{"", " ", "..", "a/b", "\x00", "a\nb", strings.Repeat("x", 10_000), "\xff\xfe", "DROP TABLE a; --", "名前"}

// calls are what is called with silly arguments: functions with a testing.TB, and
// the store's.
var (
	sillyCalls = map[string]func(t testing.TB, name string){
		"Create":           func(t testing.TB, name string) { snapshot.Create(t, name, nil) },
		"Restore":          func(t testing.TB, name string) { snapshot.Restore(t, name, nil) },
		"Ensure":           func(t testing.TB, name string) { snapshot.Ensure(t, name, nil, nil) },
		"Clean":            func(t testing.TB, name string) { snapshot.Clean(t, snapshot.RowsOf(name, name)) },
		"Clone":            func(t testing.TB, name string) { snapshot.Clone(t, name, nil) },
		"Changes":          func(t testing.TB, name string) { snapshot.Changes(t, snapshot.Ignoring(name+".["), nil) },
		"RequireUnchanged": func(t testing.TB, name string) { snapshot.RequireUnchanged(t, snapshot.Ignoring(name+".["), nil) },
		"RequireChanges":   func(t testing.TB, name string) { snapshot.RequireChanges(t, name, snapshot.Ignoring("[")) },
	}
	sillyMethods = map[string]func(ctx context.Context, s *snapshot.Store, name string) error{
		"Create": func(ctx context.Context, s *snapshot.Store, name string) error {
			_, err := s.Create(ctx, name)
			return err
		},
		"Restore": func(ctx context.Context, s *snapshot.Store, name string) error {
			_, err := s.Restore(ctx, name)
			return err
		},
		"Ensure": func(ctx context.Context, s *snapshot.Store, name string) error {
			_, err := s.Ensure(ctx, name, func(context.Context) error { return nil })
			return err
		},
		"Verify": func(ctx context.Context, s *snapshot.Store, name string) error {
			_, err := s.Verify(ctx, name)
			return err
		},
		"Delete": func(ctx context.Context, s *snapshot.Store, name string) error { return s.Delete(ctx, name) },
		"Exists": func(ctx context.Context, s *snapshot.Store, name string) error {
			_, err := s.Exists(ctx, name)
			return err
		},
		"Clone": func(ctx context.Context, s *snapshot.Store, name string) error {
			_, err := s.Clone(ctx, name)
			return err
		},
		"Clean": func(ctx context.Context, s *snapshot.Store, _ string) error { return s.Clean(ctx) },
		"Changes": func(ctx context.Context, s *snapshot.Store, _ string) error {
			_, err := s.Changes(ctx)
			return err
		},
		"Untrack":    func(ctx context.Context, s *snapshot.Store, _ string) error { return s.Untrack(ctx) },
		"DropCopies": func(ctx context.Context, s *snapshot.Store, _ string) error { return s.DropCopies(ctx) },
		"List":       func(ctx context.Context, s *snapshot.Store, _ string) error { _, err := s.List(ctx); return err },
	}
	// sillyValues were made by nobody.
	sillyValues = map[string]func(t *testing.T){
		"Cloned.Close": func(t *testing.T) {
			require.NoError(t, (&snapshot.Cloned{}).Close())
			require.NoError(t, (*snapshot.Cloned)(nil).Close(), "deferred before the error is looked at")
		},
		"ChangeSet.Empty":  func(t *testing.T) { require.True(t, snapshot.ChangeSet{}.Empty()) },
		"ChangeSet.String": func(t *testing.T) { require.NotPanics(t, func() { _ = snapshot.ChangeSet{}.String() }) },
		"ChangeSet.Text": func(t *testing.T) {
			require.NotPanics(t, func() { _ = strangeChanges.Text() + strangeChanges.String() })
		},
		"ChangeSet.Summary": func(t *testing.T) {
			require.NotPanics(t, func() { _ = snapshot.ChangeSet{}.Summary() + strangeChanges.Summary() })
		},
		"ChangeSet.Table":       func(t *testing.T) { require.Empty(t, strangeChanges.Table("\x00.[").Rows) },
		"TableChanges.Inserted": func(t *testing.T) { require.Empty(t, snapshot.TableChanges{}.Inserted()) },
		"TableChanges.Updated":  func(t *testing.T) { require.Len(t, strangeChanges.Table("a").Updated(), 1) },
		"TableChanges.Deleted":  func(t *testing.T) { require.Len(t, strangeChanges.Table("a").Deleted(), 1) },
		"Row.FieldDescriptions": func(t *testing.T) { require.Empty(t, snapshot.Row{}.FieldDescriptions()) },
		"Row.RawValues":         func(t *testing.T) { require.Empty(t, snapshot.Row{}.RawValues()) },
		"Row.Columns":           func(t *testing.T) { require.Empty(t, snapshot.Row{}.Columns()) },
		"Row.Scan": func(t *testing.T) {
			var text string
			for _, dest := range [][]any{{nil}, {&text}, {text}, {(*string)(nil)}, {make(chan int)}, {nil, nil}} {
				require.Error(t, snapshot.Row{}.Scan(dest...), "%v", dest)
			}
			_, err := pgx.RowToStructByName[struct{ ID int }](snapshot.Row{})
			require.Error(t, err)
		},
		"Row.Values": func(t *testing.T) {
			values, err := snapshot.Row{}.Values()
			require.NoError(t, err)
			require.Empty(t, values)
		},
		"Row.Get": func(t *testing.T) {
			_, err := snapshot.Row{}.Get("\x00")
			require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
		},
		"Outside.String": func(t *testing.T) {
			require.NotPanics(t, func() {
				_ = snapshot.Outside{}.String()
				_ = snapshot.Outside{Name: "%s", Kind: "%d", Why: "nothing", Extension: "%v"}.String()
				_ = snapshot.Outside{Why: snapshot.OutsideExtension}.String()
			})
		},
		"Info.String": func(t *testing.T) {
			require.NotPanics(t, func() { _ = snapshot.Info{}.String() })
			require.NotPanics(t, func() { _ = snapshot.Info{Name: "\x00", Tables: []snapshot.TableInfo{{Rows: -1}}}.String() })
		},
	}
	// strangeChanges say little of what they tell.
	strangeChanges = snapshot.ChangeSet{Tables: []snapshot.TableChanges{{}, {Table: "a", Rows: []snapshot.RowChange{
		{}, {Op: snapshot.Update}, {Op: snapshot.Delete}, {Op: "\x00"}}}}}
	// options, tested with what takes them
	constructors = []string{"NewStore", "AllowDatabase", "Description", "Exclude", "Ignoring", "LogChanges", "MaxAge", "OnSchemaMismatch", "Replace", "Rows",
		"RowsOf", "SkipMissing", "Tables", "TerminateBlockers", "Version", "WithDir", "WithLanguage", "WithLogger", "WithProgress", "WithRetry"}
)

func TestMisuse(t *testing.T) {
	b := setupShop(t)
	before := state(t, b.pool)
	n := 0
	for what, call := range sillyCalls {
		for _, name := range sillyNames {
			fault.Within(t, what, func() {
				w := watch(t, func(t testing.TB) { call(t, name) })
				if !w.failed || w.log.Len() < 20 {
					t.Errorf("%s(%q): failed: %v, with %q", what, name, w.failed, w.log.String())
				}
			})
			n++
		}
	}
	require.Equal(t, before, state(t, b.pool))

	closed, err := pgxpool.New(t.Context(), fixtures.URL(t))
	require.NoError(t, err)
	closed.Close()
	deadStore, err := snapshot.NewStore(closed, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for what, call := range sillyMethods {
		for _, name := range sillyNames {
			fault.Within(t, what, func() {
				err := call(cancelled, b.store, name)
				if name != "名前" && what != "Clean" && what != "Untrack" && what != "DropCopies" && what != "Changes" && what != "List" {
					require.Error(t, err, "%s(%q)", what, name)
				}
			})
			n++
		}
		// A closed pool tells its address, and the store has connections of its own.
		fault.Within(t, what, func() { _ = call(t.Context(), deadStore, "名前") })
		n++
	}
	for _, name := range slices.Sorted(maps.Keys(sillyValues)) {
		fault.Within(t, name, func() { sillyValues[name](t) })
		n++
	}
	for what, call := range sillyMethods {
		for _, store := range []*snapshot.Store{nil, {}} {
			fault.Within(t, what+" of no store", func() {
				require.ErrorIs(t, call(t.Context(), store, "a"), snapshot.ErrInvalidArgument, what)
			})
			n++
		}
	}
	_, err = snapshot.NewStore(nil)
	require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
	_, err = snapshot.NewStore(b.pool, nil)
	require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
	for _, option := range []snapshot.StoreOption{snapshot.WithLanguage("xx"), snapshot.WithDir(" "), snapshot.Rows(""), snapshot.RowsOf("", ""), snapshot.Tables(), snapshot.Tables("["), snapshot.Exclude("")} {
		_, err = snapshot.NewStore(b.pool, option)
		require.ErrorIs(t, err, snapshot.ErrInvalidArgument)
		n++
	}
	t.Logf("fault: %d tried", n)
}

// TestMisuseInOddPlaces: after the test's end, in goroutines, in parallel subtests,
// from another test.
func TestMisuseInOddPlaces(t *testing.T) {
	b := setupShop(t)
	dir := snapshot.WithDir(b.dir)
	w := watch(t, func(t testing.TB) { t.Cleanup(func() { snapshot.Restore(t, "a", dir); snapshot.RequireUnchanged(t) }) })
	require.False(t, w.failed, w.log.String())
	fault.Within(t, "Restore of an ended test", func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			snapshot.Restore(w, "a", dir)
		}()
		<-done
	})
	fault.Within(t, "Restores side by side in one test", func() {
		results := make(chan bool, 8)
		for range 8 {
			go func() {
				ok := false
				defer func() { results <- ok }()
				snapshot.Restore(t, "a", dir)
				ok = true
			}()
		}
		for range 8 {
			require.True(t, <-results)
		}
	})
	text := ""
	fault.Within(t, "Restore by another test", func() {
		done := make(chan struct{})
		other := &watched{TB: t, name: "TestOther"}
		go func() {
			defer close(done)
			fixtures.Use(other, b.pool, fixtures.AllowDatabase(nameOf(t, b.pool)))
			snapshot.Restore(other, "b", dir)
		}()
		<-done
		for _, c := range other.cleanups {
			c()
		}
		text = other.log.String()
	})
	require.Contains(t, text, `no snapshot "b"`)
	snapshot.RequireUnchanged(t)
}

// TestMisuseKnowsAll: what is exported is called above.
func TestMisuseKnowsAll(t *testing.T) {
	packages, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0) //nolint:staticcheck // build tags do not matter here
	require.NoError(t, err)
	known := map[string]bool{}
	for _, name := range constructors {
		known[name] = true
	}
	for name := range sillyCalls {
		known[name] = true
	}
	for name := range sillyMethods {
		known["Store."+name] = true
	}
	for name := range sillyValues {
		known[name] = true
	}
	for _, file := range packages["snapshot"].Files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				var receiver strings.Builder
				ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						receiver.WriteString(id.Name)
					}
					return true
				})
				if !ast.IsExported(receiver.String()) {
					continue
				}
				name = receiver.String() + "." + name
			}
			require.True(t, known[name], fmt.Sprintf("%s is not among the silly calls", name))
		}
	}
}

// hostileSchema is called after SQL, and shadows what PostgreSQL has.
const hostileSchema = `
	CREATE SCHEMA "DROP SCHEMA public; --";
	CREATE TYPE "DROP SCHEMA public; --"."enum'; --" AS ENUM ('''); DROP TABLE x; --', '$$', '"');
	CREATE TABLE "DROP SCHEMA public; --"."t.""; DELETE FROM x; --" ("horizon" int PRIMARY KEY, "why'" text, "changed" int, kind "DROP SCHEMA public; --"."enum'; --", c1 text, "j.c1" text, "$1" text, "new" text, "old" text, "select * from" text, "a
b" text);
	INSERT INTO "DROP SCHEMA public; --"."t.""; DELETE FROM x; --" SELECT i, 'why', i, '$$', 'c', E'\\', '$groundhog$', 'n', 'o', ''';', E'x\ny' FROM generate_series(1, 50) i;
	CREATE TABLE "` + "プロジェクト_的_とても長い名前の表" + `" (id serial PRIMARY KEY, v text);
	CREATE TABLE "63 bytes long, and all of them are used for the name of a table" ("63 bytes long, and all of them are used for the name of a table" int PRIMARY KEY);
	INSERT INTO "63 bytes long, and all of them are used for the name of a table" VALUES (1);
	CREATE TABLE raising (id int PRIMARY KEY, v text);
	INSERT INTO raising VALUES (1, 'a'), (2, 'b');
	CREATE FUNCTION public.raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
	CREATE TRIGGER raise BEFORE UPDATE OR DELETE ON raising FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION public.raise();
	CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.count(anyelement) RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
	CREATE FUNCTION public.setval(regclass, bigint, boolean) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.wrong(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
	CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = int, FUNCTION = public.wrong);
	CREATE FUNCTION public.wrong(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
	CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.wrong);
	CREATE TABLE public.pg_class (oid int); CREATE TABLE public.pg_sequence (oid int)`

func TestHostileSchema(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"shadowed": "public, pg_catalog", "nonsense": `"no such schema", "DROP SCHEMA public; --"`, "empty": `''`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fixtures.WithSchema(hostileSchema))
			exec(t, b.pool, `ALTER DATABASE `+nameOf(t, b.pool)+` SET search_path = `+path)
			ctx := t.Context()
			sane := func(url string) *pgxpool.Pool {
				config, err := pgxpool.ParseConfig(url)
				require.NoError(t, err)
				config.ConnConfig.RuntimeParams["search_path"] = "pg_catalog"
				pool, err := pgxpool.NewWithConfig(ctx, config)
				require.NoError(t, err)
				t.Cleanup(pool.Close)
				return pool
			}
			truth := sane(fixtures.URL(t))
			_, err := b.store.Create(ctx, "DROP TABLE x; --'")
			require.NoError(t, err)
			_, err = b.store.Restore(ctx, "DROP TABLE x; --'")
			require.NoError(t, err)
			before := state(t, truth)
			b.pool.Reset() // its connections have the path from now on
			for range 2 {
				exec(t, b.pool, `SET search_path = pg_catalog; UPDATE "DROP SCHEMA public; --"."t.""; DELETE FROM x; --" SET "horizon" = "horizon" + 100 WHERE "horizon" < 9;
					UPDATE "DROP SCHEMA public; --"."t.""; DELETE FROM x; --" SET kind = '"', c1 = NULL WHERE "horizon" > 140; DELETE FROM "DROP SCHEMA public; --"."t.""; DELETE FROM x; --" WHERE "horizon" BETWEEN 30 AND 35;
					INSERT INTO public.raising VALUES (3, 'c'); UPDATE public.raising SET v = 'x' WHERE id = 1;
					INSERT INTO public."プロジェクト_的_とても長い名前の表" (v) VALUES ('行'); DELETE FROM public."63 bytes long, and all of them are used for the name of a table"; RESET search_path`)
				c, err := b.store.Changes(ctx)
				require.NoError(t, err)
				require.Len(t, c.Tables, 4, c.Summary())
				require.Len(t, c.Table(`DROP SCHEMA public; --.t."; DELETE FROM x; --`).Deleted(), 14)
				restored, err := b.store.Restore(ctx, "DROP TABLE x; --'")
				require.NoError(t, err)
				require.NotContains(t, fmt.Sprint(restored.Methods), snapshot.Reloaded)
				require.Equal(t, before, state(t, truth))
				exec(t, b.pool, `SET search_path = pg_catalog; DELETE FROM public.raising WHERE id = 1; TRUNCATE public."プロジェクト_的_とても長い名前の表"; RESET search_path`)
				_, err = b.store.Restore(ctx, "DROP TABLE x; --'")
				require.NoError(t, err)
				require.Equal(t, before, state(t, truth))
			}
			clone, err := b.store.Clone(ctx, "DROP TABLE x; --'")
			require.NoError(t, err)
			copied := sane(clone.URL)
			require.Equal(t, before, state(t, copied))
			copied.Close()
			require.NoError(t, clone.Close())
		})
	}
}
