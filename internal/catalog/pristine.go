package catalog

import "context"

// IsPristine reports whether the database is as it was made, but for what is in it: its
// settings, owner and rights are unchanged, it has no prepared transaction, and no session
// is connected to it but those that are given, or have the name of that application. What it was made like is the likeness that [GiveTraits] returned, or empty for what CREATE DATABASE
// leaves.
func IsPristine(ctx context.Context, q Querier, database, likeness, application string, but []int32) (ok bool, err error) {
	err = q.QueryRow(ctx, `
		SELECT CASE WHEN $3 <> '' THEN `+LikenessOf+` = $3
			ELSE d.datacl IS NULL AND d.datconnlimit = -1 AND d.datallowconn AND NOT d.datistemplate AND pg_catalog.pg_get_userbyid(d.datdba) = current_user
				AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid)
				AND pg_catalog.shobj_description(d.oid, 'pg_database') IS NULL
				AND NOT EXISTS (SELECT FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND l.objoid = d.oid) END
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts x WHERE x.database = d.datname)
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND coalesce(a.application_name, '') <> $4 AND a.pid <> ALL (coalesce($2::int[], '{}')) AND a.backend_type = 'client backend')
		FROM pg_catalog.pg_database d WHERE d.datname = $1`, database, but, likeness, application).Scan(&ok)
	return ok, err
}

// Likeness returns the hash of what [IsPristine] compares of the database that q is
// connected to: its row, settings, grants, owner, comment and security labels.
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
