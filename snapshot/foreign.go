package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// foreignKeys are those of a load.
type foreignKeys struct{ *layout }

// deferChecks makes it possible to load tables that reference each other in
// a circle where foreign keys can't be switched off: those of a circle become
// deferrable until the rows are in. What it returns checks them all and makes
// them what they were.
func (k foreignKeys) deferChecks(ctx context.Context) (checked func() error, err error) {
	if k.privileges.Replica {
		return func() error { return nil }, nil
	}
	component := map[schema.Name]int{}
	for _, t := range k.sel.Tables {
		component[t.Name] = t.Cycle
	}
	var off, on []string
	for _, t := range k.sel.Tables {
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
	return func() error { return k.exec(ctx, on...) }, k.exec(ctx, off...)
}

// check checks the foreign keys that the server does not: in replica role, those between
// rows that were loaded and rows that were left alone, of tables outside too, and those
// that the file's schema may not have had. The rest is consistent as it was when it was
// saved. The caller has locked the tables, so what is found holds until the end of the
// transaction.
func (k foreignKeys) check(ctx context.Context, fromFile bool) error {
	if !k.privileges.Replica {
		return nil
	}
	whole, in := maps.Clone(k.sel.unchanged), map[schema.Name]bool{}
	if whole == nil {
		whole = map[schema.Name]bool{}
	}
	for _, t := range k.sel.Tables {
		in[t.Name], whole[t.Name] = true, !k.sel.partly[t.Name]
	}
	for _, t := range slices.Concat(k.sel.Tables, k.sel.others) {
		for _, fk := range t.ForeignKeys {
			loaded := whole[t.Name] && whole[fk.References] && (k.differences == nil || !fromFile)
			if !fk.Validated || loaded || !in[t.Name] && !in[fk.References] {
				continue
			}
			if err := k.checkOne(ctx, fk); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOne looks for rows that point nowhere, as the constraint's triggers
// would have.
func (k foreignKeys) checkOne(ctx context.Context, fk catalog.ForeignKey) error {
	var (
		rows  int64
		first *string
	)
	err := k.tx.QueryRow(ctx, fmt.Sprintf("SELECT pg_catalog.count(*), pg_catalog.min(ROW(%s)::pg_catalog.text) FROM %s c WHERE %s",
		columnsOf("c", fk.Columns), k.only(fk.Table), fk.Dangling(k.only(fk.Target)))).Scan(&rows, &first)
	if err != nil {
		return ofTable(fk.Table, err)
	}
	if rows == 0 {
		return nil
	}
	table, target, columns := fk.Table.String(), fk.Target.String(), strings.Join(fk.Columns, ", ")
	if k.leadsOutside(fk) {
		return errs.New(ErrConflict, msg.ForeignKeyOutside.In(k.cfg.lang, table, msg.Count(rows), target, fk.Name, columns, *first), nil)
	}
	return errs.New(ErrConflict, msg.ForeignKeyBroken.In(k.cfg.lang, table, msg.Count(rows), target, fk.Name, columns, *first), nil)
}
