package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Table is a table whose rows are saved and loaded, with facts of the live
// database that are no part of its schema.
type Table struct {
	schema.Name
	Partitioned bool
	Columns     []string // that COPY takes, in the table's own order
	Portable    bool     // COPY's binary form of them means the same on every server
	OrderBy     []string // the columns of its best key; none: the whole row
	Key         bool     // OrderBy is a key: no two rows are equal in it
	Deferrable  bool     // … at the end of a transaction at least
	Bytes       int64    // of its heap, partitions included
	Size        int64    // the same with what is stored out of line (TOAST)
	Rows        int64    // as the planner estimates them; below 0: not known
	Owned       bool     // by a role whose rights the current role has
	Secured     bool     // row level security hides rows from the current role
	Forced      bool     // … but not from the owner, were it not forced
	Cycle       int      // number of its component: see schema.LoadOrder
	Triggers    []Trigger
	Rules       []Trigger
	ForeignKeys []ForeignKey
	Extension   string   // that it belongs to, which names rows of it as the user's
	Condition   string   // on these rows; none: all
	Settable    []string // the columns that an UPDATE may set
	Native      bool     // functions of the extension may write to it past all triggers
}

// Only quotes a table for a statement that must see its own rows, and no others:
// those of its partitions are, those of tables that inherit from it are not.
func (t Table) Only() string {
	if t.Partitioned {
		return Ident(t.Name)
	}
	return "ONLY " + Ident(t.Name)
}

// CacheReset is what makes an extension's own triggers on its table fire without a change:
// those for statements do even where no row is concerned. An extension empties what
// it keeps in memory of the table in such triggers, and they are silent while
// rows are put back. DisableTriggers and EnableTriggers keep the
// user's own triggers out of it.
type CacheReset struct{ DisableTriggers, Statements, EnableTriggers []string }

// CacheReset returns what makes the extension to which the table belongs drop what it
// keeps in memory. There may be
// nothing to do. Triggers for rows stay silent: they speak of rows that the extension
// itself changed when they fired first, and the snapshot has what they did.
func (t Table) CacheReset() CacheReset {
	var events int16
	var set []string
	for _, g := range t.Triggers {
		if g.Extension && g.kind&triggerRow == 0 && g.fires() && g.Table == t.Name {
			events |= g.kind
			column := g.column
			if column == "" && len(t.Settable) > 0 {
				column = t.Settable[0]
			}
			quoted := pgx.Identifier{column}.Sanitize()
			if assign := quoted + " = " + quoted; column != "" && g.kind&triggerUpdate != 0 && !slices.Contains(set, assign) {
				set = append(set, assign)
			}
		}
	}
	var out CacheReset
	name, only := Ident(t.Name), t.Only()
	if len(set) > 0 {
		out.Statements = append(out.Statements, fmt.Sprintf("UPDATE %s SET %s WHERE false", only, strings.Join(set, ", ")))
	}
	if events&triggerInsert != 0 {
		var columns []string
		for _, c := range t.Columns {
			columns = append(columns, pgx.Identifier{c}.Sanitize())
		}
		into := ""
		if len(columns) > 0 {
			into = fmt.Sprintf(" (%s) OVERRIDING SYSTEM VALUE", strings.Join(columns, ", "))
		}
		out.Statements = append(out.Statements, fmt.Sprintf("INSERT INTO %s%s SELECT %s FROM %s WHERE false", name, into, strings.Join(columns, ", "), only))
	}
	if events&triggerDelete != 0 {
		out.Statements = append(out.Statements, fmt.Sprintf("DELETE FROM %s WHERE false", only))
	}
	if len(out.Statements) == 0 {
		return out
	}
	for _, g := range t.Triggers {
		if !g.Extension && g.kind&triggerRow == 0 && g.fires() && g.Table == t.Name {
			alter, trigger := "ALTER TABLE ONLY "+name+" ", pgx.Identifier{g.Name}.Sanitize()
			out.DisableTriggers = append(out.DisableTriggers, alter+"DISABLE TRIGGER "+trigger)
			out.EnableTriggers = append(out.EnableTriggers, alter+map[string]string{"O": "ENABLE", "A": "ENABLE ALWAYS"}[g.Enabled]+" TRIGGER "+trigger)
		}
	}
	return out
}
