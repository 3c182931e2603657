{{- /*
How a table is undone where its foreign keys are checked, since the role may not set
session_replication_role: as a part of one statement for all tables that were written to,
which groundhog.undo_checked puts together; see there. The parameter $1 of the statement is
the transaction of the baseline.

The server compares two row constructors column by column, by operators of the columns'
types. Where images are compared, one of the two is cast to record.

n are the rows of the table that are not the baseline's, o those of the baseline that are
to be there. l are the rows that leave, m those that stay and are made what they were, a
those that arrive. Where more than the primary key keeps rows apart, a changed row leaves
and arrives, so that values which rows exchanged are in no other row's way, unless a foreign
key does something to other rows then.
*/}}

{{define "checked sets"}}n_{{.OID}} AS MATERIALIZED (
	SELECT t.ctid AS at, t.tableoid AS rel{{.Key.OfTable}}, ROW({{.Stored.Plain}}) AS was
	{{- if and .Key (not .Loaded)}}
	FROM (SELECT DISTINCT {{.Key.Named}} FROM {{.Journal}} j WHERE j.kind IN ('{{.Kind.Old}}', '{{.Kind.New}}')) j JOIN {{.Only}} t ON {{.Key.Same}}
	{{- else}}
	FROM {{.Only}} t
	{{- end}}
	{{- if not .Loaded}}
	WHERE {{template "newer" .}}
	{{- end}}
), o_{{.OID}} AS MATERIALIZED (
	{{if .Loaded}}SELECT {{.Stored.Staged}} FROM s_{{.OID}} j{{else}}SELECT {{.All.Named}} FROM {{.Journal}} j WHERE j.kind = '{{.Kind.Old}}'{{end}}
), l_{{.OID}} AS MATERIALIZED (
	SELECT n.at, n.rel FROM n_{{.OID}} n{{if not .Whole}} WHERE NOT EXISTS (SELECT FROM o_{{.OID}} o WHERE {{.Key.Matching}}{{if .Replaces}} AND n.was OPERATOR(pg_catalog.*=) ROW({{.Stored.Kept}}){{end}}){{end}}
), {{if not .Replaces}}m_{{.OID}} AS MATERIALIZED (
	SELECT n.at, n.rel, n.was, {{.Stored.Kept}} FROM n_{{.OID}} n JOIN o_{{.OID}} o ON {{.Key.Matching}} WHERE n.was OPERATOR(pg_catalog.*<>) ROW({{.Stored.Kept}})
), {{end}}a_{{.OID}} AS MATERIALIZED (
	SELECT {{.Stored.Kept}} FROM o_{{.OID}} o{{if not .Whole}} WHERE NOT EXISTS (SELECT FROM n_{{.OID}} n WHERE {{.Key.Matching}}{{if .Replaces}} AND n.was OPERATOR(pg_catalog.*=) ROW({{.Stored.Kept}}){{end}}){{end}}
){{end}}

{{define "checked delete"}}DELETE FROM {{.Only}} t USING l_{{.OID}} l WHERE t.ctid OPERATOR(pg_catalog.=) l.at AND t.tableoid OPERATOR(pg_catalog.=) l.rel RETURNING 1{{end}}

{{- /* Where UPDATE can set no column, either no row has changed or the table is stuck. */}}
{{define "checked update"}}{{if not .Settable}}SELECT 1 WHERE false{{else}}UPDATE {{.Only}} t SET {{.Settable.Assigned}} FROM m_{{.OID}} m WHERE t.ctid OPERATOR(pg_catalog.=) m.at AND t.tableoid OPERATOR(pg_catalog.=) m.rel AND (SELECT g.n FROM g_deleted g) OPERATOR(pg_catalog.>=) 0 RETURNING 1{{end}}{{end}}

{{define "checked insert"}}INSERT INTO {{.Ident}}{{with .Stored}} ({{.Idents}}) OVERRIDING SYSTEM VALUE{{end}} SELECT {{.Stored.Arriving}} FROM a_{{.OID}} a WHERE (SELECT g.n FROM g_updated g) OPERATOR(pg_catalog.>=) 0 RETURNING 1{{end}}

