package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Published is a table that a publication has with updates or deletes.
type Published struct {
	schema.Name
	Leaves          []uint32 // the tables that store its rows and are published
	By              []string // the publications
	TruncateLeftOut bool     // one publishes DELETE and not TRUNCATE
	ColumnsLeftOut  bool     // one may leave out columns: REPLICA IDENTITY FULL may not be allowed
}

// ReadPublished reads which of the tables are published. A partitioned table is
// published as its partitions are, by whatever a partition is reached through.
func ReadPublished(ctx context.Context, q Querier, names []schema.Name) ([]Published, error) {
	schemas, tables := split(names)
	rows, err := q.Query(ctx, `
		SELECT u.s, u.t, pg_catalog.array_agg(DISTINCT leaf.oid), pg_catalog.array_agg(DISTINCT p.pubname::text ORDER BY p.pubname::text),
			pg_catalog.bool_or(p.pubdelete AND NOT p.pubtruncate),
			pg_catalog.bool_or(EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = ANY (leaf.up) AND r.prattrs IS NOT NULL)
				-- From version 18 on, a generated column may be left out too.
				OR pg_catalog.current_setting('server_version_num')::integer >= 180000
					AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = leaf.oid AND a.attgenerated <> '' AND NOT a.attisdropped))
		FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(s, t, i)
			JOIN pg_catalog.pg_namespace n ON n.nspname = u.s JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.t
			CROSS JOIN LATERAL (
				SELECT l.oid, ARRAY(SELECT l.oid UNION SELECT a.relid FROM pg_catalog.pg_partition_ancestors(l.oid) a) AS up
				FROM (SELECT c.oid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.isleaf) x(oid)
					JOIN pg_catalog.pg_class l ON l.oid = x.oid AND l.relkind = 'r' AND l.relpersistence = 'p') leaf
			JOIN pg_catalog.pg_publication p ON (p.pubupdate OR p.pubdelete) AND (p.puballtables
				OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = ANY (leaf.up))
				OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_class a ON a.relnamespace = s.pnnspid
					WHERE s.pnpubid = p.oid AND a.oid = ANY (leaf.up)))
		WHERE EXISTS (SELECT FROM pg_catalog.pg_publication)
		GROUP BY u.s, u.t, u.i ORDER BY u.i`, schemas, tables)
	if err != nil {
		return nil, fmt.Errorf("read what is published: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Published, err error) {
		return p, row.Scan(&p.Schema, &p.Name.Name, &p.Leaves, &p.By, &p.TruncateLeftOut, &p.ColumnsLeftOut)
	})
	if err != nil {
		return nil, fmt.Errorf("read what is published: %w", err)
	}
	return out, nil
}

// RefusedChanges asks the server which of the tables it would refuse these commands
// (DELETE, UPDATE) on, since a publication has the table and its replica identity
// does not suffice. It returns what the server says. Nothing is executed, so that
// nothing reacts. The rule has changed with each version, and has exceptions: only
// the server knows it.
func RefusedChanges(ctx context.Context, tx pgx.Tx, tables []uint32, commands ...string) (map[uint32]string, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	oids := make([]string, len(tables))
	for i, oid := range tables {
		oids[i] = fmt.Sprint(oid)
	}
	ask := ""
	if slices.Contains(commands, "DELETE") {
		ask += `
				EXECUTE pg_catalog.format('EXPLAIN DELETE FROM ONLY %I.%I', t.nspname, t.relname);`
	}
	if slices.Contains(commands, "UPDATE") {
		ask += `
				IF t.attname IS NOT NULL THEN
					EXECUTE pg_catalog.format('EXPLAIN UPDATE ONLY %I.%I SET %I = DEFAULT', t.nspname, t.relname, t.attname);
				END IF;`
	}
	results, err := tx.Conn().PgConn().Exec(ctx, `DO $$
DECLARE
	t record;
	path text;
	own text := (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'search_path');
	paths text[] := ARRAY[pg_catalog.current_setting('search_path'), own, pg_catalog.concat_ws(', ', nullif(own, ''),
		(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname), ', ') FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.!~) '^pg_'))];
	hidden text := pg_catalog.current_setting('row_security');
	refused pg_catalog.jsonb := '{}';
BEGIN
	PERFORM pg_catalog.set_config('row_security', 'on', true); -- else a table with policies is refused for these
	FOR t IN SELECT c.oid, n.nspname, c.relname, (SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
				AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped LIMIT 1) AS attname
			FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
			WHERE c.oid OPERATOR(pg_catalog.=) ANY ('{`+strings.Join(oids, ",")+`}'::pg_catalog.oid[]) LOOP
		FOREACH path IN ARRAY paths LOOP
			BEGIN
				PERFORM pg_catalog.set_config('search_path', path, true);`+ask+`
				EXIT;
			EXCEPTION
				WHEN object_not_in_prerequisite_state OR invalid_column_reference THEN
					refused := refused OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object(t.oid, SQLERRM);
					EXIT;
				WHEN insufficient_privilege THEN
					EXIT; -- whoever comes to the statement is told of that
				WHEN lock_not_available OR deadlock_detected THEN
					RAISE;
				WHEN OTHERS THEN
					NULL; -- a function behind an index is inlined here, and may need another search path
			END;
		END LOOP;
	END LOOP;
	PERFORM pg_catalog.set_config('search_path', paths[1], true), pg_catalog.set_config('row_security', hidden, true), pg_catalog.set_config('groundhog.refused', refused::text, true);
END $$; SELECT pg_catalog.current_setting('groundhog.refused')`).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("ask which tables may be changed while they are published: %w", err)
	}
	var out map[uint32]string
	err = json.Unmarshal(results[len(results)-1].Rows[0][0], &out)
	return out, err
}

