package bulk_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

// hostile is called after SQL, and shadows what PostgreSQL has.
const hostile = `
	CREATE SCHEMA "DROP SCHEMA public; --";
	CREATE TYPE "DROP SCHEMA public; --"."enum'; --" AS ENUM ('''); DROP TABLE x; --', '$$', '"');
	CREATE TABLE "DROP SCHEMA public; --"."t.""; DELETE FROM x; --" ("id" serial PRIMARY KEY, "why'" text, kind "DROP SCHEMA public; --"."enum'; --", "$1" text NOT NULL, "select * from" text[], "a
b" text, "名前" text UNIQUE);
	CREATE TABLE public.child ("t.""" int REFERENCES "DROP SCHEMA public; --"."t.""; DELETE FROM x; --", id int PRIMARY KEY);
	CREATE TABLE public.raising (id int PRIMARY KEY);
	CREATE FUNCTION public.raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN RAISE 'never 2' USING HINT = '%s'; END IF; RETURN NEW; END $$;
	CREATE TRIGGER raise BEFORE INSERT ON public.raising FOR EACH ROW EXECUTE FUNCTION public.raise();
	CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.nextval(regclass) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.setval(regclass, bigint, boolean) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.generate_series(bigint, bigint) RETURNS SETOF bigint LANGUAGE sql AS 'SELECT 1::bigint';
	CREATE FUNCTION public.pg_current_xact_id() RETURNS xid8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadow'; END $$;
	CREATE TABLE public.pg_class (oid int); CREATE TABLE public.pg_constraint (oid int); CREATE TABLE public.pg_attribute (oid int)`

func TestHostileSchema(t *testing.T) {
	t.Parallel()
	type row struct {
		ID    int
		Why   string   `db:"why'"`
		Kind  string   `db:"kind"`
		Value *string  `db:"$1"`
		List  []string `db:"select * from"`
		Lines string   `db:"a\nb"`
		Name  string   `db:"名前"`
	}
	type child struct {
		Parent int `db:"t.\""`
		ID     int
	}
	const table = `"DROP SCHEMA public; --"."t.""; DELETE FROM x; --"`
	for name, path := range map[string]string{"shadowed": "public, pg_catalog", "nonsense": `"no such schema", "DROP SCHEMA public; --"`, "empty": `''`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := tablesOf(t, hostile)
			config := db.Config()
			config.ConnConfig.RuntimeParams["search_path"] = path
			if name == "empty" {
				config.ConnConfig.RuntimeParams["search_path"] = ""
			}
			odd, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(odd.Close)

			text := `'; DROP TABLE x; --\."`
			rows := make([]row, 700) // enough for the fast way
			for i := range rows {
				rows[i] = row{Why: text, Kind: `'); DROP TABLE x; --`, Value: &text, List: []string{`{"},NULL`, `\`}, Lines: "\t\n\\N", Name: fmt.Sprint("名前", i)}
			}
			rows = bulk.Insert(t, odd, table, rows)
			require.Equal(t, rows, read[row](t, db, "SELECT * FROM "+table+" ORDER BY id"))
			children := make([]child, 700)
			for i := range children {
				children[i] = child{Parent: rows[i].ID, ID: i}
			}
			bulk.Insert(t, odd, "public.child", children)
			before := []int{700, 700, 0}
			sizes := func() []int {
				return []int{one[int](t, db, "SELECT pg_catalog.count(*) FROM "+table), one[int](t, db, "SELECT pg_catalog.count(*) FROM public.child"), one[int](t, db, "SELECT pg_catalog.count(*) FROM public.raising")}
			}
			require.Equal(t, before, sizes())

			// What is refused is told as it is.
			var refused *bulk.ConstraintError
			children[650] = child{Parent: -7, ID: 10_650}
			for i := range children {
				children[i].ID += 1000
			}
			_, err = bulk.InsertRows(t.Context(), odd, "public.child", children)
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 650, refused.Row)
			require.Equal(t, []string{`t."`}, refused.Columns)
			again := []row{{Kind: "$$", Value: &text, Name: "new"}, {Kind: "$$", Value: &text, Name: "名前3"}}
			_, err = bulk.InsertRows(t.Context(), odd, table, again)
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 1, refused.Row)
			again[1] = row{Kind: "$$", Name: "other"}
			_, err = bulk.InsertRows(t.Context(), odd, table, again)
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 1, refused.Row)
			require.Equal(t, []string{"$1"}, refused.Columns)
			var misfit *bulk.RowError
			again[1] = row{Kind: "no such label", Value: &text, Name: "other"}
			_, err = bulk.InsertRows(t.Context(), odd, table, again)
			require.ErrorAs(t, err, &misfit)
			require.Equal(t, 1, misfit.Row)
			_, err = bulk.InsertRows(t.Context(), odd, "public.raising", []struct{ ID int }{{1}, {2}, {3}})
			require.ErrorContains(t, err, "never 2")
			require.ErrorContains(t, err, "%s")
			require.Equal(t, before, sizes())
			require.Zero(t, odd.Stat().AcquiredConns())
		})
	}
}
