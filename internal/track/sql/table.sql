{{- /*
What tracks one table: see the type table, whose fields and methods these templates use.
Names of the functions end with the oid of the table, names of journals with that of its
root. Columns of a journal are called c1, c2 …, whatever the table calls them.

A body of a function stands between two {{body}}, which become dollars with a tag that
the body does not hold. Its first line keeps columns from being taken for variables.
*/ -}}

{{define "table"}}
	{{- if eq .OID .Root}}{{template "journal" .}}{{end}}
	{{- if .Noticed}}{{template "enter" .}}
		{{- if and .Journaled (not .Partitioned)}}
			{{- template "note baseline rows" .}}
			{{- if .Key}}{{template "note keys" .}}{{end}}
		{{- end}}
		{{- "" -}}
ALTER TABLE ONLY {{.Ident}} {{.EnableAlways}};
{{end}}
{{- end}}

{{- /*
The journal, of a root alone. One whose rows are not noted has no columns. One of short rows
has no TOAST table, which would be two thirds of the files that a copy of an empty journal
is. In CREATE TABLE, storage is set from PostgreSQL 16 on.
*/}}
{{define "journal" -}}
CREATE UNLOGGED TABLE {{.Journal}} (kind "char"{{if and .Journaled (not .Short)}}{{.All.Definitions}}{{end}});
{{if .Short}}ALTER TABLE {{.Journal}} {{.All.ShortDefinitions}};
{{end}}{{if .Journaled}}{{template "undo" .}}{{end}}{{with .CheckedPart}}{{template "checked part" .}}{{end}}
{{- end}}

{{- /* While triggers of ours are not disabled. */}}
{{define "enabled"}}pg_catalog.current_setting('groundhog.disabled', true) IS DISTINCT FROM 'on'{{end}}

{{- /* While the transaction's writes to the table are journaled: groundhog.enter lists those that are skipped in the setting groundhog.skipped. */}}
{{define "not skipped"}}coalesce(pg_catalog.strpos(pg_catalog.current_setting('groundhog.skipped', true), ',{{.Root}},'), 0) OPERATOR(pg_catalog.=) 0{{end}}

{{- /* Notes once per transaction that the table is written to: groundhog.enter lists it in the setting groundhog.touched. */}}
{{define "enter" -}}
CREATE TRIGGER {{.Trigger "000_groundhog_enter"}} BEFORE INSERT OR UPDATE OR DELETE ON {{.Ident}} FOR EACH STATEMENT
	WHEN ({{template "enabled"}} AND coalesce(pg_catalog.strpos(pg_catalog.current_setting('groundhog.touched', true), ',{{.OID}},'), 0) OPERATOR(pg_catalog.=) 0)
	EXECUTE FUNCTION groundhog.enter();
CREATE TRIGGER {{.Trigger "000_groundhog_truncate"}} BEFORE TRUNCATE ON {{.Ident}} FOR EACH STATEMENT
	WHEN ({{template "enabled"}}) EXECUTE FUNCTION groundhog.enter();
{{end}}

{{- /*
Text means the same in all sessions under these. They take some microseconds, and are
left out where no column is kept as text.
*/}}
{{define "text settings"}}{{if .KeepsText}} SET datestyle = 'ISO, YMD' SET intervalstyle = postgres SET timezone = 'UTC' SET extra_float_digits = 1 SET bytea_output = hex SET lc_monetary = 'C' SET search_path = pg_catalog{{end}}{{end}}

{{- /* Around what writes an entry: one that does not fit is noted, rather than fail the statement of the writer. */}}
{{define "begin entry"}}{{if .Wide}}
	BEGIN{{end}}{{end}}
{{define "end entry"}}{{if .Wide}}{{template "too long" .}}{{end}}{{end}}
{{define "too long"}}
	EXCEPTION WHEN program_limit_exceeded THEN
		INSERT INTO groundhog.touched VALUES ({{.Root}}, '{{.Reason.RowTooLong}}');
	END;{{end}}

{{define "old entry"}}INSERT INTO {{.Journal}} (kind{{.All.Entries}}) VALUES ('{{.Kind.Old}}'{{.All.Of "OLD."}});{{end}}

{{- /*
Keeps the rows of the baseline that are updated, or deleted where that is told row by
row. A version of a row is the baseline's where its xmin is not younger than the
baseline's transaction. Where that is not known the row is kept: too much is not wrong.

Most rows surely fit into a journal of short rows. The others are those of a transaction
that is older than the baseline, of columns that were stored in other ways before, and
those that are compressed: a plan for the very values, as the first ones of a session are,
decompresses them. A subtransaction for each row would take too long.

The triggers for rows fire when the statement has deleted all of them. If so few rows are left
then that the table is loaded again, that is noted instead. The transaction's count is a hint
which takes no query; the rows are counted at most once for every so many that were deleted.
*/}}
{{define "note baseline rows" -}}
CREATE FUNCTION groundhog.old_{{.OID}}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER{{template "text settings" .}} AS {{body}}
#variable_conflict use_column
{{- if .Short}}
DECLARE
	mode text;
{{- end}}
BEGIN
	{{- if not .Decides}}
	IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' AND pg_catalog.strpos(pg_catalog.current_setting('groundhog.emptied', true), ',{{.Root}},') OPERATOR(pg_catalog.>) 0 THEN
		RETURN NULL;
	END IF;
	{{- end}}
	IF coalesce(pg_catalog.current_setting('groundhog.baseline_xid', true), '') OPERATOR(pg_catalog.=) '' THEN
		PERFORM groundhog.note_untracked_write({{.Root}});
		RETURN NULL; -- the table is loaded again, whatever is noted of it
	END IF;
	{{- if not .Decides}}
	IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
		IF pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID) OPERATOR(pg_catalog.>)
			(coalesce(nullif(pg_catalog.current_setting('groundhog.counted_{{.OID}}', true), ''), '0')::bigint OPERATOR(pg_catalog.+) {{.CountedFrom}}) THEN
			IF groundhog.note_emptying({{.Root}}, TG_RELID) THEN
				RETURN NULL;
			END IF;
		END IF;
	END IF;
	{{- end}}
	{{- if .Short}}
	IF pg_catalog.pg_column_size(OLD) OPERATOR(pg_catalog.>) {{.SurelyShort}}{{with .Compressed}} OR {{.}} IS NOT NULL{{end}} THEN
		BEGIN
			mode := pg_catalog.current_setting('plan_cache_mode');
			PERFORM pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true);
			{{template "old entry" .}}
			PERFORM pg_catalog.set_config('plan_cache_mode', mode, true);
		{{- template "too long" .}}
		RETURN NULL;
	END IF;
	{{- end}}
	{{- template "begin entry" .}}
	{{template "old entry" .}}
	{{- template "end entry" .}}
	RETURN NULL;
