{{- /*
What a baseline has besides what the journal watches: see RecordFingerprint. These are
tables of migration tools, and tables of extensions of which no row is the user's. xmin
tells of each row that was written, at no cost of its width. No command on an event
trigger fires one, and REASSIGN OWNED neither: after it a role owns nothing. A role that may make no event triggers sees no command at all: there
the privileges and what groundhog.schema_fingerprint leaves out are compared too.
*/}}
{{define "fingerprint" -}}
CREATE OR REPLACE FUNCTION groundhog.unwatched_fingerprint() RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $groundhog$
DECLARE
	found text;
	more text;
	own text;
	r record;
BEGIN
	SELECT string_agg(concat_ws(' ', e.oid, e.xmin), ',' ORDER BY e.oid) INTO found FROM pg_event_trigger e;
	SELECT concat_ws(',', found, string_agg(DISTINCT s.refobjid::text, ' ')) INTO found FROM pg_shdepend s
		WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND s.deptype = 'o' AND s.refclassid = 'pg_authid'::regclass;
	FOR r IN SELECT c.oid::regclass AS name, c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'groundhog')
				AND c.oid NOT IN (SELECT t.rel FROM groundhog.journals_of t UNION ALL SELECT q.seq FROM groundhog.extension_sequences q)
				-- It counts, since EXISTS would read all of pg_depend once, and not a row or two for each sequence.
				AND (c.relkind = 'r' OR 0 < (SELECT count(*) FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
					AND (d.deptype = 'e' OR d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass AND d.refobjid NOT IN (SELECT t.rel FROM groundhog.journals_of t))))
			ORDER BY c.oid LOOP
		IF r.relkind = 'S' THEN
			EXECUTE format('SELECT concat_ws('' '', last_value, is_called) FROM %s', r.name) INTO more;
		ELSE
			own := coalesce(own, (SELECT concat_ws(', ', 'pg_catalog', nullif(s.reset_val, '')) FROM pg_settings s WHERE s.name = 'search_path'));
			PERFORM set_config('search_path', own, true); -- for functions behind its indexes
			EXECUTE format('SELECT concat_ws('' '', count(*), sum(t.xmin::text::bigint)) FROM ONLY %s t', r.name) INTO more;
			PERFORM set_config('search_path', 'pg_catalog', true);
		END IF;
		found := concat_ws(',', found, r.oid, more);
	END LOOP;
	IF EXISTS (SELECT FROM groundhog.state s WHERE NOT s.event_triggers) THEN
		SELECT concat(count(*), ' ', sum(hashtextextended(f, 0))) INTO more FROM (
			{{unwatchedFacts}}
		) facts(f);
		found := concat_ws(',', found, more);
	END IF;
	RETURN coalesce(found, '');
END $groundhog$;
DROP TABLE IF EXISTS groundhog.unwatched; -- the database may be a copy of one that was noted
CREATE UNLOGGED TABLE groundhog.unwatched AS SELECT groundhog.unwatched_fingerprint() AS fingerprint;
{{end}}
