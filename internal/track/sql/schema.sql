{{define "schema" -}}
-- What tracking needs in a database, whatever its tables are. Every name is qualified,
-- since the functions run in sessions of others, under any search_path.

CREATE SCHEMA IF NOT EXISTS groundhog;

-- All tables are unlogged: no publication has them, not one FOR ALL TABLES either,
-- whose subscribers would look for groundhog.state and who would refuse to change a
-- table without a key. A crash empties all of them at once. None has an index: in a copy
-- that CREATE DATABASE … STRATEGY WAL_LOG makes where wal_level is minimal, a crash leaves
-- one that can't be read, and a sequence without a row.

-- One row: what the baseline is, and where. None: the server crashed.
CREATE UNLOGGED TABLE groundhog.state (
	version integer NOT NULL,        -- of the library that made this; all versions read and keep this column
	baseline_xid bigint NOT NULL,    -- row versions up to this transaction are the baseline's
	token text,                      -- of the snapshot that the baseline is; null: of none
	server_id text NOT NULL,         -- the server, whose transaction ids xmin speaks of
	self oid NOT NULL,               -- of this table: another one in a database that was dumped and loaded
	checked boolean NOT NULL,        -- it is undone while triggers fire and foreign keys are checked
	event_triggers boolean NOT NULL, -- event triggers see changes of the schema
	schema_fingerprint text,         -- else: what the schema was made of
	event_trigger_states text        -- the event triggers, as they were when the baseline was set
);
-- baseline_xid once more, where a transaction with an old snapshot sees the newest.
-- 0: no baseline is set, or the server crashed.
CREATE UNLOGGED SEQUENCE groundhog.newest_baseline_xid MINVALUE 0 START 0;
-- The changes of the schema since the baseline was set.
CREATE UNLOGGED TABLE groundhog.schema_changes (tag varchar(63));
-- The tables that were written to since the last restore, once per transaction, and why
-- they can't be undone, if they can't.
CREATE UNLOGGED TABLE groundhog.touched (rel oid, why varchar(63));
-- The tables that have a journal: partitions have that of their root.
CREATE UNLOGGED TABLE groundhog.journals (
	root oid NOT NULL,
	space text NOT NULL,       -- its schema
	name text NOT NULL,
	rows bigint NOT NULL,      -- in the baseline
	always text,               -- why it is never undone
	unnoticed boolean NOT NULL, -- nothing notes that it is written to
	awake boolean NOT NULL     -- triggers of the user would see what an undo writes
);
-- The tables whose writes are not journaled: see skip.
CREATE UNLOGGED TABLE groundhog.skipped (root oid NOT NULL);
-- The tables whose rows were all so short that their journal has no room for long ones.
CREATE UNLOGGED TABLE groundhog.short (rel oid NOT NULL);
-- Of a table that a statement names, the roots whose journals may tell of it.
CREATE UNLOGGED TABLE groundhog.journals_of (rel oid NOT NULL, root oid NOT NULL);
-- The columns of the tables, where no event trigger sees them change.
CREATE UNLOGGED TABLE groundhog.shapes (rel oid NOT NULL, shape text);
-- The materialised views, in the order in which they are refreshed.
CREATE UNLOGGED TABLE groundhog.views (place integer NOT NULL, view oid NOT NULL, name text NOT NULL);
-- What makes the extension of a table drop what it keeps in memory, before and after
-- the table is put back.
CREATE UNLOGGED TABLE groundhog.cache_resets (root oid NOT NULL, before text NOT NULL, after text NOT NULL);
-- The tables that functions in C may write to past all triggers, with the number of their
-- rows in the baseline.
CREATE UNLOGGED TABLE groundhog.native (root oid NOT NULL, total bigint);
-- The sequences of extensions that are part of the baseline.
CREATE UNLOGGED TABLE groundhog.extension_sequences (seq oid NOT NULL);

-- The columns of a table.
CREATE FUNCTION groundhog.shape(rel oid) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(a.attname), a.atttypid, a.attisdropped), ',' ORDER BY a.attnum)
	FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) rel AND a.attnum OPERATOR(pg_catalog.>) 0
$$;

-- The event triggers, whatever they are called. Nothing tells when they are altered or
-- dropped, but their rows.
CREATE FUNCTION groundhog.event_trigger_states() RETURNS text LANGUAGE sql STABLE AS $$
	SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', e.evtname, e.evtenabled, e.xmin), ',' ORDER BY e.evtname)
	FROM pg_catalog.pg_event_trigger e WHERE e.evtfoid OPERATOR(pg_catalog.=) pg_catalog.to_regprocedure('groundhog.note_schema_change()')
$$;

-- Before the first statement of a transaction on a table: waits while a restore
-- runs, and notes the table. What is skipped is noted as a table with too many changes.
CREATE FUNCTION groundhog.enter() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	baseline bigint;
	own bigint;
	why text;
	skips boolean;
	x record;
