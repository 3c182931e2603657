{{- /*
The query of Written: the tables that were written to since the baseline, or why nothing
is known of that. A table whose rows can't be deleted while they are published has a
journal that tells all. That of a table which functions in C may write to does not.
*/}}
{{define "written" -}}
SELECT coalesce(v.void, ''), w.name IS NOT NULL, coalesce(w.space, ''), coalesce(w.name, ''),
	coalesce(nullif(w.why, '{{.Reason.Published}}'), CASE WHEN x.root IS NOT NULL THEN '{{.Reason.UnseenWrite}}' END, ''), coalesce(w.rows, 0)
FROM groundhog.verdict($1, $2, $3) v
	LEFT JOIN groundhog.written() w ON v.void IS NULL
	LEFT JOIN groundhog.native x ON x.root = w.root
{{- end}}
