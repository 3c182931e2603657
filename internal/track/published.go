package track

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// unkeyed is a table whose rows the server does not let be deleted or updated, since it is
// published and its replica identity does not suffice. It is undone with all columns
// as its identity, where that is allowed.
type unkeyed struct {
	Switchable         bool
	Switch, SwitchBack []string // statements
}

// published finds those of the tables on whose rows a command (DELETE, UPDATE) can't be used. A later change of
// that is one of the schema.
func published(ctx context.Context, tx pgx.Tx, names []schema.Name, commands []string) (map[schema.Name]*unkeyed, error) {
	all, err := catalog.ReadPublished(ctx, tx, names)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var leaves []uint32
	for _, p := range all {
		leaves = append(leaves, p.Leaves...)
	}
	refused, err := catalog.RefusedChanges(ctx, tx, leaves, commands...)
	if err != nil || len(refused) == 0 {
		return nil, err
	}
	out := map[schema.Name]*unkeyed{}
	names = nil
	for _, p := range all {
		if refusesAny(refused, p.Leaves) {
			out[p.Name] = &unkeyed{Switchable: !p.ColumnsLeftOut}
			names = append(names, p.Name)
		}
	}
	identities, err := catalog.ReplicaIdentities(ctx, tx, names)
	if err != nil {
		return nil, err
	}
	for name, of := range identities {
		u := out[name]
		there, back, ok := catalog.SwitchIdentities(of)
		u.Switch, u.SwitchBack, u.Switchable = there, back, u.Switchable && ok
	}
	return out, nil
}

func refusesAny(refused map[uint32]string, leaves []uint32) bool {
	for _, leaf := range leaves {
		if _, ok := refused[leaf]; ok {
			return true
		}
	}
	return false
}
