{{- /*
The query that pairs the rows of the baseline (before) with those of now (after), by the
key: see Compare. The baseline's rows come from the journal, or from a table that has
them. The query has one row at least.

Of both sides kc1, kc2 … is the key, c1, c2 … is what is compared. A row of the result is
one side of a pair: both would be too many columns for a table of many.
*/}}
{{define "compare" -}}
WITH decided AS MATERIALIZED (
	{{if and .Decides (not .With)}}{{template "decided" .}}{{else}}SELECT NULL::pg_catalog.tid AS at, true AS one WHERE false{{end}}
), before AS MATERIALIZED (
	{{if not .Key}}{{template "number" .}}{{end}}{{template "before" .}}{{if not .Key}}) s) s{{end}}
), after AS MATERIALIZED (
	{{if not .Key}}{{template "number" .}}{{end}}{{template "after" .}}{{if not .Key}}) s) s{{end}}
)
SELECT EXISTS (SELECT FROM decided d WHERE NOT d.one), coalesce(x.inserted, 0), coalesce(x.updated, 0), coalesce(x.deleted, 0), x.place, s.old
	{{- .Compared.EitherSide}}
FROM (VALUES (1)) one LEFT JOIN ((
	SELECT o AS before, n AS after, o.there AS was, n.there AS now,
		pg_catalog.count(*) FILTER (WHERE o.there IS NULL) OVER () AS inserted,
		pg_catalog.count(*) FILTER (WHERE o.there AND n.there) OVER () AS updated,
		pg_catalog.count(*) FILTER (WHERE n.there IS NULL) OVER () AS deleted,
		pg_catalog.row_number() OVER (ORDER BY {{if .Key}}{{.Key.Either}}{{else}}coalesce(o.text, n.text){{end}}) AS place
	FROM before o FULL JOIN after n ON {{if .Key}}{{.Key.Paired}}{{else}}o.text = n.text AND o.number = n.number{{end}}
	WHERE o.there IS NULL OR n.there IS NULL OR {{template "differ" .}}
	ORDER BY place{{if .Limit}} LIMIT {{.Limit}}{{end}}
) x JOIN (VALUES (true), (false)) s(old) ON CASE WHEN s.old THEN x.was ELSE x.now END) ON true
	{{- /* once, when the statement is planned and no row has been read */}}
	{{- if .Qualify}} WHERE (SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)) IS NOT NULL{{end}}
ORDER BY x.place, s.old DESC
{{- end}}

{{- /* Without a key, rows are told apart by their text, and numbered among those of the same. */}}
{{define "number" -}}
SELECT s.*, pg_catalog.row_number() OVER (PARTITION BY s.text) AS number FROM (SELECT s.*, ROW({{.Compared.Side "s."}})::text AS text FROM (
	{{- ""}}
{{- end}}

{{- /* An array that once had a NULL in it is stored in another way, and is the same. */}}
{{define "differ" -}}
{{if not .Compared}}false{{else}}{{$before := .Compared.Side "o."}}{{$after := .Compared.Side "n." -}}
	pg_catalog.record_image_ne(ROW({{$before}}), ROW({{$after}})) AND ROW({{$before}})::text <> ROW({{$after}})::text{{end}}
{{- end}}

{{- /* The rows of the baseline, of those that may have changed. */}}
{{define "before" -}}
{{if .With}}SELECT true AS there{{.OfTable}} FROM {{.With}} t{{else -}}
SELECT true AS there{{.OfJournal}} FROM {{.Journal}} j WHERE j.kind = '{{.Kind.Old}}'
	{{- if .Decides}}
	UNION ALL
	SELECT true AS there{{.OfJournal}} FROM decided d JOIN {{.Journal}} j ON j.ctid = d.at WHERE d.one{{end}}
{{- end}}
{{- end}}

{{- /* The rows of now. */}}
{{define "after" -}}
{{if .With}}SELECT true AS there{{.OfTable}} FROM {{if .Where}}(SELECT * FROM {{.Only}} WHERE {{.Where}}){{else}}{{.Only}}{{end}} t
{{- else if .Key}}SELECT DISTINCT ON (t.tableoid, t.ctid) true AS there{{.OfTable}}
	FROM (SELECT {{.Key.Named}} FROM {{.Journal}} j WHERE j.kind IN ('{{.Kind.Old}}', '{{.Kind.New}}')) j
		JOIN {{.Only}} t ON {{.Key.Same}}
	WHERE {{template "newer" .}}
{{- else}}SELECT true AS there{{.OfTable}} FROM {{.Only}} t WHERE {{template "newer" .}}
{{- end}}
{{- end}}
