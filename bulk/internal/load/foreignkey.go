package load

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// checkSQL returns a statement that finds one of the rows that the transaction id
// stored and that break the foreign key, as texts of its columns. A row is
// right when the transaction itself stored its parent too, or when the parent was
// there before and could be locked, so that no session deletes it before the commit.
// Both must hold by one snapshot: a parent that appears between a lock and a
// check is not locked. Rows that others stored are not looked at.
//
// The statement is written for the planner. The condition on xmin is one that it
// takes for half of the table: by the plain comparison it expects next to nothing,
// and loops. The condition on what is not there becomes a join, as it would not
// beneath an OR. Whether there are parents of others at all is asked first, since it
// may look for the children's parents one by one. The order makes it expect to read all
// there is, as it has to when nothing is wrong; by the limit alone it would expect to be
// done at once.
func checkSQL(c catalog.ForeignCheck, id uint32) string {
	xid := fmt.Sprintf("'%d'::pg_catalog.xid", id)
	parent, child := relation(c.Parent, c.ParentOnly), relation(c.Child, c.ChildOnly)
	mine := "CASE WHEN c.xmin = " + xid + " THEN true ELSE false END"
	var match, lockedMatch, keys, texts, named, nulls, full []string
	for i, column := range c.Columns {
		own := "c." + pgx.Identifier{column}.Sanitize()
		with := own
		if c.Collations[i] != "" {
			with += " COLLATE " + c.Collations[i]
		}
		key := "p." + pgx.Identifier{c.Referenced[i]}.Sanitize()
		operator := " OPERATOR(" + c.Operators[i] + ") "
		match = append(match, key+operator+with)
		lockedMatch = append(lockedMatch, fmt.Sprintf("l.k%d", i)+operator+with)
		keys = append(keys, fmt.Sprintf("%s AS k%d", key, i))
		texts = append(texts, fmt.Sprintf("%s::text AS t%d", own, i))
		named = append(named, fmt.Sprintf("t%d", i))
		nulls = append(nulls, own+" IS NULL")
		full = append(full, own+" IS NOT NULL")
	}
	const and = " AND "
	find := "SELECT " + strings.Join(texts, ", ") + ", c.ctid AS at FROM " + child + " c WHERE " + mine + and
	broken := find + strings.Join(full, and) +
		" AND NOT EXISTS (SELECT FROM (SELECT " + strings.Join(keys, ", ") + " FROM " + parent + " p WHERE p.xmin = " + xid +
		" UNION ALL SELECT * FROM locked) l WHERE " + strings.Join(lockedMatch, and) + ")"
	if c.Full {
		broken += " UNION ALL " + find + "(" + strings.Join(nulls, " OR ") + ") AND NOT (" + strings.Join(nulls, and) + ")"
	}
	return "WITH locked AS MATERIALIZED (SELECT " + strings.Join(keys, ", ") + " FROM " + parent + " p WHERE p.xmin <> " + xid +
		" AND EXISTS (SELECT FROM " + parent + " q WHERE q.xmin <> " + xid + ")" +
		" AND EXISTS (SELECT FROM " + child + " c WHERE " + mine + and + strings.Join(match, and) + ") FOR KEY SHARE OF p)" +
		" SELECT " + strings.Join(named, ", ") + " FROM (" + broken + ") broken ORDER BY at LIMIT 1"
}

func relation(n schema.Name, only bool) string {
	if only {
		return "ONLY " + catalog.Ident(n)
	}
	return catalog.Ident(n)
}
