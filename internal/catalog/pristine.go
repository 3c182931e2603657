package catalog

import "context"

// Likeness returns the hash of a database itself, rather than of what is in it:
// the one that q is
// connected to. It covers its row, settings, grants, owner, comment and security labels.
func Likeness(ctx context.Context, q Querier) (likeness string, err error) {
	err = q.QueryRow(ctx, "SELECT "+LikenessOf+" FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()").Scan(&likeness)
	return likeness, err
}

// LikenessOf is the likeness of the database d as an expression, which means the same
// under any search_path.
const LikenessOf = `pg_catalog.md5(ROW(d.datdba, d.datacl::pg_catalog.text, d.datconnlimit, d.datallowconn, d.datistemplate, d.dattablespace,
	(SELECT comments.description FROM pg_catalog.pg_shdescription comments WHERE comments.objoid OPERATOR(pg_catalog.=) d.oid AND comments.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_database'::pg_catalog.regclass),
	(SELECT pg_catalog.array_agg(ROW(settings.setrole, settings.setconfig)::pg_catalog.text ORDER BY settings.setrole) FROM pg_catalog.pg_db_role_setting settings WHERE settings.setdatabase OPERATOR(pg_catalog.=) d.oid),
	(SELECT pg_catalog.array_agg(ROW(labels.provider, labels.label)::pg_catalog.text ORDER BY labels.provider) FROM pg_catalog.pg_shseclabel labels
		WHERE labels.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_database'::pg_catalog.regclass AND labels.objoid OPERATOR(pg_catalog.=) d.oid))::pg_catalog.text)`