{{- /* Whether a row would have to be given a value that UPDATE can't give. */}}
{{define "checked stuck"}}EXISTS (SELECT FROM m_{{.OID}} m JOIN {{.Only}} t ON t.ctid OPERATOR(pg_catalog.=) m.at AND t.tableoid OPERATOR(pg_catalog.=) m.rel
	WHERE ROW({{.FixedColumns.Plain}})::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW({{.FixedColumns.Made}})){{end}}

{{- /* Keeps rows whose unique values change out of each other's way, and whether there are such. Both come after the sets. */}}
{{define "checked aside"}}UPDATE {{.Only}} t SET {{.AsideAssignments}} FROM (SELECT m.*, pg_catalog.row_number() OVER () AS place FROM m_{{.OID}} m) m
WHERE {{template "apart" .}}{{end}}
{{define "checked moved"}}SELECT EXISTS (SELECT FROM {{.Only}} t JOIN m_{{.OID}} m ON {{template "apart" .}}){{end}}
{{define "apart"}}t.ctid OPERATOR(pg_catalog.=) m.at AND t.tableoid OPERATOR(pg_catalog.=) m.rel AND ROW({{.ApartColumns.Plain}})::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW({{.ApartColumns.Made}}){{end}}

{{- /* The parts of the statements, and what is done before and after. They are a function, which has no file that a copy of the database would have too. */}}
{{define "checked part" -}}
CREATE FUNCTION groundhog.part_{{.OID}}(OUT sets text, OUT deletes text, OUT updates text, OUT inserts text, OUT loads text, OUT stuck text, OUT aside text, OUT moved text, OUT forced text, OUT sleep text[], OUT wake text[]) LANGUAGE plpgsql AS {{body}}
BEGIN
	{{- if .Journaled}}
	sets := {{literal .Sets}};
	{{- end}}
	loads := {{literal .Loads}};
	{{- if .Forced}}
	forced := {{literal .Ident}};
	{{- end}}
	deletes := {{literal .Deletes}};
	inserts := {{literal .Inserts}};
	{{- if not .Replaces}}
	updates := {{literal .Updates}};
	{{- end}}
	{{- with .Stuck}}
	stuck := {{literal .}};
	{{- end}}
	{{- with .Aside}}
	aside := {{literal .}};
	moved := {{literal $.Moved}};
	{{- end}}
	sleep := ARRAY[{{range $i, $s := .Sleep}}{{if $i}}, {{end}}{{literal $s}}{{end}}]::text[];
	wake := ARRAY[{{range $i, $s := .Wake}}{{if $i}}, {{end}}{{literal $s}}{{end}}]::text[];
END {{body}};
{{range .Unindexed}}INSERT INTO groundhog.unindexed VALUES ({{$.OID}}, {{.}});
{{end}}
{{- end}}

{{- /* What schema.sql has in addition where keys are checked. */}}
{{define "checked schema" -}}
-- The tables that must be read as a whole to see whether they reference a row of a root.
CREATE UNLOGGED TABLE groundhog.unindexed (root oid NOT NULL, child oid NOT NULL);
-- The tables that are not tracked, whose foreign keys may do something to their rows.
CREATE UNLOGGED TABLE groundhog.neighbours (rel oid NOT NULL);

-- How many rows the undo would have to read to see which rows reference those that it
-- deletes: those that were inserted since the baseline.
CREATE FUNCTION groundhog.unindexed_reads(tables groundhog.journals[]) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
	x record;
	inserted bigint;
	reads bigint := 0;