// ReplicaIdentity is what tells the rows of a table apart for subscribers.
type ReplicaIdentity struct {
	schema.Name
	Kind  string // pg_class.relreplident
	Index string // the one that it uses, if it uses one that is there
}

// SetFull returns the statement that makes every column the identity.
func (i ReplicaIdentity) SetFull() string {
	return "ALTER TABLE ONLY " + Ident(i.Name) + " REPLICA IDENTITY FULL"
}

// SetBack returns the statement that makes the identity what it was.
func (i ReplicaIdentity) SetBack() string {
	kind := map[string]string{"d": "DEFAULT", "n": "NOTHING", "f": "FULL", "i": "USING INDEX " + pgx.Identifier{i.Index}.Sanitize()}[i.Kind]
	return "ALTER TABLE ONLY " + Ident(i.Name) + " REPLICA IDENTITY " + kind
}

// Lost reports whether no statement brings the identity back: its index was dropped.
func (i ReplicaIdentity) Lost() bool { return i.Kind == "i" && i.Index == "" }

// ReplicaIdentities reads the replica identities of tables and of all their partitions, by
// the tables.
func ReplicaIdentities(ctx context.Context, q Querier, names []schema.Name) (map[schema.Name][]ReplicaIdentity, error) {
	schemas, tables := split(names)
	rows, err := q.Query(ctx, `
		SELECT u.s, u.t, tn.nspname, t.relname, t.relreplident::text, coalesce((SELECT ic.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
			WHERE i.indrelid = t.oid AND i.indisreplident), '')
		FROM unnest($1::text[], $2::text[]) AS u(s, t)
			JOIN pg_catalog.pg_namespace n ON n.nspname = u.s JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.t
			CROSS JOIN LATERAL (SELECT c.oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p) x(oid)
			JOIN pg_catalog.pg_class t ON t.oid = x.oid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
		ORDER BY t.oid`, schemas, tables)
	if err != nil {
		return nil, fmt.Errorf("read the replica identities: %w", err)
	}
	out := map[schema.Name][]ReplicaIdentity{}
	var of schema.Name
	var one ReplicaIdentity
	_, err = pgx.ForEachRow(rows, []any{&of.Schema, &of.Name, &one.Schema, &one.Name.Name, &one.Kind, &one.Index}, func() error {
		out[of] = append(out[of], one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the replica identities: %w", err)
	}
	return out, nil
}

// SwitchIdentities returns the statements that make every column of the tables their
// identity, and those that take that back. ok is false where the latter can't be done.
func SwitchIdentities(identities []ReplicaIdentity) (there, back []string, ok bool) {
	if slices.ContainsFunc(identities, ReplicaIdentity.Lost) {
		return nil, nil, false
	}
	for _, i := range identities {
		if i.Kind != "f" {
			there, back = append(there, i.SetFull()), append(back, i.SetBack())
		}
	}
	return there, back, true
}