END {{body}};
CREATE TRIGGER {{.Trigger "zzz_groundhog_old"}} AFTER UPDATE{{if not .Decides}} OR DELETE{{end}} ON {{.Ident}} FOR EACH ROW
	WHEN ({{template "not skipped" .}} AND (pg_catalog.age(OLD.xmin) OPERATOR(pg_catalog.>=) pg_catalog.age(nullif(pg_catalog.current_setting('groundhog.baseline_xid', true), '')::pg_catalog.xid)) IS NOT FALSE AND {{template "enabled"}})
	EXECUTE FUNCTION groundhog.old_{{.OID}}();
{{end}}

{{- /*
Notes the keys of new rows, keys that rows went away from, and rows that a statement
deleted. If one statement deleted so many that the table is loaded again, it notes that instead
of the rows: copying them takes longer than the DELETE.

A condition of a trigger that named columns would keep them from being altered. That on
a changed key is a function, whose body is put in its place whenever it is evaluated, so
it costs no call.
*/}}
{{define "note keys" -}}
CREATE FUNCTION groundhog.note_{{.OID}}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER{{template "text settings" .}} AS {{body}}
#variable_conflict use_column
BEGIN
	{{- template "begin entry" .}}
	IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
		INSERT INTO {{.Journal}} (kind{{.Key.Entries}}) {{if .InsertByRow -}}
			VALUES ('{{.Kind.New}}'{{.Key.Of "NEW."}});
		{{- else -}}
			SELECT '{{.Kind.New}}'{{.Key.Of ""}} FROM groundhog_new;
		{{- end}}
	ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
		{{- /* The transaction's count is a hint that takes no query. */}}
		IF pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID) OPERATOR(pg_catalog.>) {{.CountedFrom}} THEN
			IF pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID) OPERATOR(pg_catalog.>) groundhog.most_changes({{.Root}}) THEN
				IF EXISTS (SELECT FROM groundhog_old OFFSET groundhog.most_changes({{.Root}}) LIMIT 1) THEN
					INSERT INTO groundhog.touched VALUES ({{.Root}}, '{{.Reason.TooManyChanges}}');
					RETURN NULL;
				END IF;
			END IF;
		END IF;
		{{- /* those of the test may be longer than the baseline's */}}
		{{- if .Short}}
		BEGIN{{end}}
		INSERT INTO {{.Journal}} (kind{{.All.Entries}}) SELECT '{{.Kind.Deleted}}'{{.All.Of ""}} FROM groundhog_old;
		{{- if .Short}}{{template "too long" .}}{{end}}
	ELSE
		INSERT INTO {{.Journal}} (kind{{.Key.Entries}}) VALUES ('{{.Kind.New}}'{{.Key.Of "NEW."}}), ('{{.Kind.Gone}}'{{.Key.Of "OLD."}});
	END IF;
	{{- template "end entry" .}}
	RETURN NULL;
END {{body}};
CREATE FUNCTION groundhog.rekeyed_{{.OID}}(old anyelement, new anyelement) RETURNS boolean LANGUAGE sql IMMUTABLE AS {{body}}
	SELECT NOT ({{.Key.Unchanged}})
{{body}};
GRANT EXECUTE ON FUNCTION groundhog.rekeyed_{{.OID}}(anyelement, anyelement) TO PUBLIC;
CREATE TRIGGER {{.Trigger "zzz_groundhog_key"}} AFTER UPDATE ON {{.Ident}} FOR EACH ROW
	WHEN (groundhog.rekeyed_{{.OID}}(OLD.*, NEW.*) AND {{template "not skipped" .}} AND {{template "enabled"}}) EXECUTE FUNCTION groundhog.note_{{.OID}}();
CREATE TRIGGER {{.Trigger "zzz_groundhog_new"}} AFTER INSERT ON {{.Ident}}{{if not .InsertByRow}} REFERENCING NEW TABLE AS groundhog_new{{end}} FOR EACH {{if .InsertByRow}}ROW{{else}}STATEMENT{{end}}
	WHEN ({{template "not skipped" .}} AND {{template "enabled"}}) EXECUTE FUNCTION groundhog.note_{{.OID}}();
{{if .Decides -}}
CREATE TRIGGER {{.Trigger "zzz_groundhog_gone"}} AFTER DELETE ON {{.Ident}} REFERENCING OLD TABLE AS groundhog_old FOR EACH STATEMENT
	WHEN ({{template "not skipped" .}} AND {{template "enabled"}}) EXECUTE FUNCTION groundhog.note_{{.OID}}();
{{end}}
{{- end}}