BEGIN
	PERFORM pg_catalog.pg_advisory_xact_lock_shared({{.WriterLock}});
	IF NOT {{.EventTriggers}} AND EXISTS (SELECT FROM groundhog.shapes h WHERE h.rel OPERATOR(pg_catalog.=) TG_RELID
			AND h.shape IS DISTINCT FROM groundhog.shape(h.rel)) THEN
		-- The functions that note rows speak of columns that may be gone.
		INSERT INTO groundhog.schema_changes VALUES ('ALTER TABLE');
		PERFORM pg_catalog.set_config('groundhog.disabled', 'on', true);
		RETURN NULL;
	END IF;
	own := pg_catalog.pg_current_xact_id_if_assigned()::text;
	SELECT s.baseline_xid, EXISTS (SELECT FROM groundhog.skipped) INTO baseline, skips FROM groundhog.state s;
	IF baseline IS NULL AND coalesce((SELECT h.last_value FROM groundhog.newest_baseline_xid h), 0) OPERATOR(pg_catalog.=) 0 THEN
		-- After a crash all is loaded, whatever is written. The tables may have changed
		-- while nothing told which functions speak of their columns.
		PERFORM pg_catalog.set_config('groundhog.disabled', 'on', true);
		RETURN NULL;
	END IF;
	IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
		why := '{{.Reason.Truncated}}';
	ELSIF own OPERATOR(pg_catalog.<=) baseline THEN
		-- Its rows would pass for the baseline's: it began before the restore.
		why := '{{.Reason.OverlappingTx}}';
	ELSIF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed'
		AND baseline IS DISTINCT FROM (SELECT h.last_value FROM groundhog.newest_baseline_xid h) THEN
		-- Its snapshot is older than the restore.
		why := '{{.Reason.OverlappingTx}}';
	END IF;
	PERFORM pg_catalog.set_config('groundhog.baseline_xid', coalesce(baseline::text, ''), true),
		pg_catalog.set_config('groundhog.touched', pg_catalog.concat(pg_catalog.current_setting('groundhog.touched', true), ',', TG_RELID, ','), true);
	INSERT INTO groundhog.touched VALUES (TG_RELID, why);
	IF skips THEN
		FOR x IN SELECT DISTINCT t.root FROM groundhog.journals_of t JOIN groundhog.skipped k ON k.root OPERATOR(pg_catalog.=) t.root
				WHERE t.rel OPERATOR(pg_catalog.=) TG_RELID LOOP
			-- From here to the end of the transaction the journal does not tell of it.
			INSERT INTO groundhog.touched VALUES (x.root, '{{.Reason.TooManyChanges}}');
			PERFORM pg_catalog.set_config('groundhog.skipped', pg_catalog.concat(pg_catalog.current_setting('groundhog.skipped', true), ',', x.root, ','), true);
		END LOOP;
	END IF;
	RETURN NULL;
END $$;

-- A row was changed where the baseline's transaction is not known.
CREATE FUNCTION groundhog.note_untracked_write(rel oid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM pg_catalog.pg_advisory_xact_lock_shared({{.WriterLock}});
	INSERT INTO groundhog.touched VALUES (rel, '{{.Reason.UntrackedWrite}}');
END $$;

-- How many changes of a root an undo takes at most: see undo_*. Where a statement deleted more
-- rows, that is noted instead of them. A rollback to a savepoint takes the note back with the
-- rows. What else is written to the table is journaled as before.
CREATE FUNCTION groundhog.most_changes(root oid) RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT greatest({{journalCounted}} OPERATOR(pg_catalog./) {{leastEntry}}, pg_catalog.floor({{undoFrom}} OPERATOR(pg_catalog.+) (o.rows OPERATOR(pg_catalog.*) {{undoShare}})))::bigint
	FROM groundhog.journals o WHERE o.root OPERATOR(pg_catalog.=) most_changes.root
$$;

-- After rows of a root, or of this partition of it, were deleted that are noted one by one: if the
-- baseline has so many more rows than there are now that these alone are too many changes, it notes
-- that and returns true. The setting groundhog.emptied lists such roots until the transaction ends.
CREATE FUNCTION groundhog.note_emptying(root oid, part oid) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	most bigint := groundhog.most_changes(root);
	rows bigint := (SELECT o.rows FROM groundhog.journals o WHERE o.root OPERATOR(pg_catalog.=) note_emptying.root);
	left_over bigint;
BEGIN
	PERFORM pg_catalog.set_config(pg_catalog.concat('groundhog.counted_', part), pg_catalog.pg_stat_get_xact_tuples_deleted(part)::text, true);
	IF ((SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_deleted(t.rel)) FROM groundhog.journals_of t WHERE t.root OPERATOR(pg_catalog.=) note_emptying.root) OPERATOR(pg_catalog.>) most) IS NOT TRUE THEN
		RETURN false;
	END IF;
	EXECUTE pg_catalog.format('SELECT pg_catalog.count(*) FROM %s%s', CASE (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) note_emptying.root) WHEN 'p' THEN '' ELSE 'ONLY ' END, root::pg_catalog.regclass) INTO left_over;
	IF rows OPERATOR(pg_catalog.-) left_over OPERATOR(pg_catalog.<=) most THEN
		RETURN false;
	END IF;
	INSERT INTO groundhog.touched VALUES (root, '{{.Reason.TooManyChanges}}');
	PERFORM pg_catalog.set_config('groundhog.emptied', pg_catalog.concat(pg_catalog.current_setting('groundhog.emptied', true), ',', root, ','), true);
	RETURN true;
END $$;

