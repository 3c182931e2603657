{{- /* A row t is younger than the baseline's transaction, so that it is not the baseline's. */}}
{{define "newer"}}pg_catalog.age(t.xmin) OPERATOR(pg_catalog.<) pg_catalog.age({{.BaselineXID}}){{end}}

{{- /*
Which of the rows that a statement deleted were the baseline's: it notes them whether
they were or not. How many rows of a key the baseline had, none or one, follows from how
many there are now and how many came and went. If one, it is the only row that was
deleted; of several it can't be told. There may be several now: in replica role the
server checks no deferred key.
*/}}
{{define "decided" -}}
SELECT f.at, f.deleted = 1 AND f.had = 1 AS one
			FROM (
				SELECT j.at, j.deleted, j.net + t.now AS had
				FROM (
					SELECT {{.Key.InJournal}},
						pg_catalog.count(*) FILTER (WHERE j.kind = '{{.Kind.Deleted}}') AS deleted,
						pg_catalog.sum(CASE j.kind WHEN '{{.Kind.New}}' THEN -1 ELSE 1 END) AS net,
						pg_catalog.min(j.at) FILTER (WHERE j.kind = '{{.Kind.Deleted}}') AS at
					FROM (SELECT j.kind, j.ctid AS at, {{.Key.Named}} FROM {{.Journal}} j) j
					GROUP BY {{.Key.InJournal}}
					HAVING pg_catalog.count(*) FILTER (WHERE j.kind = '{{.Kind.Deleted}}') > 0 AND NOT pg_catalog.bool_or(j.kind = '{{.Kind.Old}}')
				) j CROSS JOIN LATERAL (
					SELECT pg_catalog.count(*) AS now, pg_catalog.bool_and({{template "newer" .}}) AS newer
					FROM {{.Only}} t WHERE {{.Key.Same}}
				) t
				WHERE t.newer IS NOT FALSE
			) f
			WHERE f.had <> 0
{{- end}}

{{- /*
The function that puts the table back. It changes nothing when it says why it can't.

A table with many changes is loaded again: putting one row back costs about as much as
loading one. groundhog.most_changes has the same rule. Then it is decided which deleted rows were the baseline's, rows that are not
the baseline's are deleted, and those that were saved are put in again. Around that, the
replica identity is switched where a publication asks for it, and foreign keys are
checked that lead to tables that are not tracked.

Where foreign keys are checked the function decides alone: all tables are put back by one
statement; see checked.sql.
*/}}
{{define "undo" -}}
CREATE FUNCTION groundhog.undo_{{.OID}}(baseline_xid xid, rows bigint, OUT why text, OUT changed bigint) LANGUAGE plpgsql AS {{body}}
#variable_conflict use_column
{{if not .Checked}}DECLARE
	put bigint;
{{end}}BEGIN
	IF pg_catalog.pg_relation_size('{{.Journal}}') > {{journalCounted}} THEN
		SELECT pg_catalog.count(*) INTO changed FROM {{.Journal}};
		IF changed > {{undoFrom}} + undo_{{.OID}}.rows * {{undoShare}} THEN
			why := '{{.Reason.TooManyChanges}}';
			RETURN;
		END IF;
	END IF;
	{{- if .Decides}}
	IF EXISTS (SELECT FROM {{.Journal}} WHERE kind = '{{.Kind.Deleted}}') THEN
		UPDATE {{.Journal}} j SET kind = CASE WHEN f.one THEN '{{.Kind.Old}}' ELSE '{{.Kind.Undecided}}' END
		FROM (
			{{template "decided" .}}
		) f
		WHERE j.ctid = f.at;
		IF EXISTS (SELECT FROM {{.Journal}} WHERE kind = '{{.Kind.Undecided}}') THEN
			why := '{{.Reason.Undecided}}';
			RETURN;
		END IF;
	END IF;
	{{- end}}
	{{- if not .Checked}}
	{{- with .Unkeyed}}{{if .Switchable}}
	IF EXISTS (SELECT FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) e.evtfoid
			WHERE e.evtenabled OPERATOR(pg_catalog.=) ANY (ARRAY['A', 'R']::"char"[]) AND p.pronamespace OPERATOR(pg_catalog.<>) 'groundhog'::regnamespace) THEN
		why := '{{$.Reason.Published}}'; -- it would see the statements that switch the identity
		RETURN;
	END IF;
	{{- range .Switch}}
	{{.}};
	{{- end}}{{end}}{{end}}
	{{- if .Key}}
	DELETE FROM {{.Only}} t
	USING (SELECT {{.Key.Named}} FROM {{.Journal}} j WHERE j.kind IN ('{{.Kind.Old}}', '{{.Kind.New}}')) j
	WHERE {{.Key.Same}} AND {{template "newer" .}};
	{{- else}}
	DELETE FROM {{.Only}} t WHERE {{template "newer" .}};
	{{- end}}
	GET DIAGNOSTICS changed = ROW_COUNT;
	INSERT INTO {{.Ident}}{{with .Stored}} ({{.Idents}}) OVERRIDING SYSTEM VALUE{{end}}
	SELECT {{.Stored.Restored}} FROM {{.Journal}} j WHERE j.kind = '{{.Kind.Old}}';
	GET DIAGNOSTICS put = ROW_COUNT;
	changed := changed + put;
	{{- with .Unkeyed}}{{if .Switchable}}{{range .SwitchBack}}
	{{.}};
	{{- end}}{{end}}{{end}}
	{{- range .Outside}}
	IF EXISTS (SELECT FROM {{if .Ours}}(SELECT {{$.All.RestoredAs}} FROM {{$.Journal}} j WHERE j.kind = '{{$.Kind.Old}}'){{else}}{{.Child}}{{end}} c WHERE {{.Dangling}}) THEN
		RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = {{literal .Message}};
	END IF;
	{{- end}}
	PERFORM groundhog.empty_journal('{{.Journal}}');
	{{- end}}
END {{body}};
{{end}}
