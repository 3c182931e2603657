{{- /* Removes what tracks, and keeps what is noted of the origin: see origin.sql. */}}
{{define "remove" -}}
DO $groundhog$
DECLARE
	d text;
BEGIN
	FOR d IN SELECT pg_catalog.format('DROP FUNCTION %s CASCADE', p.oid::pg_catalog.regprocedure) FROM pg_catalog.pg_proc p
			WHERE p.pronamespace = pg_catalog.to_regnamespace('groundhog')
		UNION ALL SELECT pg_catalog.format('DROP %s %s CASCADE', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::pg_catalog.regclass) FROM pg_catalog.pg_class c
			WHERE c.relnamespace = pg_catalog.to_regnamespace('groundhog') AND c.relkind IN ('r', 'S') AND c.relname <> 'origin' LOOP
		EXECUTE d;
	END LOOP;
END $groundhog$;
{{end}}

{{- /* Removes the schema, unless that has the notes of the origin: an empty one would not be ours. */}}
{{define "remove schema" -}}
DO $groundhog$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = pg_catalog.to_regnamespace('groundhog')) THEN
		DROP SCHEMA groundhog;
	END IF;
END $groundhog$;
{{end}}