-- After a change of the schema. Refreshing a materialised view is none, but
-- makes it one to refresh again.
CREATE FUNCTION groundhog.note_schema_change() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	f record;
BEGIN
	IF pg_catalog.current_setting('groundhog.disabled', true) OPERATOR(pg_catalog.=) 'on' THEN
		RETURN;
	END IF;
	IF TG_EVENT OPERATOR(pg_catalog.=) 'sql_drop' THEN
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger_dropped_objects() d WHERE NOT d.is_temporary
				AND d.schema_name IS DISTINCT FROM 'pg_temp' AND d.address_names[1] IS DISTINCT FROM 'pg_temp') THEN
			RETURN;
		END IF;
	ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() c WHERE c.schema_name IS DISTINCT FROM 'pg_temp') THEN
		RETURN;
	END IF;
	PERFORM pg_catalog.pg_advisory_xact_lock_shared({{.WriterLock}});
	IF TG_TAG OPERATOR(pg_catalog.=) 'REFRESH MATERIALIZED VIEW' THEN
		-- One that was or is now without data is a change all the same.
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() c JOIN pg_catalog.pg_class k ON k.oid OPERATOR(pg_catalog.=) c.objid
				LEFT JOIN groundhog.views v ON v.view OPERATOR(pg_catalog.=) c.objid
				WHERE NOT k.relispopulated OR v.view IS NULL) THEN
			INSERT INTO groundhog.touched VALUES (0, NULL);
			RETURN;
		END IF;
	END IF;
	INSERT INTO groundhog.schema_changes SELECT TG_TAG WHERE NOT EXISTS (SELECT FROM groundhog.schema_changes);
	IF TG_EVENT OPERATOR(pg_catalog.=) 'ddl_command_end' THEN
		-- The functions that note rows of these tables speak of columns that may be
		-- gone, and have nothing more to tell.
		PERFORM pg_catalog.set_config('groundhog.disabled', 'on', true);
		FOR f IN SELECT DISTINCT p.proname, p.pronargs FROM pg_catalog.pg_event_trigger_ddl_commands() c
				JOIN groundhog.journals_of a ON a.rel OPERATOR(pg_catalog.=) c.objid JOIN groundhog.journals_of b ON b.root OPERATOR(pg_catalog.=) a.root
				JOIN pg_catalog.pg_proc p ON p.proname OPERATOR(pg_catalog.=) ANY (ARRAY[pg_catalog.concat('old_', b.rel), pg_catalog.concat('note_', b.rel), pg_catalog.concat('rekeyed_', b.rel)])
				JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace AND n.nspname OPERATOR(pg_catalog.=) 'groundhog' LOOP
			IF f.pronargs OPERATOR(pg_catalog.=) 2 THEN
				EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION groundhog.%s(old anyelement, new anyelement) RETURNS boolean LANGUAGE sql IMMUTABLE AS %L', f.proname, 'SELECT false');
			ELSE
				EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION groundhog.%s() RETURNS trigger LANGUAGE plpgsql AS %L', f.proname, 'BEGIN RETURN NULL; END');
			END IF;
		END LOOP;
		PERFORM pg_catalog.set_config('groundhog.disabled', '', true);
	END IF;
END $$;

-- What the schema is made of, for roles that may not watch it: see catalog.WatchedFacts.
-- It is no function of SQL, which would be planned at each call. What a sequential scan
-- compares with a list, it compares with each entry.
CREATE FUNCTION groundhog.schema_fingerprint() RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog
	SET enable_seqscan = off SET jit = off AS $$
BEGIN
	RETURN ({{watchedFacts}});
END $$;

-- Empties a journal. What DELETE leaves is walked over by each later restore, until
-- it is worth a new file.
CREATE FUNCTION groundhog.empty_journal(journal regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	bytes bigint := pg_catalog.pg_relation_size(journal);
BEGIN
	IF bytes OPERATOR(pg_catalog.>) 131072 THEN
		EXECUTE pg_catalog.format('TRUNCATE %s', journal);
	ELSIF bytes OPERATOR(pg_catalog.>) 0 THEN
		EXECUTE pg_catalog.format('DELETE FROM %s', journal);
	END IF;
END $$;

-- What is known of the baseline, and why it can't be undone as a whole (void), if it
-- can't. No row: nothing is known, since the server crashed. library is the version of
-- the one that asks.
CREATE FUNCTION groundhog.verdict(want text, here text, library integer) RETURNS TABLE (baseline_xid xid, touched boolean, void text) LANGUAGE sql STABLE AS $$
	SELECT st.baseline_xid::text::pg_catalog.xid, EXISTS (SELECT FROM groundhog.touched), CASE
			WHEN st.version OPERATOR(pg_catalog.<>) library THEN '{{.Reason.OtherVersion}}'
			WHEN st.token IS NULL THEN '{{.Reason.NoBaseline}}'
			WHEN st.token OPERATOR(pg_catalog.<>) want THEN '{{.Reason.OtherBaseline}}'
			WHEN st.server_id OPERATOR(pg_catalog.<>) here OR st.self OPERATOR(pg_catalog.<>) st.tableoid THEN '{{.Reason.ForeignServer}}'
			WHEN NOT st.checked AND pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.<>) 'replica' THEN '{{.Reason.NoPrivileges}}'
			WHEN st.event_triggers AND NOT coalesce(st.event_trigger_states OPERATOR(pg_catalog.=) groundhog.event_trigger_states(), false) THEN '{{.Reason.Damaged}}'
			WHEN EXISTS (SELECT FROM groundhog.schema_changes) THEN '{{.Reason.SchemaChanged}}'
			WHEN st.event_triggers AND pg_catalog.current_setting('event_triggers', true) OPERATOR(pg_catalog.=) 'off' THEN '{{.Reason.UntrackedWrite}}'
			WHEN EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata) THEN '{{.Reason.LargeObjects}}'
			WHEN EXISTS (SELECT FROM pg_catalog.pg_subscription p WHERE p.subdbid OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())) THEN '{{.Reason.Subscription}}'
			WHEN pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint OPERATOR(pg_catalog.>=) {{.Wraparound}} THEN '{{.Reason.Wraparound}}'
			WHEN NOT st.event_triggers AND NOT coalesce(st.schema_fingerprint OPERATOR(pg_catalog.=) groundhog.schema_fingerprint(), false) THEN '{{.Reason.SchemaChanged}}'
		END
	FROM groundhog.state st
