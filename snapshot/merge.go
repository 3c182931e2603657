package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// merger replaces the rows in scope among others. The snapshot's rows come into
// a temporary table first, since their keys tell which rows belong to it; so do
// rows whose columns are not those of the table any more.
//
// In replica role the rows are deleted and inserted: nothing reacts to that.
// Without it a DELETE would cascade to rows that are not in scope; so only rows
// go that are not in the snapshot, all in one statement, after which their
// foreign keys are checked, and the others are updated in place.
type merger struct{ *copier }

// staged names the temporary table with the rows of the n-th step.
func staged(n int) string { return fmt.Sprintf("pg_temp.groundhog_new_%d", n) }

// remove removes the rows in scope; without replica role, only those that are not
// in the snapshot. The conditions are all evaluated before anything changes.
func (m merger) remove(ctx context.Context, plan []loadStep) error {
	conditions := map[int]string{}
	for n, s := range plan {
		if s.how != byMerge {
			continue
		}
		where := s.where
		if !m.privileges.Replica {
			if err := m.stage(ctx, n, s); err != nil {
				return ofTable(s.table.Name, err)
			}
			where += " AND NOT " + m.isStaged(n, s, catalog.Ident(s.table.Name))
		}
		conditions[n] = where
	}
	if len(conditions) == 0 {
		return nil
	}
	return m.underReadPaths(ctx, func() error { // as when the rows were saved
		if !m.privileges.Replica {
			if err := m.checkCascades(ctx, plan); err != nil {
				return err
			}
		}
		conditions, err := m.truncateFirst(ctx, plan, conditions)
		if err != nil {
			return err
		}
		var deletes []string
		for n, where := range conditions {
			deletes = append(deletes, fmt.Sprintf("d%d AS (DELETE FROM %s WHERE %s)", n, plan[n].table.Only(), where))
		}
		return m.exec(ctx, "WITH "+strings.Join(deletes, ", ")+" SELECT")
	})
}

// stage loads the rows of the n-th step into its temporary table.
func (m merger) stage(ctx context.Context, n int, s loadStep) error {
	columns, err := m.stagedColumns(ctx, s)
	if err != nil {
		return err
	}
	if err := m.exec(ctx, fmt.Sprintf("CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT %s FROM %s WITH NO DATA", staged(n), columns, s.table.Only())); err != nil {
		return err
	}
	if err := m.copyIn(ctx, staged(n), s); err != nil || s.part == nil || s.part.Rows == 0 {
		return err
	}
	return m.exec(ctx, "ANALYZE "+staged(n)) // else the planner takes it for a small one
}

// stagedColumns gives the temporary table the file's columns in the types that
// they were saved in, as far as these are still there.
func (m merger) stagedColumns(ctx context.Context, s loadStep) (string, error) {
	if s.part == nil || m.fits(s) {
		return identifiers(s.table.Columns), nil
	}
	var list []string
	for _, c := range s.part.Columns {
		live, saved := m.types[s.table.Name][c], m.saved[s.table.Name][c]
		if live == saved {
			list = append(list, identifiers([]string{c}))
			continue
		}
		var there bool
		if err := m.tx.QueryRow(ctx, "SELECT pg_catalog.to_regtype($1) IS NOT NULL", saved).Scan(&there); err != nil {
			return "", err
		}
		kind := saved
		switch {
		case live == "" && s.part.Format == snapfile.Binary: // thrown away: any value is one
			kind = "pg_catalog.bytea"
		case live == "":
			kind = "pg_catalog.text"
		case !there:
			kind = live
		}
		list = append(list, "NULL::"+kind+" AS "+identifiers([]string{c}))
	}
	return strings.Join(list, ", "), nil
}

// values lists the values of the columns; those of another type are read from
// their text, as COPY would.
func (m merger) values(s loadStep) string {
	var list []string
	for _, c := range s.columns() {
		value := identifiers([]string{c})
		if live := m.types[s.table.Name][c]; !m.fits(s) && live != m.saved[s.table.Name][c] {
			value = value + "::pg_catalog.text::" + live
		}
		list = append(list, value)
	}
	return strings.Join(list, ", ")
}

// isStaged is the condition that a row is in the snapshot, by its key.
func (m merger) isStaged(n int, s loadStep, row string) string {
	if !m.keyed(s) {
		return "false"
	}
	same := make([]string, len(s.table.OrderBy))
	for i, c := range s.table.OrderBy {
		column := pgx.Identifier{c}.Sanitize()
		same[i] = "n." + column + " = " + row + "." + column
	}
	return fmt.Sprintf("EXISTS (SELECT FROM %s n WHERE %s)", staged(n), strings.Join(same, " AND "))
}

// keyed reports whether the rows of the snapshot can be told apart by a key.
func (m merger) keyed(s loadStep) bool {
	if !s.table.Key || s.part == nil {
		return false
	}
	columns := s.columns()
	return !slices.ContainsFunc(s.table.OrderBy, func(c string) bool { return !slices.Contains(columns, c) })
}

