package catalog

// native is the condition on pg_proc p for functions that may write to tables past
// triggers: those in C do so by the server's own functions for rows, or end an INSERT …
// RETURNING when they have the rows that they asked for, before triggers for the
// statement fire. Those that are called by nothing but indexes, types and aggregates
// are none of them.
const native = `p.prolang = 13 AND p.provolatile = 'v' AND p.prokind IN ('f', 'p') AND NOT 2281 = ANY (p.proargtypes::pg_catalog.oid[])`

// harmless are extensions with volatile functions in C of which it is known that
// they write to no table so: those of PostgreSQL itself, and some that many have.
const harmless = `ARRAY['adminpack', 'amcheck', 'autoinc', 'bloom', 'bool_plperl', 'btree_gin', 'btree_gist', 'citext', 'cube', 'dblink', 'dict_int', 'dict_xsyn',
	'earthdistance', 'file_fdw', 'fuzzystrmatch', 'hstore', 'insert_username', 'intagg', 'intarray', 'isn', 'lo', 'ltree', 'moddatetime', 'old_snapshot', 'pageinspect',
	'pg_buffercache', 'pg_freespacemap', 'pg_logicalinspect', 'pg_overexplain', 'pg_prewarm', 'pg_stat_statements', 'pg_surgery', 'pg_trgm', 'pg_visibility', 'pg_walinspect', 'pgcrypto',
	'pgrowlocks', 'pgstattuple', 'postgres_fdw', 'refint', 'seg', 'sslinfo', 'tablefunc', 'tcn', 'tsm_system_rows', 'tsm_system_time', 'unaccent', 'uuid-ossp', 'xml2',
	'plpgsql', 'plperl', 'plperlu', 'plpython3u', 'pltcl', 'pltclu', 'plv8', 'postgis', 'postgis_raster', 'postgis_sfcgal', 'address_standardizer', 'vector']::pg_catalog.name[]`
