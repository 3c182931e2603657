{{- /* The rows that say what is tracked: see schema.sql for the tables, and the type installer for what fills these. */}}

{{- /* A table that has a journal, with its partitions. */}}
{{define "family" -}}
INSERT INTO groundhog.journals VALUES ({{.Root.OID}}, {{literal .Root.Schema}}, {{literal .Root.Name.Name}}, 0, {{.Always}}, {{.Unnoticed}}, {{.Awake}});
{{range .Members}}
	{{- template "table" .}}
	{{- with .CacheReset}}INSERT INTO groundhog.cache_resets VALUES ({{$.Root.OID}}, {{literal .Before}}, {{literal .After}});
{{end}}
	{{- if not .EventTriggers}}INSERT INTO groundhog.shapes VALUES ({{.OID}}, groundhog.shape({{.OID}}));
{{end}}
	{{- if .Short}}INSERT INTO groundhog.short VALUES ({{.OID}});
{{end}}
	{{- $oid := .OID}}{{range .Owners}}INSERT INTO groundhog.journals_of VALUES ({{$oid}}, {{.}});
{{end}}
{{- end}}
{{- end}}

{{- /* The materialised views, in the order in which they are made. */}}
{{define "views"}}{{range $place, $view := .Views}}INSERT INTO groundhog.views VALUES ({{$place}}, {{literal (ident $view)}}::pg_catalog.regclass, {{literal (ident $view)}});
{{end}}{{end}}

{{- /* The event triggers, under names that are free. */}}
{{define "event triggers" -}}
DO $$
DECLARE
	w record;
	name text;
BEGIN
	FOR w IN SELECT * FROM (VALUES ('groundhog_changed', 'ddl_command_end'), ('groundhog_dropped', 'sql_drop')) w(name, event) LOOP
		name := w.name;
		WHILE EXISTS (SELECT FROM pg_catalog.pg_event_trigger e WHERE e.evtname = name) LOOP
			name := pg_catalog.concat(name, '_');
		END LOOP;
		EXECUTE pg_catalog.format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION groundhog.note_schema_change()', name, w.event);
		EXECUTE pg_catalog.format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', name);
	END LOOP;
END $$;
{{end}}

{{- /* Which sequences of extensions are part of the baseline. */}}
{{define "extension sequences"}}{{if .Sequences -}}
INSERT INTO groundhog.extension_sequences SELECT DISTINCT d.objid FROM pg_catalog.pg_depend d
	WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e'
		AND d.objid = ANY (ARRAY[{{range $i, $s := .Sequences}}{{if $i}}, {{end}}{{literal (ident $s.Name)}}::pg_catalog.regclass::pg_catalog.oid{{end}}]);
{{end}}{{end}}

{{- /*
The functions that find which tables are not as in the baseline, although no trigger
fired: functions in C may write to them by other ways than statements, or end a
statement before its triggers. A table is as it was when it has as many rows, and none
that is newer than the baseline, but for those that own, the transaction that goes back,
has put in.
*/}}
{{define "native"}}{{if .Native -}}
{{range .Native}}INSERT INTO groundhog.native VALUES ({{.OID}});
{{end -}}
CREATE OR REPLACE FUNCTION groundhog.unseen_writes(baseline_xid xid, own xid) RETURNS SETOF oid LANGUAGE plpgsql AS {{body}}
#variable_conflict use_column
BEGIN
	{{- range .Native}}
	IF NOT coalesce((SELECT pg_catalog.count(*) OPERATOR(pg_catalog.=) (SELECT n.total FROM groundhog.native n WHERE n.root OPERATOR(pg_catalog.=) {{.OID}})
			AND pg_catalog.count(*) FILTER (WHERE {{template "newer" .}} AND (unseen_writes.own IS NULL OR NOT t.xmin OPERATOR(pg_catalog.=) unseen_writes.own)) OPERATOR(pg_catalog.=) 0
			FROM {{.Only}} t), false) THEN
		RETURN NEXT {{.OID}};
	END IF;
	{{- end}}
END {{body}};
CREATE OR REPLACE FUNCTION groundhog.count_native() RETURNS void LANGUAGE plpgsql AS {{body}}
#variable_conflict use_column
BEGIN
	{{- range .Native}}
	UPDATE groundhog.native n SET total = (SELECT pg_catalog.count(*) FROM {{.Only}} t) WHERE n.root OPERATOR(pg_catalog.=) {{.OID}};
	{{- end}}
END {{body}};
{{end}}{{end}}

{{- /* What comes after the tables. */}}
{{define "rest" -}}
{{template "views" .}}
{{- if .EventTriggers}}{{template "event triggers"}}{{end}}
{{- template "extension sequences" .}}
{{- template "native" .}}
{{- "" -}}
{{range .Neighbours}}INSERT INTO groundhog.neighbours VALUES ({{literal .}}::pg_catalog.regclass);
{{end -}}
INSERT INTO groundhog.state SELECT {{.Version}}, 0, NULL, '', 'groundhog.state'::pg_catalog.regclass, {{.Checked}}, {{.EventTriggers}};
{{end}}

{{- /*
Makes the extension of a table drop what it keeps in memory: before the table is undone, while what its triggers write
is noted like a test's and undone too, and once more when everything is as it was. The
user's own triggers are disabled meanwhile, which an event trigger may see.
*/}}
{{define "cache reset"}}
	{{- if .DisableTriggers}}{{template "quiet"}} {{range $i, $s := .DisableTriggers}}{{if $i}}; {{end}}{{$s}}{{end}}; {{end}}
	{{- "" -}}
SET LOCAL session_replication_role = origin; SET LOCAL groundhog.disabled = {{.Disabled}}; {{range $i, $s := .Statements}}{{if $i}}; {{end}}{{$s}}{{end}}; {{template "quiet"}}
	{{- if .EnableTriggers}} {{range $i, $s := .EnableTriggers}}{{if $i}}; {{end}}{{$s}}{{end}};{{end}}
{{- end}}
{{define "quiet"}}SET LOCAL session_replication_role = replica; SET LOCAL groundhog.disabled = on;{{end}}