$$;

-- The tables that functions in C may write to and that are not as in the baseline, and
-- what counts their rows there: install puts them in its place where there are any.
CREATE FUNCTION groundhog.unseen_writes(baseline_xid xid, own xid) RETURNS SETOF oid LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION groundhog.count_native() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;

-- The tables whose journal tells of what was written, and why it tells not all. Those
-- that were written to unseen are among them. It is no function of SQL, which would be
-- planned at each call.
CREATE FUNCTION groundhog.written() RETURNS TABLE (root oid, space text, name text, rows bigint, why text) LANGUAGE plpgsql STABLE
	SET enable_hashjoin = on SET enable_seqscan = on AS $$ -- there may be thousands of tables, and there is no index
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT o.root, o.space, o.name, o.rows, coalesce(pg_catalog.max(q.why), o.always)
	FROM (SELECT q.rel, pg_catalog.max(q.why) AS why FROM groundhog.touched q GROUP BY q.rel) q
		JOIN groundhog.journals_of t ON t.rel OPERATOR(pg_catalog.=) q.rel JOIN groundhog.journals o ON o.root OPERATOR(pg_catalog.=) t.root
	GROUP BY o.root, o.space, o.name, o.rows, o.always
	UNION ALL
	SELECT o.root, o.space, o.name, o.rows, '{{.Reason.UnseenWrite}}' FROM groundhog.unseen_writes((SELECT st.baseline_xid::text::pg_catalog.xid FROM groundhog.state st), NULL) u(root)
		JOIN groundhog.journals o ON o.root OPERATOR(pg_catalog.=) u.root
		WHERE NOT EXISTS (SELECT FROM groundhog.touched q JOIN groundhog.journals_of t ON t.rel OPERATOR(pg_catalog.=) q.rel WHERE t.root OPERATOR(pg_catalog.=) o.root)
	ORDER BY 1;
END $$;

