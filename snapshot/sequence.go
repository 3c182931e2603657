package snapshot

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// setSequences sets those sequences whose state is another one. setval alone would
// outlive a rollback; after ALTER SEQUENCE … RESTART, which gives the sequence a
// new file, it works on that file and is undone with it. Where event triggers would
// see that, renew is false, and this is the last of the transaction.
func setSequences(ctx context.Context, l *layout, states []schema.Sequence, renew bool) error {
	now, err := catalog.Sequences(ctx, l.tx, l.sel.sequences())
	if err != nil {
		return err
	}
	want := map[schema.Name]schema.Sequence{}
	for _, s := range l.sel.Sequences {
		want[s.Name] = schema.Sequence{Name: s.Name, LastValue: s.Start}
	}
	for _, s := range states {
		if _, live := want[s.Name]; live {
			want[s.Name] = s
		}
	}
	for _, s := range l.sel.Sequences {
		if want[s.Name], err = pastOthers(ctx, l, s, want[s.Name]); err != nil {
			return err
		}
	}
	var restart []string
	var set []schema.Sequence
	for _, s := range now {
		if want[s.Name] != s {
			if renew {
				restart = append(restart, "ALTER SEQUENCE "+catalog.Ident(s.Name)+" RESTART")
			}
			set = append(set, want[s.Name])
		}
	}
	if err := catalog.ExecScript(ctx, l.tx, restart...); err != nil {
		return err
	}
	return catalog.SetSequences(ctx, l.tx, set)
}

// pastOthers moves the state of a sequence past what rows out of scope use of it.
func pastOthers(ctx context.Context, l *layout, s catalog.Sequence, state schema.Sequence) (schema.Sequence, error) {
	whole := map[schema.Name]bool{}
	for _, t := range l.sel.Tables {
		whole[t.Name] = l.sel.where[t.Name] == ""
	}
	best, compare := "max", ">"
	if s.Down {
		best, compare = "min", "<"
	}
	for _, u := range s.Users {
		if whole[u.Root] {
			continue
		}
		var used *int64
		column := pgx.Identifier{u.Name}.Sanitize()
		err := l.tx.QueryRow(ctx, "SELECT pg_catalog."+best+"("+column+")::pg_catalog.int8 FROM "+catalog.Ident(u.Table)+
			" WHERE "+column+" OPERATOR(pg_catalog."+compare+") $1 OR "+column+" OPERATOR(pg_catalog.=) $1 AND NOT $2",
			state.LastValue, state.IsCalled).Scan(&used)
		if err != nil {
			return state, ofTable(u.Table, fmt.Errorf("%s: %w", s.Name, err))
		}
		if used != nil {
			state.LastValue, state.IsCalled = *used, true
		}
	}
	return state, nil
}
