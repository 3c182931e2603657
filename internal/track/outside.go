package track

import (
	"fmt"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Tables that are not tracked stay as tests leave them, so a foreign key between one of
// them and a tracked one may point nowhere when that is back at its baseline. And an
// extension that keeps in memory what its table holds must hear of what is undone.

// OutsideKey is a foreign key between a tracked table and one that is not. Child and
// Target are quoted, as those of a statement on their own rows.
type OutsideKey struct {
	catalog.ForeignKey
	Child, Target string
}

// outsideKey is what looks, when a table was put back, for rows that reference none: of
// the rows that were put in where another table may lack theirs, of the other table
// where rows were removed.
type outsideKey struct {
	Ours     bool   // the rows that were put in are looked at
	Child    string // else: the table
	Dangling string // the condition on such a row c
	Message  string
}

// outsideKeysOf returns the foreign keys between a table and tables that are not tracked.
// roots are the roots of tables.
func outsideKeysOf(root *catalog.TrackedTable, keys []OutsideKey, roots map[schema.Name]uint32) (out []outsideKey) {
	for _, fk := range keys {
		if roots[fk.Table] == root.OID || roots[fk.ForeignKey.Target] == root.OID {
			out = append(out, outsideKey{
				Ours: fk.Table == root.Name, Child: fk.Child, Dangling: fk.Dangling(fk.Target),
				Message: fmt.Sprintf("rows of %s would reference rows of %s that are not there (%s)", fk.Table, fk.ForeignKey.Target, fk.Name),
			})
		}
	}
	return out
}

// cacheReset is what makes an extension drop what it keeps in memory of its table,
// before the table is undone and afterwards.
type cacheReset struct{ Before, After string }

func cacheResetOf(reset catalog.CacheReset) *cacheReset {
	script := func(disabled string) string {
		return render("cache reset", struct {
			catalog.CacheReset
			Disabled string
		}{reset, disabled})
	}
	return &cacheReset{script("off"), script("on")}
}