-- What it costs to bring each of these tables back, of which always says why they are loaded: a row that the journal tells of is one,
-- a row that is loaded is {{.LoadedRow}}. A table with too many changes costs what is less. changed is
-- the number of rows in the journal, or in the baseline where that is loaded, and why says
-- why it is. Of a large journal some pages are counted, or none: that near is enough.
CREATE FUNCTION groundhog.costs(tables groundhog.journals[], counted boolean) RETURNS TABLE (space text, name text, why text, changed bigint, cost bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE
	w record;
	journal text;
	pages bigint;
BEGIN
	FOREACH w IN ARRAY tables LOOP
		space := w.space;
		name := w.name;
		why := w.always;
		changed := w.rows;
		cost := {{.LoadedRow}} OPERATOR(pg_catalog.*) w.rows;
		IF why IS NULL THEN
			journal := pg_catalog.concat('groundhog.journal_', w.root);
			pages := pg_catalog.pg_relation_size(journal::pg_catalog.regclass) OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::bigint;
			IF NOT counted THEN
				changed := pg_catalog.pg_relation_size(journal::pg_catalog.regclass) OPERATOR(pg_catalog./) {{.UsualEntry}};
			ELSIF pages OPERATOR(pg_catalog.<=) {{.PagesCounted}} THEN
				EXECUTE pg_catalog.concat('SELECT pg_catalog.count(*) FROM ', journal) INTO changed;
			ELSE
				EXECUTE pg_catalog.format('SELECT pg_catalog.count(*) OPERATOR(pg_catalog.*) $1 OPERATOR(pg_catalog./) {{.PagesCounted}} FROM %s TABLESAMPLE pg_catalog.system (100.0 OPERATOR(pg_catalog.*) {{.PagesCounted}} OPERATOR(pg_catalog./) $1) REPEATABLE (0)', journal)
					INTO changed USING pages;
			END IF;
			IF changed OPERATOR(pg_catalog.>) ({{undoFrom}} OPERATOR(pg_catalog.+) (w.rows OPERATOR(pg_catalog.*) {{undoShare}})) THEN
				why := '{{.Reason.TooManyChanges}}';
				cost := least(changed, cost);
				changed := w.rows;
			ELSE
				cost := changed;
			END IF;
		ELSIF why OPERATOR(pg_catalog.=) '{{.Reason.TooManyChanges}}' AND NOT EXISTS (SELECT FROM groundhog.skipped k WHERE k.root OPERATOR(pg_catalog.=) w.root) THEN
			-- One statement deleted more rows than an undo takes; see most_changes.
			cost := least(cost, ({{undoFrom}} OPERATOR(pg_catalog.+) (w.rows OPERATOR(pg_catalog.*) {{undoShare}}))::bigint);
		END IF;
		RETURN NEXT;
	END LOOP;
END $$;

-- Brings the database back to the baseline that want names, or tells why not. A
-- table that can't be undone is an error of code GH001 and nothing is changed,
-- unless partly is given: then the caller reloads those that are told to be
-- reloaded and calls finish_undo, in the same transaction.
--
-- A caller that can replace the database by a copy gives what the database itself was
-- like, and how many rows a copy is worth at most: likeness and most. Where another
-- database is there, or more rows would have to be written, nothing is changed. The
-- costs are then told table by table. Many bytes count as many rows.
--
-- Where want is null nothing is done, and nothing is locked that others wait for: a
-- session that is new then has plans and a cache for the next call.
--
-- With aside, unique values are kept out of each other's way; see undo_checked. Where foreign
-- keys are checked and a table is told to be reloaded, nothing is undone: the caller calls
-- undo_loaded before finish_undo.
--
-- With application, the database is for another client: nothing is undone where a session is
-- connected to it that has neither this name nor a pid among ours, where the database is not
-- as it was made, or where anything was written that the journal does not watch.
CREATE FUNCTION groundhog.restore(want text, here text, partly boolean, library integer, likeness text DEFAULT NULL, most bigint DEFAULT NULL, aside boolean DEFAULT false, application text DEFAULT NULL, ours integer[] DEFAULT NULL)
RETURNS TABLE (space text, name text, way text, why text, changed bigint) LANGUAGE plpgsql AS $$
DECLARE
	s record;
	x record;
	tables groundhog.journals[]; -- that were written to, with why as always
	room bigint := 0;
	certain boolean;
	in_use boolean;
	{{- if .Checked}}
	roots oid[] := '{}'; -- that are undone
	undone groundhog.journals[] := '{}';
	counts bigint[];
	reads bigint;
	loads boolean := false; -- tables must be loaded
	{{- end}}
BEGIN
	IF want IS NOT NULL THEN
		PERFORM pg_catalog.pg_advisory_xact_lock({{.WriterLock}});
		PERFORM pg_catalog.set_config('lock_timeout', '{{if .Checked}}{{.NoWait}}{{else}}{{.LockTimeout}}{{end}}', true);
		{{- if .Checked}}
		-- A superuser's session is in replica role. In the statement that undoes, journals are joined by hash: they have no index.
		PERFORM pg_catalog.set_config('session_replication_role', 'origin', true) WHERE pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.<>) 'origin';
		PERFORM pg_catalog.set_config('enable_hashjoin', 'on', true);
		{{- end}}
	END IF;
	-- First, since a session that is gone by then has left what the verdict sees. Of the sessions of
	-- others, a role that is no superuser sees no kind.
	in_use := application IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
		AND coalesce(a.application_name, '') OPERATOR(pg_catalog.<>) application AND a.pid OPERATOR(pg_catalog.<>) ALL (ours)
		AND coalesce(a.backend_type OPERATOR(pg_catalog.=) ANY ('{client backend,walsender}'), a.usesysid IS NOT NULL));
	SELECT * INTO s FROM groundhog.verdict(want, here, library);
	IF NOT FOUND THEN
		s.void := '{{.Reason.Crash}}';
	ELSIF in_use THEN
		s.void := '{{.Reason.InUse}}';
	ELSIF likeness IS NOT NULL AND s.void IS DISTINCT FROM '{{.Reason.OtherVersion}}' THEN
		-- As a part of the verdict's query it would have that planned each time.
		IF likeness OPERATOR(pg_catalog.<>) (SELECT {{likeness}} FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) THEN
			s.void := '{{.Reason.DatabaseAltered}}';
		END IF;
	END IF;
	IF application IS NOT NULL AND s.void IS NULL THEN
		IF EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p WHERE p.database OPERATOR(pg_catalog.=) pg_catalog.current_database())
			OR EXISTS (SELECT FROM pg_catalog.pg_replication_slots r WHERE r.database OPERATOR(pg_catalog.=) pg_catalog.current_database()) THEN
			s.void := '{{.Reason.InUse}}';
		ELSIF NOT coalesce((SELECT pg_catalog.bool_and(b.fingerprint OPERATOR(pg_catalog.=) groundhog.unwatched_fingerprint()) FROM groundhog.unwatched b), false) THEN
			s.void := '{{.Reason.Unwatched}}';
		END IF;
	END IF;
	IF want IS NULL THEN
		PERFORM FROM groundhog.written();
		RETURN;
	END IF;
	IF s.void OPERATOR(pg_catalog.=) '{{.Reason.OtherBaseline}}' AND most IS NOT NULL THEN
		-- Rows can be loaded. What only a copy brings back decides.
		IF EXISTS (SELECT FROM groundhog.schema_changes)
			-- As a comparison by itself it would be evaluated by the planner, to see how many rows it selects.
			OR EXISTS (SELECT FROM groundhog.state st WHERE CASE WHEN st.event_triggers THEN false ELSE st.schema_fingerprint IS DISTINCT FROM groundhog.schema_fingerprint() END) THEN
			s.void := '{{.Reason.SchemaChanged}}';
		ELSIF EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata) THEN
			s.void := '{{.Reason.LargeObjects}}';
		END IF;
	END IF;
	IF s.void IS NOT NULL THEN
		RETURN QUERY SELECT ''::text, ''::text, 'void'::text, s.void, 0::bigint;
		RETURN;
	END IF;
	IF NOT s.touched THEN
		s.touched := EXISTS (SELECT FROM groundhog.unseen_writes(s.baseline_xid, NULL));
	END IF;
	IF s.touched THEN
		tables := ARRAY(SELECT ROW(o.root, o.space, o.name, o.rows, o.why, false, false)::groundhog.journals FROM groundhog.written() o);
		IF most OPERATOR(pg_catalog.>=) 0 THEN
			-- No entry takes less than {{leastEntry}} bytes of its journal: mostly there is nothing to count. A
			-- loop of simple expressions takes a tenth of a query's time.
			FOREACH x IN ARRAY tables LOOP
				IF x.always IS NULL THEN
					room := room OPERATOR(pg_catalog.+) (pg_catalog.pg_relation_size(pg_catalog.concat('groundhog.journal_', x.root)::pg_catalog.regclass) OPERATOR(pg_catalog./) {{leastEntry}});
				ELSE
					room := room OPERATOR(pg_catalog.+) ({{.LoadedRow}} OPERATOR(pg_catalog.*) x.rows);
				END IF;
			END LOOP;
			IF room OPERATOR(pg_catalog.>) most THEN
				certain := room OPERATOR(pg_catalog.>) ({{.CertainlyCostly}} OPERATOR(pg_catalog.*) greatest(most, {{undoFrom}}));
				RETURN QUERY WITH c AS MATERIALIZED (SELECT * FROM groundhog.costs(tables, NOT certain)),
					v AS MATERIALIZED (SELECT FROM c HAVING certain OR pg_catalog.sum(c.cost) OPERATOR(pg_catalog.>) most)
					SELECT ''::text, ''::text, 'void'::text, '{{.Reason.Costly}}'::text, 0::bigint FROM v
					UNION ALL SELECT c.space, c.name, CASE WHEN c.why IS NULL THEN 'undone' ELSE 'reload' END, c.why, c.changed FROM v CROSS JOIN c;
				IF FOUND THEN
					RETURN;
				END IF;
			END IF;
		END IF;
		{{- if .Checked}}
		IF EXISTS (SELECT FROM groundhog.cache_resets k JOIN pg_catalog.unnest(tables) t ON t.root OPERATOR(pg_catalog.=) k.root) THEN
			RETURN QUERY SELECT ''::text, ''::text, 'void'::text, '{{.Reason.ExtensionCache}}'::text, 0::bigint;
			RETURN;
		END IF;
		IF EXISTS (SELECT FROM groundhog.unindexed) THEN
			reads := groundhog.unindexed_reads(tables) OPERATOR(pg_catalog./) {{.ReadRows}};
			IF reads OPERATOR(pg_catalog.>) greatest({{undoFrom}}, {{.LoadedRow}} OPERATOR(pg_catalog.*) (SELECT pg_catalog.sum(o.rows) FROM groundhog.journals o)) OR most OPERATOR(pg_catalog.>=) 0 AND reads OPERATOR(pg_catalog.>) most THEN
				RETURN QUERY SELECT ''::text, ''::text, 'void'::text, '{{.Reason.UnindexedKey}}'::text, 0::bigint;
				RETURN;
			END IF;
		END IF;
		{{- else}}
		IF EXISTS (SELECT FROM groundhog.cache_resets) THEN
			-- What this writes is undone with the rest.
			PERFORM groundhog.reset_caches(false);
			tables := ARRAY(SELECT ROW(o.root, o.space, o.name, o.rows, o.why, false, false)::groundhog.journals FROM groundhog.written() o);
		END IF;
		{{- end}}
		FOREACH x IN ARRAY tables LOOP
			why := x.always;
			IF why IS NULL THEN
				EXECUTE pg_catalog.format('SELECT * FROM groundhog.undo_%s($1, $2)', x.root) INTO why, changed USING s.baseline_xid, x.rows;
				IF why IS NULL AND EXISTS (SELECT FROM groundhog.native n WHERE n.root OPERATOR(pg_catalog.=) x.root)
					AND EXISTS (SELECT FROM groundhog.unseen_writes(s.baseline_xid, pg_catalog.pg_current_xact_id()::pg_catalog.xid) u(root) WHERE u.root OPERATOR(pg_catalog.=) x.root) THEN
					why := '{{.Reason.UnseenWrite}}'; -- it is not as it was
				END IF;
			END IF;
			{{- if .Checked}}
			IF why IS NULL THEN
				roots := pg_catalog.array_append(roots, x.root);
				undone := pg_catalog.array_append(undone, ROW(x.root, x.space, x.name, x.rows, NULL, false, false)::groundhog.journals);
				CONTINUE;
			END IF;
			{{- end}}
			IF why IS NOT NULL THEN
				IF NOT partly THEN
					RAISE EXCEPTION USING ERRCODE = 'GH001', MESSAGE = pg_catalog.concat(x.name, ': ', why), SCHEMA = x.space, TABLE = x.name, DETAIL = why;
				END IF;
				{{- if .Checked}}
				loads := true;
				{{- else}}
				PERFORM groundhog.empty_journal(pg_catalog.concat('groundhog.journal_', x.root)::regclass);
				{{- end}}
				changed := 0;
			END IF;
			space := x.space;
			name := x.name;
			way := CASE WHEN why IS NULL THEN 'undone' ELSE 'reload' END;
			RETURN NEXT;
		END LOOP;
		{{- if .Checked}}
		IF pg_catalog.cardinality(roots) OPERATOR(pg_catalog.>) 0 THEN
			IF NOT loads THEN
				counts := groundhog.undo_checked(roots, pg_catalog.array_fill(NULL::text, ARRAY[pg_catalog.cardinality(roots)]), s.baseline_xid, aside, EXISTS (SELECT FROM groundhog.journals o WHERE o.awake AND o.root OPERATOR(pg_catalog.=) ANY (roots)));
			END IF;
			FOR place IN 1 .. pg_catalog.cardinality(roots) LOOP
				IF NOT loads THEN
					PERFORM groundhog.empty_journal(pg_catalog.concat('groundhog.journal_', roots[place])::regclass);
				END IF;
				IF NOT loads AND EXISTS (SELECT FROM groundhog.native n WHERE n.root OPERATOR(pg_catalog.=) roots[place])
					AND EXISTS (SELECT FROM groundhog.unseen_writes(s.baseline_xid, pg_catalog.pg_current_xact_id()::pg_catalog.xid) u(root) WHERE u.root OPERATOR(pg_catalog.=) roots[place]) THEN
					RAISE EXCEPTION USING ERRCODE = 'GH003', MESSAGE = 'a table is not as it was', DETAIL = '{{.Reason.UnseenWrite}}';
				END IF;
				space := undone[place].space;
				name := undone[place].name;
				way := 'undone';
				why := NULL;
				changed := coalesce(counts[place], 0);
				RETURN NEXT;
			END LOOP;
		END IF;
		{{- end}}
	END IF;
	IF NOT partly THEN
		IF s.touched THEN
			PERFORM groundhog.finish_undo();
		ELSE
			PERFORM groundhog.rewind_sequences();
		END IF;
	END IF;
