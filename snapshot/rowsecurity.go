package snapshot

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// liftRowSecurity lets the owner of the tables, on which row level security is forced, read
// them until the transaction is rolled back. All other tables should have been read:
// event triggers see the statements, and may write to any table.
func liftRowSecurity(ctx context.Context, c *settings, tx pgx.Tx, tables []catalog.Table, role string) error {
	if err := mayLiftRowSecurity(c, tables, role); err != nil {
		return err
	}
	var names []schema.Name
	var sql []string
	for _, t := range tables {
		names, sql = append(names, t.Name), append(sql, "ALTER TABLE "+t.Only()+" NO FORCE ROW LEVEL SECURITY")
	}
	triggers, _, err := catalog.EventTriggers(ctx, tx)
	if err != nil || len(triggers) == 0 {
		return errors.Join(err, catalog.ExecScript(ctx, tx, sql...))
	}
	before, err := catalog.XactWrites(ctx, tx, names, c.lang)
	if err == nil {
		err = catalog.ExecScript(ctx, tx, sql...)
	}
	if err != nil {
		return err
	}
	written, err := catalog.XactWrites(ctx, tx, names, c.lang)
	for _, name := range names {
		if err == nil && written[name] != before[name] {
			err = errs.New(ErrConflict, msg.Disturbed.In(c.lang, name.String(), namesOf(triggers)), nil)
		}
	}
	return err
}

// mayLiftRowSecurity returns an error unless the role owns the tables and they hide rows
// only since that is forced.
func mayLiftRowSecurity(c *settings, tables []catalog.Table, role string) error {
	for _, t := range tables {
		if !t.Owned || !t.Forced {
			return errs.New(ErrPermission, msg.RowsHidden.In(c.lang, t.Name.String(), role), nil)
		}
	}
	return nil
}
