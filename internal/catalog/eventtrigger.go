package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// EventTriggers lists the users' event triggers that fire in this session, as its
// session_replication_role is, and reports whether the role may disable them, as a
// superuser may.
func EventTriggers(ctx context.Context, q Querier) (triggers []Trigger, may bool, err error) {
	rows, err := q.Query(ctx, `
		SELECT e.evtname, e.evtenabled::text, pg_catalog.current_setting('is_superuser') = 'on' FROM pg_catalog.pg_event_trigger e
			JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE e.evtenabled IN ('A', CASE pg_catalog.current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END)
			AND n.nspname <> '`+OwnSchema+`' ORDER BY e.evtname COLLATE "C"`)
	if err != nil {
		return nil, false, fmt.Errorf("list the event triggers: %w", err)
	}
	var one Trigger
	_, err = pgx.ForEachRow(rows, []any{&one.Name, &one.Enabled, &may}, func() error { triggers = append(triggers, one); return nil })
	return triggers, may, err
}

// WithoutEventTriggers returns statements that disable event triggers, and that give them
// their states again.
func WithoutEventTriggers(triggers []Trigger) (off, on string) {
	for _, t := range triggers {
		state := map[string]string{"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}[t.Enabled]
		alter := "ALTER EVENT TRIGGER " + pgx.Identifier{t.Name}.Sanitize()
		off, on = off+alter+" DISABLE;\n", alter+" "+state+";\n"+on
	}
	return off, on
}
