package snapshot

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// fireExtensions makes extensions' own triggers for statements fire on their tables,
// since what they keep in memory of these is not what is there any more. before
// everything is replaced they may write where they want; afterwards, what they
// wrote into the snapshot's tables is taken back, but for sequences.
func fireExtensions(ctx context.Context, l *layout, afterwards bool) (fired bool, err error) {
	var parts, relations []string
	for _, t := range l.sel.Tables {
		relations = append(relations, catalog.Literal(catalog.Ident(t.Name))+"::pg_catalog.regclass")
		p := t.CacheReset()
		if len(p.Statements) == 0 || len(p.DisableTriggers) > 0 && !l.privileges.Replica && !afterwards {
			continue // or event triggers, which see ALTER TABLE, might write too
		}
		parts = append(parts, fmt.Sprintf(`
			BEGIN
				was := %[2]s;
				%[1]s
				%[3]s
				%[5]s
				IF %[4]t AND %[2]s <> was THEN
					RAISE EXCEPTION USING ERRCODE = 'GH002';
				END IF;
			EXCEPTION
				WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
					RAISE;
				WHEN OTHERS THEN
					NULL;
			END;`, statements(p.DisableTriggers), writes, asUser(p.Statements, l.privileges.Replica), afterwards, statements(p.EnableTriggers)))
	}
	if len(parts) == 0 {
		return false, nil
	}
	body := fmt.Sprintf(`
		DECLARE
			was numeric;
			tables pg_catalog.oid[] := ARRAY(SELECT t.relid FROM pg_catalog.unnest(ARRAY[%s]) r(root) CROSS JOIN LATERAL (
				SELECT r.root::pg_catalog.oid UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(r.root) p) t(relid));
		BEGIN
			IF %t AND NOT pg_catalog.current_setting('track_counts')::boolean THEN
				RETURN; -- nothing would tell what was written
			END IF;%s
		END`, strings.Join(relations, ", "), afterwards, strings.Join(parts, ""))
	_, err = l.tx.Exec(ctx, "DO "+catalog.Literal(body), pgx.QueryExecModeSimpleProtocol)
	return true, err
}

// writes counts the rows that the transaction wrote.
const writes = `(SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(t) + pg_catalog.pg_stat_get_xact_tuples_updated(t) + pg_catalog.pg_stat_get_xact_tuples_deleted(t)) FROM pg_catalog.unnest(tables) t)`

// asUser has triggers fire as in a session of the database's users.
func asUser(sql []string, replica bool) string {
	if !replica {
		return statements(sql)
	}
	return "SET LOCAL session_replication_role = origin; " + statements(sql) + " SET LOCAL session_replication_role = replica;"
}

func statements(sql []string) string {
	if len(sql) == 0 {
		return ""
	}
	return strings.Join(sql, "; ") + ";"
}