END $$;

-- Notes that no table was written to, as far as that can be known.
CREATE FUNCTION groundhog.reset_touched() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM groundhog.empty_journal('groundhog.touched');
	INSERT INTO groundhog.touched SELECT o.root, NULL FROM groundhog.journals o WHERE o.unnoticed;
END $$;

-- Makes extensions whose tables were written to drop what they keep in memory: their
-- triggers for statements fire, with no row. One that fails has changed nothing. What a trigger writes into the
-- baseline must not stay: where it was put back already, that is taken back.
CREATE FUNCTION groundhog.reset_caches(afterwards boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	w record;
	was numeric;
BEGIN
	FOR w IN SELECT DISTINCT k.root, k.before, k.after FROM groundhog.touched q JOIN groundhog.journals_of t ON t.rel OPERATOR(pg_catalog.=) q.rel
			JOIN groundhog.cache_resets k ON k.root OPERATOR(pg_catalog.=) t.root ORDER BY k.root LOOP
		IF afterwards AND NOT pg_catalog.current_setting('track_counts')::boolean THEN
			RETURN; -- nothing would tell
		END IF;
		BEGIN
			was := CASE WHEN afterwards THEN groundhog.rows_written() END;
			EXECUTE CASE WHEN afterwards THEN w.after ELSE w.before END;
			IF afterwards AND groundhog.rows_written() OPERATOR(pg_catalog.<>) was THEN
				RAISE EXCEPTION USING ERRCODE = 'GH002';
			END IF;
		EXCEPTION
			WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
				RAISE;
			WHEN OTHERS THEN
				NULL;
		END;
	END LOOP;
END $$;

{{if .Checked}}{{template "checked schema" .}}
{{end -}}
-- How many rows this transaction wrote.
CREATE FUNCTION groundhog.rows_written() RETURNS numeric LANGUAGE sql VOLATILE AS $$
	SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(t.rel) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(t.rel)
		OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(t.rel))
		FROM (SELECT rel FROM groundhog.journals_of{{if .Checked}} UNION SELECT rel FROM groundhog.neighbours{{else}} GROUP BY rel{{end}}) t
