package catalog

import "context"

// IsPristine reports whether the database that q is connected to is as it was made,
// but for what is in it: its settings, owner and rights are unchanged, it has no
// prepared transaction, and no other session is connected to it. What it was made
// like is the likeness that [GiveTraits] returned, or empty for what CREATE DATABASE
// leaves.
func IsPristine(ctx context.Context, q Querier, likeness string) (ok bool, err error) {
	err = q.QueryRow(ctx, `
		SELECT CASE WHEN $1 <> '' THEN `+likenessOf+` = $1
			ELSE d.datacl IS NULL AND d.datconnlimit = -1 AND d.datallowconn AND NOT d.datistemplate AND pg_catalog.pg_get_userbyid(d.datdba) = current_user
				AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid)
				AND pg_catalog.shobj_description(d.oid, 'pg_database') IS NULL
				AND NOT EXISTS (SELECT FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND l.objoid = d.oid) END
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts x WHERE x.database = d.datname)
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend')
		FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`, likeness).Scan(&ok)
	return ok, err
}

// likenessOf is a hash of what IsPristine compares of the database d.
const likenessOf = `pg_catalog.md5(ROW(d.datdba, d.datacl::text, d.datconnlimit, d.datallowconn, d.datistemplate, d.dattablespace,
	pg_catalog.shobj_description(d.oid, 'pg_database'),
	(SELECT pg_catalog.array_agg(ROW(s.setrole, s.setconfig)::text ORDER BY s.setrole) FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid),
	(SELECT pg_catalog.array_agg(ROW(l.provider, l.label)::text ORDER BY l.provider) FROM pg_catalog.pg_shseclabel l
		WHERE l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND l.objoid = d.oid))::text)`
