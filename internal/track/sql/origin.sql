{{- /*
The notes of which file has the origin of a database: see RecordOrigin. They are a view
of values, which outlives a crash, and which no publication has.
*/}}

{{- /* What is noted now (o), as values for the view, with the file $2 noted for the name $1. */}}
{{define "origin values" -}}
SELECT pg_catalog.string_agg(pg_catalog.format('(%L::text, %L::text, %L::timestamptz)', o.name, o.file, o.kept), ', ')
FROM (
	SELECT $1::text AS name, $2::text AS file, pg_catalog.now() AS kept
	{{- if .Noted}}
	UNION ALL SELECT o.name, o.file, o.kept FROM groundhog.origin o WHERE o.name <> $1
	{{- end}}
) o
{{- end}}

{{- /* The view, in place of the table that earlier versions had. */}}
{{define "origin" -}}
{{if .IsTable}}DROP TABLE groundhog.origin;
{{end -}}
CREATE SCHEMA IF NOT EXISTS groundhog;
CREATE OR REPLACE VIEW groundhog.origin (name, file, kept) AS VALUES {{.Values}};
{{end}}