$$;

-- Sets the sequences that are not as in the baseline. This outlives a rollback, so
-- it comes last.
CREATE FUNCTION groundhog.rewind_sequences() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	q record;
BEGIN
	FOR q IN SELECT m.seq, m.value, m.called FROM groundhog.sequences_moved() m LOOP
		PERFORM pg_catalog.setval(q.seq::pg_catalog.regclass, q.value, q.called);
	END LOOP;
END $$;

-- Makes what is there now the baseline, whose rows the caller put back.
CREATE FUNCTION groundhog.finish_undo() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v record;
	{{- if .Checked}}
	written numeric;
	files text[];
	{{- else}}
	e record;
	enable text[] := '{}'; -- gives event triggers their states again
	again text;
	{{- end}}
	now bigint := pg_catalog.pg_current_xact_id()::text;
BEGIN
	{{- if .Checked}}
	IF EXISTS (SELECT FROM groundhog.views) THEN
		written := groundhog.rows_written();
		files := groundhog.files();
		FOR v IN SELECT w.name FROM groundhog.views w ORDER BY w.place LOOP
			EXECUTE pg_catalog.concat('REFRESH MATERIALIZED VIEW ', v.name);
		END LOOP;
		IF groundhog.rows_written() OPERATOR(pg_catalog.<>) written OR groundhog.truncated(files) THEN -- by an event trigger
			RAISE EXCEPTION USING ERRCODE = 'GH003', MESSAGE = 'an event trigger wrote to a table', DETAIL = '{{.Reason.SideEffect}}';
		END IF;
	END IF;
	{{- else}}
	PERFORM groundhog.reset_caches(true);
	IF EXISTS (SELECT FROM groundhog.views) THEN
		FOR e IN SELECT g.evtname, g.evtenabled FROM pg_catalog.pg_event_trigger g JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) g.evtfoid
				WHERE g.evtenabled OPERATOR(pg_catalog.=) ANY (ARRAY['A', 'R']::"char"[]) AND p.pronamespace OPERATOR(pg_catalog.<>) 'groundhog'::regnamespace LOOP
			IF pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.<>) 'on' THEN
				RAISE EXCEPTION 'the event trigger "%" fires in replica role, and only a superuser may disable it', e.evtname;
			END IF;
			EXECUTE pg_catalog.format('ALTER EVENT TRIGGER %I DISABLE', e.evtname);
			enable := pg_catalog.array_append(enable, pg_catalog.format('ALTER EVENT TRIGGER %I ENABLE %s', e.evtname,
				CASE WHEN e.evtenabled OPERATOR(pg_catalog.=) 'A' THEN 'ALWAYS' ELSE 'REPLICA' END));
		END LOOP;
		FOR v IN SELECT w.name FROM groundhog.views w ORDER BY w.place LOOP
			EXECUTE pg_catalog.concat('REFRESH MATERIALIZED VIEW ', v.name);
		END LOOP;
		FOREACH again IN ARRAY enable LOOP
			EXECUTE again;
		END LOOP;
	END IF;
	{{- end}}
	PERFORM groundhog.reset_touched();
	UPDATE groundhog.state SET baseline_xid = now;
	PERFORM pg_catalog.setval('groundhog.newest_baseline_xid', now);
	PERFORM groundhog.rewind_sequences();
