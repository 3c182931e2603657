package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// deferForeignKeys makes it possible to load tables that reference each other in
// a circle where foreign keys can't be switched off: those of a circle become
// deferrable until the rows are in. What it returns checks them all and makes
// them what they were.
func (l *loader) deferForeignKeys() (checked func() error, err error) {
	if l.powers.Replica {
		return func() error { return nil }, nil
	}
	component := map[schema.Name]int{}
	for _, t := range l.sel.Tables {
		component[t.Name] = t.Cycle
	}
	var off, on []string
	for _, t := range l.sel.Tables {
		for _, fk := range t.ForeignKeys {
			other, in := component[fk.References]
			if fk.Deferrable || !in || other != t.Cycle || fk.References == t.Name {
				continue
			}
			alter := fmt.Sprintf("ALTER TABLE %s ALTER CONSTRAINT %s ", catalog.Ident(fk.Table), pgx.Identifier{fk.Name}.Sanitize())
			off, on = append(off, alter+"DEFERRABLE"), append(on, alter+"NOT DEFERRABLE")
		}
	}
	off = append(off, "SET CONSTRAINTS ALL DEFERRED")
	on = append([]string{"SET CONSTRAINTS ALL IMMEDIATE"}, on...)
	return func() error { return execAll(l.ctx, l.tx, on) }, execAll(l.ctx, l.tx, off)
}

// checkForeignKeys returns what checks the foreign keys that the server does not:
// in replica role, those between rows that were loaded and rows that were left
// alone, of tables outside too, and those that the file's schema may not have had. The rest is
// consistent as it was when it was saved. The caller has locked the tables, so
// what is found holds until the end of the transaction.
func (l *loader) checkForeignKeys(r *snapfile.Reader) func() error {
	return func() error {
		if !l.powers.Replica {
			return nil
		}
		whole, in := maps.Clone(l.sel.asis), map[schema.Name]bool{}
		if whole == nil {
			whole = map[schema.Name]bool{}
		}
		for _, t := range l.sel.Tables {
			in[t.Name], whole[t.Name] = true, !l.sel.partly[t.Name]
		}
		for _, t := range slices.Concat(l.sel.Tables, l.sel.others) {
			for _, fk := range t.ForeignKeys {
				loaded := whole[t.Name] && whole[fk.References] && (l.differences == nil || r == nil)
				if !fk.Validated || loaded || !in[t.Name] && !in[fk.References] {
					continue
				}
				if err := l.checkForeignKey(fk); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// checkForeignKey looks for rows that point nowhere, as the constraint's triggers
// would have.
func (l *loader) checkForeignKey(fk catalog.ForeignKey) error {
	var (
		rows  int64
		first *string
	)
	err := l.tx.QueryRow(l.ctx, fmt.Sprintf("SELECT pg_catalog.count(*), pg_catalog.min(ROW(%s)::pg_catalog.text) FROM %s c WHERE %s",
		columnsOf("c", fk.Columns), l.only(fk.Table), fk.Dangling(l.only(fk.Target)))).Scan(&rows, &first)
	if err != nil {
		return ofTable(fk.Table, err)
	}
	if rows == 0 {
		return nil
	}
	table, target, columns := fk.Table.String(), fk.Target.String(), strings.Join(fk.Columns, ", ")
	if l.leadsOutside(fk) {
		return errs.New(nil, msg.ForeignKeyOutside.In(l.cfg.lang, table, msg.Count(rows), target, fk.Name, columns, *first), nil)
	}
	return errs.New(nil, msg.ForeignKeyBroken.In(l.cfg.lang, table, msg.Count(rows), target, fk.Name, columns, *first), nil)
}

// only quotes a table for a statement on its own rows; a partitioned one has none
// but those of its partitions.
func (l *loader) only(n schema.Name) string {
	for _, t := range slices.Concat(l.sel.Tables, l.sel.others) {
		if t.Name == n {
			return t.Only()
		}
	}
	return catalog.Ident(n) // a partition
}

func columnsOf(alias string, names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = alias + "." + pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(out, ", ")
}
