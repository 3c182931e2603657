package track

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// unkeyed is a table whose rows the server does not let be deleted, since it is
// published and its replica identity does not suffice. It is undone with all columns
// as its identity, where that is allowed.
type unkeyed struct {
	switched    bool
	there, back []string
}

// published finds the tables whose rows can't be deleted, by their oids. A later
// change of that is one of the schema.
func published(ctx context.Context, tx pgx.Tx, families []*family) (map[uint32]*unkeyed, error) {
	oids := map[schema.Name]uint32{}
	var names []schema.Name
	for _, f := range families {
		if r := f.root; f.level == journaled && !r.AlwaysTrigger && !r.Secured {
			names = append(names, r.Name)
			oids[r.Name] = r.OID
		}
	}
	all, err := catalog.ReadPublished(ctx, tx, names)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var leaves []uint32
	for _, p := range all {
		leaves = append(leaves, p.Leaves...)
	}
	refused, err := catalog.RefusedChanges(ctx, tx, leaves, "DELETE")
	if err != nil || len(refused) == 0 {
		return nil, err
	}
	out := map[uint32]*unkeyed{}
	names = nil
	for _, p := range all {
		if refusesAny(refused, p.Leaves) {
			out[oids[p.Name]] = &unkeyed{switched: !p.ColumnsLeftOut}
			names = append(names, p.Name)
		}
	}
	identities, err := catalog.ReplicaIdentities(ctx, tx, names)
	if err != nil {
		return nil, err
	}
	for name, of := range identities {
		u := out[oids[name]]
		there, back, ok := catalog.SwitchIdentities(of)
		u.there, u.back, u.switched = there, back, u.switched && ok
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

// statements returns what an undo has to do before and after it deletes rows. An
// event trigger that fires in replica role would see that.
func (u *unkeyed) statements() (there, back string) {
	if u == nil || !u.switched {
		return "", ""
	}
	there = `
	IF EXISTS (SELECT FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) e.evtfoid
			WHERE e.evtenabled OPERATOR(pg_catalog.=) ANY (ARRAY['A', 'R']::"char"[]) AND p.pronamespace OPERATOR(pg_catalog.<>) 'groundhog'::regnamespace) THEN
		why := '` + string(Published) + `';
		RETURN;
	END IF;`
	for _, sql := range u.there {
		there += "\n\t" + sql + ";"
	}
	for _, sql := range u.back {
		back += "\n\t" + sql + ";"
	}
	return there, back
}