BEGIN
	FOR x IN SELECT u.root, t.always, pg_catalog.sum(pg_catalog.pg_relation_size(u.child) OPERATOR(pg_catalog./) {{.UsualEntry}})::bigint AS rows
			FROM groundhog.unindexed u JOIN pg_catalog.unnest(tables) t ON t.root OPERATOR(pg_catalog.=) u.root GROUP BY u.root, t.always LOOP
		-- After TRUNCATE, and after a DELETE whose rows were not noted, the journal still tells of new rows.
		IF coalesce(x.always, '{{.Reason.Truncated}}') OPERATOR(pg_catalog.=) '{{.Reason.Truncated}}'
			OR x.always OPERATOR(pg_catalog.=) '{{.Reason.TooManyChanges}}' AND NOT EXISTS (SELECT FROM groundhog.skipped k WHERE k.root OPERATOR(pg_catalog.=) x.root) THEN
			EXECUTE pg_catalog.format('SELECT pg_catalog.count(*) FROM groundhog.journal_%s j WHERE j.kind OPERATOR(pg_catalog.=) %L', x.root, '{{.Kind.New}}') INTO inserted;
		ELSE -- the journal does not tell: all rows may be new
			inserted := pg_catalog.pg_relation_size(x.root) OPERATOR(pg_catalog./) {{.UsualEntry}};
		END IF;
		reads := reads OPERATOR(pg_catalog.+) (inserted OPERATOR(pg_catalog.*) x.rows);
	END LOOP;
	RETURN reads;
END $$;

-- The files of the tables, and whether this transaction has given one of them another file, as
-- TRUNCATE does. VACUUM FULL in another session does that too: then this session holds no
-- lock on the table.
CREATE FUNCTION groundhog.files() RETURNS text[] LANGUAGE sql VOLATILE AS $$
	SELECT pg_catalog.array_agg(pg_catalog.concat(t.rel, ' ', pg_catalog.pg_relation_filenode(t.rel)) ORDER BY t.rel)
	FROM (SELECT rel FROM groundhog.journals_of UNION SELECT rel FROM groundhog.neighbours) t
$$;
CREATE FUNCTION groundhog.truncated(before text[]) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
	now text[] := groundhog.files();
BEGIN
	RETURN now IS DISTINCT FROM before AND EXISTS (
		SELECT FROM (SELECT f FROM pg_catalog.unnest(now) f EXCEPT SELECT f FROM pg_catalog.unnest(before) f) c(file)
			JOIN pg_catalog.pg_locks l ON l.relation OPERATOR(pg_catalog.=) pg_catalog.split_part(c.file, ' ', 1)::pg_catalog.oid
		WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'
			AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()));
END $$;

-- Undoes tables whose journals tell all, while foreign keys are checked and do what they
-- do. It is one statement: what foreign keys check and do comes at its end, when all rows
-- are as they were, so the order of tables does not matter, and there are no rows left to
-- which something could be done. Uniqueness is seen row by row: rows leave first, then
-- others are changed, then rows arrive. The rows of a table come from its journal, or from
-- the source that is named for it: a table with all its rows. With aside, rows that are
-- changed get passing unique values first.
--
-- At last the rows that the transaction wrote are counted. If these are more or fewer than the
-- statement meant to write, a foreign key, a trigger or an event trigger has written too. Or one
-- has truncated a table, of which no count tells, but its file. Then an error of code GH003
-- ends the transaction. Errors of constraints do so too.
--
-- There is no block with an exception handler: what is written within has the id of a later
-- transaction than that of the baseline. The statement is prepared for the same tables in the
-- next restore, since to plan it takes most of the time of a small undo.
CREATE FUNCTION groundhog.undo_checked(roots oid[], sources text[], baseline_xid xid, aside boolean, awake boolean) RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	r oid;
	p record;
	q text;
	x text;
	statement text := pg_catalog.concat('groundhog_', pg_catalog.md5(pg_catalog.concat('groundhog.state'::pg_catalog.regclass::oid, roots)));
	loads boolean := pg_catalog.array_remove(sources, NULL) OPERATOR(pg_catalog.<>) '{}';
	prepared boolean := NOT loads AND EXISTS (SELECT FROM pg_catalog.pg_prepared_statements s WHERE s.name OPERATOR(pg_catalog.=) statement);
	sets text := '';
	deletes text := '';
	deleted text := '0';
	updates text := '';
	updated text := 'g.n';
	inserts text := '';
	inserted text := '0';
	meant text := '0';
	changed text := '';
	stuck text := 'false';
	own text; -- the sets of a table
	asides text[] := '{}';
	sleep text[] := '{}';
	wake text[] := '{}';
	before numeric;
	files text[];
	passing bigint;
	set_aside bigint := 0;
	done record;