// insert puts the snapshot's rows of the n-th step in place.
func (m merger) insert(ctx context.Context, n int, s loadStep) error {
	if s.part == nil || s.part.Rows == 0 {
		return nil
	}
	columns := identifiers(s.columns())
	insert := fmt.Sprintf("INSERT INTO %s AS groundhog_into (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s", catalog.Ident(s.table.Name), columns, m.values(s), staged(n))
	replaceRows := m.privileges.Replica || s.table.Deferrable
	if m.privileges.Replica || s.how != byMerge {
		if err := m.stage(ctx, n, s); err != nil {
			return err
		}
	}
	if s.how == byMerge && replaceRows && m.keyed(s) {
		if err := m.exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s", s.table.Only(), m.isStaged(n, s, catalog.Ident(s.table.Name)))); err != nil {
			return err
		}
	}
	skips := false // rows that are there, which are not counted then
	if s.how == byMerge && !replaceRows && m.keyed(s) {
		set := updates(s)
		skips = set == ""
		insert += " ON CONFLICT (" + identifiers(s.table.OrderBy) + ") DO "
		if skips {
			insert += "NOTHING"
		} else {
			insert += "UPDATE SET " + set
		}
	}
	tag, err := m.tx.Exec(ctx, insert)
	if err != nil {
		return err
	}
	if got := tag.RowsAffected(); got != s.part.Rows && !skips {
		return m.rowsMissing(*s.part, got)
	}
	return m.exec(ctx, "DROP TABLE "+staged(n))
}

// updates lists what is set in a row that is there, whose key is the same.
func updates(s loadStep) string {
	var set []string
	for _, c := range s.columns() {
		if !slices.Contains(s.table.OrderBy, c) {
			column := pgx.Identifier{c}.Sanitize()
			set = append(set, column+" = EXCLUDED."+column)
		}
	}
	return strings.Join(set, ", ")
}

// reachesChildren reports whether a DELETE of a referenced row deletes or changes the rows
// that reference it, by the code of the action in pg_constraint: CASCADE, SET NULL, SET
// DEFAULT.
func reachesChildren(onDelete string) bool {
	return onDelete == "c" || onDelete == "n" || onDelete == "d"
}

// checkCascades refuses to delete rows in scope when that would delete or change
// others: those that reference them by a foreign key with ON DELETE CASCADE, SET
// NULL or SET DEFAULT. The server refuses the other sorts by itself.
func (m merger) checkCascades(ctx context.Context, plan []loadStep) error {
	at := map[schema.Name]int{}
	for n, s := range plan {
		at[s.table.Name] = n
	}
	for _, t := range slices.Concat(m.sel.Tables, m.sel.others) {
		outside := "true"
		if n, in := at[t.Name]; in {
			if plan[n].how != byMerge {
				continue // all its rows are in scope
			}
			outside = fmt.Sprintf("(%s) IS NOT TRUE AND NOT %s", plan[n].where, m.isStaged(n, plan[n], "c"))
		}
		for _, fk := range t.ForeignKeys {
			n, in := at[fk.References]
			if !in || plan[n].how != byMerge || !reachesChildren(fk.OnDelete) {
				continue
			}
			var rows int64
			var first *string
			goes := fk.Matching(len(fk.Columns)) + " AND " + plan[n].where + " AND NOT " + m.isStaged(n, plan[n], "p")
			err := m.tx.QueryRow(ctx, "SELECT pg_catalog.count(*), pg_catalog.min(ROW("+columnsOf("c", fk.Columns)+")::pg_catalog.text)"+
				" FROM "+m.only(fk.Table)+" c WHERE "+outside+
				" AND EXISTS (SELECT FROM "+m.only(fk.Target)+" p WHERE "+goes+")").Scan(&rows, &first)
			if err != nil {
				return ofTable(fk.Table, err)
			}
			if rows > 0 {
				return errs.New(ErrConflict, msg.ForeignKeyBroken.In(m.cfg.lang, fk.Table.String(), msg.Count(rows), fk.Target.String(), fk.Name,
					strings.Join(fk.Columns, ", "), *first), nil)
			}
		}
	}
	return nil
}

// truncateFirst truncates the tables that are, before rows go that theirs reference:
// where foreign keys can't be switched off these would hold them. The conditions on
// the rows that go may look at those tables, so it is noted first which they are.
func (m merger) truncateFirst(ctx context.Context, plan []loadStep, conditions map[int]string) (noted map[int]string, err error) {
	if m.privileges.Replica {
		return conditions, nil
	}
	merged := map[schema.Name]bool{}
	for n := range conditions {
		merged[plan[n].table.Name] = true
	}
	var truncate []string
	needed := false
	for _, s := range plan {
		if s.how != byTruncate {
			continue
		}
		truncate = append(truncate, s.table.Only())
		needed = needed || slices.ContainsFunc(s.table.ForeignKeys, func(fk catalog.ForeignKey) bool { return merged[fk.References] })
	}
	if !needed {
		return conditions, nil
	}
	noted = map[int]string{}
	var sql []string
	for n, where := range conditions {
		gone := fmt.Sprintf("pg_temp.groundhog_gone_%d", n)
		sql = append(sql, fmt.Sprintf("CREATE TEMPORARY TABLE %s ON COMMIT DROP AS SELECT tableoid AS relation, ctid AS place FROM %s WHERE %s", gone, plan[n].table.Only(), where))
		noted[n] = "(tableoid, ctid) IN (SELECT relation, place FROM " + gone + ")"
	}
	return noted, catalog.ExecScript(ctx, m.tx, append(sql, "TRUNCATE TABLE "+strings.Join(truncate, ", "))...)
}
