package catalog

import (
	"cmp"
	"slices"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// The oids of catalogs that stand in pg_depend.
const (
	typeCatalog     = 1247 // pg_type
	functionCatalog = 1255 // pg_proc
	classCatalog    = 1259 // pg_class
)

// object names what belongs to an extension.
type object struct{ catalog, oid uint32 }

// class is a table, a sequence or a composite type, with what its row in
// pg_class tells.
type class struct {
	oid       uint32
	schema    uint32
	name      string
	kind      string
	partition bool
	ruled     bool // it has rules, or had some
	populated bool
	key       string
	bound     string
	parents   []uint32
	columns   []classColumn
	live      Table // Rows, Bytes, Size, Owned, Secured, Forced
}

type classColumn struct {
	schema.Column
	num  int16
	kind uint32 // its type
}

// byNumber returns a column by its number, or nil.
func (c *class) byNumber(num int16) *classColumn {
	i, ok := slices.BinarySearchFunc(c.columns, num, func(a classColumn, n int16) int { return cmp.Compare(a.num, n) })
	if !ok {
		return nil
	}
	return &c.columns[i]
}

func (c *class) names(nums []int16) []string {
	names := make([]string, 0, len(nums))
	for _, num := range nums {
		if col := c.byNumber(num); col != nil {
			names = append(names, col.Name)
		}
	}
	return names
}

// typeFact is a type that the user made, or a domain.
type typeFact struct {
	oid, schema uint32
	name        string
	kind        string // pg_type.typtype
	base        uint32 // of a domain
	class       uint32 // of a composite type
	notNull     bool
	hasDefault  bool
	of          string // the base type of a domain, the subtype of a range
	labels      []string
	checks      []string
}

type constraint struct {
	table, domain, target   uint32
	name, kind              string
	deferrable              bool
	inherited, full, period bool
	validated               bool
	columns, refColumns     []int16
	operators               []uint32 // between them
	onDelete                string
	check                   string
}

type triggerFact struct {
	table, function, schema uint32 // schema: that of its function
	name, enabled           string
	kind, column            int16 // pg_trigger.tgtype, the first of tgattr
}

// sequenceUser is a column that takes its values from a sequence.
type sequenceUser struct {
	sequence, table uint32
	num             int16
	owns            bool
}