BEGIN
	IF NOT pg_catalog.current_setting('track_counts')::boolean THEN
		RAISE EXCEPTION USING ERRCODE = 'GH003', MESSAGE = 'what is written is not counted', DETAIL = '{{.Reason.NotCounted}}';
	END IF;
	IF aside OR awake OR NOT prepared THEN
		FOR place IN 1 .. pg_catalog.cardinality(roots) LOOP
			r := roots[place];
			EXECUTE pg_catalog.concat('SELECT * FROM groundhog.part_', r, '()') INTO p;
			own := p.sets;
			IF sources[place] IS NOT NULL THEN
				own := pg_catalog.concat('s_', r, ' AS (SELECT * FROM ', sources[place], '), ', p.loads);
				IF p.forced IS NOT NULL THEN
					sleep := pg_catalog.array_append(sleep, pg_catalog.concat('ALTER TABLE ONLY ', p.forced, ' NO FORCE ROW LEVEL SECURITY'));
					wake := pg_catalog.array_append(wake, pg_catalog.concat('ALTER TABLE ONLY ', p.forced, ' FORCE ROW LEVEL SECURITY'));
				END IF;
			END IF;
			sets := pg_catalog.concat(sets, own, ', ');
			deletes := pg_catalog.concat(deletes, 'd_', r, ' AS (', p.deletes, '), ');
			deleted := pg_catalog.concat(deleted, ' OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM d_', r, ')');
			inserts := pg_catalog.concat(inserts, ', i_', r, ' AS (', p.inserts, ')');
			inserted := pg_catalog.concat(inserted, ' OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM i_', r, ')');
			meant := pg_catalog.concat(meant, ' OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM l_', r, ') OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM a_', r, ')');
			changed := pg_catalog.concat(changed, ', (SELECT pg_catalog.count(*) FROM l_', r, ') OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM a_', r, ')');
			IF p.updates IS NOT NULL THEN
				updates := pg_catalog.concat(updates, 'u_', r, ' AS (', p.updates, '), ');
				updated := pg_catalog.concat(updated, ' OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM u_', r, ')');
				meant := pg_catalog.concat(meant, ' OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*) FROM m_', r, ')');
				changed := pg_catalog.concat(changed, ' OPERATOR(pg_catalog.+) (2 OPERATOR(pg_catalog.*) (SELECT pg_catalog.count(*) FROM m_', r, '))');
			END IF;
			IF p.stuck IS NOT NULL THEN
				stuck := pg_catalog.concat(stuck, ' OR ', p.stuck);
			END IF;
			asides := pg_catalog.array_append(asides, 'WITH ' OPERATOR(pg_catalog.||) own OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) p.aside);
			sleep := pg_catalog.array_cat(sleep, p.sleep);
			wake := pg_catalog.array_cat(wake, p.wake);
		END LOOP;
		q := pg_catalog.concat('WITH ', sets, deletes, 'g_deleted AS MATERIALIZED (SELECT ', deleted, ' AS n), ', updates,
			'g_updated AS MATERIALIZED (SELECT ', updated, ' AS n FROM g_deleted g)', inserts,
			' SELECT g.n OPERATOR(pg_catalog.+) ', inserted, ' AS written, ', meant, ' AS meant, ', stuck, ' AS stuck, ARRAY[', pg_catalog.substr(changed, 3), '] AS changed FROM g_updated g');
	END IF;
	before := groundhog.rows_written();
	files := groundhog.files();
	FOREACH x IN ARRAY sleep LOOP
		EXECUTE x;
	END LOOP;
	IF NOT prepared AND NOT loads AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements) OPERATOR(pg_catalog.<) {{.MostPrepared}} THEN
		EXECUTE pg_catalog.format('PREPARE %I (pg_catalog.xid) AS %s', statement, q);
		prepared := true;
	END IF;
	IF aside THEN
		FOREACH x IN ARRAY asides LOOP
			IF x IS NOT NULL THEN
				EXECUTE x USING baseline_xid;
				GET DIAGNOSTICS passing = ROW_COUNT;
				set_aside := set_aside OPERATOR(pg_catalog.+) passing;
			END IF;
		END LOOP;
	END IF;
	IF prepared THEN
		PERFORM pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true);
		EXECUTE pg_catalog.format('EXECUTE %I (%L)', statement, baseline_xid) INTO done;
	ELSE
		EXECUTE q INTO done USING baseline_xid;
	END IF;
	IF done.stuck THEN
		RAISE EXCEPTION USING ERRCODE = 'GH003', MESSAGE = 'an identity can''t be set', DETAIL = '{{.Reason.FixedIdentity}}';
	END IF;
	SET CONSTRAINTS ALL IMMEDIATE; -- what is deferred is checked now, and nothing is pending for ALTER TABLE
	FOREACH x IN ARRAY wake LOOP
		EXECUTE x;
	END LOOP;
	IF done.written OPERATOR(pg_catalog.<>) done.meant
		OR groundhog.rows_written() OPERATOR(pg_catalog.<>) (before OPERATOR(pg_catalog.+) done.written OPERATOR(pg_catalog.+) set_aside)
		OR groundhog.truncated(files) THEN
		RAISE EXCEPTION USING ERRCODE = 'GH003', MESSAGE = 'more or less was written than was to be', DETAIL = '{{.Reason.SideEffect}}';
	END IF;
	RETURN done.changed;
