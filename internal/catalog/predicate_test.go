package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPredicate: what extensions give pg_dump is taken for what it is, and nothing that
// is more than a condition is put into one.
func TestPredicate(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		"":                                   "",
		" \n\t":                              "",
		"-- all":                             "",
		"/* all /* of */ it */ ":             "",
		"WHERE a":                            "a",
		"where(a)":                           "(a)",
		"/* x */WhErE -- y\n a = 1 -- z":     "a = 1 -- z",
		"WHERE a = ')' AND b = 'it''s ('":    "a = ')' AND b = 'it''s ('",
		`WHERE a = E'\') OR (' OR "(" = 1`:   `a = E'\') OR (' OR "(" = 1`,
		"WHERE a = $$)$$ OR a = $x$ $$ )$x$": "a = $$)$$ OR a = $x$ $$ )$x$",
		"WHERE a IN (SELECT b FROM c ORDER BY b LIMIT 1)": "a IN (SELECT b FROM c ORDER BY b LIMIT 1)",
		"WHERE substring(a FROM 1 FOR 2) = 'x'":           "substring(a FROM 1 FOR 2) = 'x'",
		"WHERE order_by = 1 AND x$limit = 2":              "order_by = 1 AND x$limit = 2",
		"WHERE a = 'x;y'":                                 "a = 'x;y'",
	} {
		got, ok := predicate(condition)
		require.True(t, ok, condition)
		if want != "" {
			want = "(" + want + "\n) IS TRUE"
		}
		require.Equal(t, want, got, condition)
	}
	for _, condition := range []string{
		"ORDER BY a", "LIMIT 5", "AS x WHERE x.a", "WHERE", "WHERE -- nothing", "WHERE a ORDER BY a", "WHERE a LIMIT 1", "WHERE a offset 1", "WHERE a FETCH FIRST ROW ONLY",
		"WHERE a UNION SELECT 1", "WHERE a) OR (b", "WHERE (a", "WHERE a; DROP TABLE b", "WHERE a = 'x", `WHERE "a`, "WHERE a = $$x", "WHERE a /* b", "WHERE a GROUP BY a", "WHEREa",
		"WHERE a FOR UPDATE", `WHERE a = E'\'`, "/* a", "; WHERE a",
	} {
		_, ok := predicate(condition)
		require.False(t, ok, condition)
	}
}

// TestPoke: each trigger for statements fires, whatever columns it is for.
func TestPoke(t *testing.T) {
	t.Parallel()
	name := Table{}.Name
	name.Schema, name.Name = "s", `a "b"`
	table := Table{Name: name, Columns: []string{"id", "v"}, Settable: []string{"v"}}
	own := func(kind int16, column string) Trigger {
		return Trigger{Table: name, Name: "own", Enabled: "O", Extension: true, kind: kind, column: column}
	}
	table.Triggers = []Trigger{own(triggerUpdate, ""), own(triggerUpdate|triggerDelete, "w"), own(triggerInsert, "")}
	table.Triggers = append(table.Triggers, Trigger{Table: name, Name: "the user's", Enabled: "A", kind: triggerInsert})
	require.Equal(t, CacheReset{
		DisableTriggers: []string{`ALTER TABLE ONLY "s"."a ""b""" DISABLE TRIGGER "the user's"`},
		Statements: []string{
			`UPDATE ONLY "s"."a ""b""" SET "v" = "v", "w" = "w" WHERE false`,
			`INSERT INTO "s"."a ""b""" ("id", "v") OVERRIDING SYSTEM VALUE SELECT "id", "v" FROM ONLY "s"."a ""b""" WHERE false`,
			`DELETE FROM ONLY "s"."a ""b""" WHERE false`,
		},
		EnableTriggers: []string{`ALTER TABLE ONLY "s"."a ""b""" ENABLE ALWAYS TRIGGER "the user's"`},
	}, table.CacheReset())
	table.Triggers = []Trigger{own(triggerUpdate|triggerRow, "")}
	require.Equal(t, CacheReset{}, table.CacheReset(), "a trigger for rows")
}
