package catalog

import "context"

// LikeNew tells whether the database that q is connected to is as CREATE DATABASE
// left it, but for what is in it: nobody changed its settings, owner or rights, it
// has no prepared transaction, and nobody else is connected to it.
func LikeNew(ctx context.Context, q Querier) (ok bool, err error) {
	err = q.QueryRow(ctx, `
		SELECT d.datacl IS NULL AND d.datconnlimit = -1 AND d.datallowconn AND NOT d.datistemplate AND pg_catalog.pg_get_userbyid(d.datdba) = current_user
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid)
			AND pg_catalog.shobj_description(d.oid, 'pg_database') IS NULL
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts x WHERE x.database = d.datname)
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend')
		FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`).Scan(&ok)
	return ok, err
}