END $$;

-- Is the end of a restore that told of tables which must be loaded, and has undone none: the
-- caller has their rows of the baseline in the sources. Where unique values of rows that stay
-- change they may be in each other's way: that is tried first, and taken back.
CREATE FUNCTION groundhog.undo_loaded(spaces text[], names text[], loaded text[]) RETURNS TABLE (space text, name text, changed bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	w record;
	roots oid[] := '{}';
	sources text[] := '{}';
	found groundhog.journals[] := '{}';
	counts bigint[];
	baseline_xid xid := (SELECT st.baseline_xid::text::pg_catalog.xid FROM groundhog.state st);
	aside boolean := false;
	p record;
	moved boolean;
BEGIN
	PERFORM pg_catalog.set_config('enable_hashjoin', 'on', true);
	FOR w IN SELECT o.root, o.space, o.name, o.why, (SELECT loaded[i] FROM pg_catalog.generate_subscripts(loaded, 1) i
			WHERE spaces[i] OPERATOR(pg_catalog.=) o.space AND names[i] OPERATOR(pg_catalog.=) o.name) AS source FROM groundhog.written() o LOOP
		IF w.source IS NULL AND w.why IS NOT NULL THEN
			RAISE EXCEPTION USING ERRCODE = 'GH003', MESSAGE = pg_catalog.concat(w.name, ' has no source'), DETAIL = w.why;
		END IF;
		roots := pg_catalog.array_append(roots, w.root);
		sources := pg_catalog.array_append(sources, w.source);
		found := pg_catalog.array_append(found, ROW(w.root, w.space, w.name, 0, NULL, false, false)::groundhog.journals);
		EXECUTE pg_catalog.concat('SELECT * FROM groundhog.part_', w.root, '()') INTO p;
		IF p.aside IS NOT NULL AND w.source IS NOT NULL AND p.forced IS NOT NULL THEN
			aside := true; -- its rows are hidden
		ELSIF p.aside IS NOT NULL AND NOT aside THEN
			EXECUTE pg_catalog.concat('WITH ', CASE WHEN w.source IS NULL THEN p.sets ELSE pg_catalog.concat('s_', w.root, ' AS (SELECT * FROM ', w.source, '), ', p.loads) END, ' ', p.moved)
				INTO moved USING baseline_xid;
			aside := moved;
		END IF;
	END LOOP;
	IF aside THEN
		BEGIN
			PERFORM groundhog.undo_checked(roots, sources, baseline_xid, false, true);
			RAISE EXCEPTION USING ERRCODE = 'GH004';
		EXCEPTION
			WHEN unique_violation OR exclusion_violation THEN
				NULL;
			WHEN SQLSTATE 'GH004' THEN
				aside := false;
		END;
	END IF;
	counts := groundhog.undo_checked(roots, sources, baseline_xid, aside, true);
	FOR place IN 1 .. pg_catalog.cardinality(roots) LOOP
		PERFORM groundhog.empty_journal(pg_catalog.concat('groundhog.journal_', roots[place])::regclass);
		space := found[place].space;
		name := found[place].name;
		changed := counts[place];
		RETURN NEXT;
	END LOOP;
END $$;
{{end}}
