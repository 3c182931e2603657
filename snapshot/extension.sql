{{- /*
Makes the triggers of extensions fire that their tables have for statements, with
statements that change no row; see fireExtensions. What the triggers of one table refuse
does not keep those of the next from firing.

Afterwards, when the snapshot's rows are in place, a trigger that writes rows into its
tables is made undone by an error, which the block of the table swallows.
*/ -}}
DECLARE
	was numeric;
	tables pg_catalog.oid[] := ARRAY(SELECT t.relid FROM pg_catalog.unnest(ARRAY[{{range $i, $t := .Tables}}{{if $i}}, {{end}}{{literal (ident $t)}}::pg_catalog.regclass{{end}}]) r(root) CROSS JOIN LATERAL (
		SELECT r.root::pg_catalog.oid UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(r.root) p) t(relid));
BEGIN
	{{- if .Afterwards}}
	IF NOT pg_catalog.current_setting('track_counts')::boolean THEN
		RETURN; -- nothing would tell what was written
	END IF;
	{{- end}}
	{{- range .Resets}}
	BEGIN
		was := {{template "writes"}};
		{{range .DisableTriggers}}{{.}}; {{end}}
		{{if $.Replica}}SET LOCAL session_replication_role = origin; {{end -}}
		{{range .Statements}}{{.}}; {{end -}}
		{{if $.Replica}}SET LOCAL session_replication_role = replica;{{end}}
		{{range .EnableTriggers}}{{.}}; {{end}}
		{{- if $.Afterwards}}
		IF {{template "writes"}} <> was THEN
			RAISE EXCEPTION USING ERRCODE = 'GH002';
		END IF;
		{{- end}}
	EXCEPTION
		WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
			RAISE;
		WHEN OTHERS THEN
			NULL;
	END;
	{{- end}}
END

{{- /* How many rows the transaction has written. */}}
{{define "writes"}}(SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(t) + pg_catalog.pg_stat_get_xact_tuples_updated(t) + pg_catalog.pg_stat_get_xact_tuples_deleted(t)) FROM pg_catalog.unnest(tables) t){{end}}