END $$;

-- Makes what is there now the baseline called token. Where the materialised views were
-- not refreshed, the next restore does that, even with nothing written: all restores
-- leave the same.
CREATE FUNCTION groundhog.set_baseline(token text, here text, spaces text[], names text[], rows bigint[], stale boolean) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	j record;
	now bigint := pg_catalog.pg_current_xact_id()::text;
BEGIN
	FOR j IN SELECT o.root FROM groundhog.journals o LOOP
		PERFORM groundhog.empty_journal(pg_catalog.concat('groundhog.journal_', j.root)::regclass);
	END LOOP;
	PERFORM groundhog.reset_touched();
	IF stale AND EXISTS (SELECT FROM groundhog.views) THEN
		INSERT INTO groundhog.touched VALUES (0, NULL);
	END IF;
	PERFORM groundhog.empty_journal('groundhog.schema_changes');
	PERFORM groundhog.empty_journal('groundhog.skipped');
	PERFORM groundhog.set_row_counts(spaces, names, rows);
	PERFORM groundhog.count_native();
	UPDATE groundhog.state s SET token = set_baseline.token, server_id = here, baseline_xid = now,
		schema_fingerprint = CASE WHEN NOT s.event_triggers THEN groundhog.schema_fingerprint() END, event_trigger_states = CASE WHEN s.event_triggers THEN groundhog.event_trigger_states() END;
	PERFORM pg_catalog.setval('groundhog.newest_baseline_xid', now);
END $$;

-- Names the tables whose writes are not journaled from the next transactions on, in place
-- of those that were. A partition counts by its root.
CREATE FUNCTION groundhog.skip(spaces text[], names text[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared({{.WriterLock}});
	DELETE FROM groundhog.skipped;
	INSERT INTO groundhog.skipped SELECT DISTINCT o.root
	FROM unnest(skip.spaces, skip.names) t(space, name) JOIN pg_namespace n ON n.nspname = t.space JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.name
		JOIN groundhog.journals o ON o.root = coalesce(pg_partition_root(c.oid)::oid, c.oid);
END $$;

-- Notes how many rows the tables have in the baseline.
CREATE FUNCTION groundhog.set_row_counts(spaces text[], names text[], rows bigint[]) RETURNS void LANGUAGE sql AS $$
	UPDATE groundhog.journals o SET rows = coalesce((SELECT n.rows FROM unnest(set_row_counts.spaces, set_row_counts.names, set_row_counts.rows) n(space, name, rows) WHERE n.space = o.space AND n.name = o.name), 0)
$$;

-- Gives the baseline its name.
CREATE FUNCTION groundhog.rename_baseline(token text, named text, spaces text[], names text[], rows bigint[]) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
BEGIN
	UPDATE groundhog.state s SET token = named WHERE s.token = rename_baseline.token;
	IF FOUND THEN
		PERFORM groundhog.set_row_counts(spaces, names, rows);
	END IF;
END $$;
{{end}}
