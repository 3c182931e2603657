package track

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// EventTriggerError is about an event trigger that would react to our statements, and
// that the role may not disable.
type EventTriggerError struct{ Trigger string }

func (e *EventTriggerError) Error() string {
	return "the event trigger " + strconv.Quote(e.Trigger) + " fires in replica role, and only a superuser may disable it"
}

// disableEventTriggers returns statements around others that no event trigger which
// fires in replica role too shall see: what it wrote down would be part of the
// baseline.
func disableEventTriggers(ctx context.Context, tx pgx.Tx) (disable, enable string, err error) {
	triggers, may, err := catalog.EventTriggers(ctx, tx)
	if err == nil && len(triggers) > 0 && !may {
		err = &EventTriggerError{Trigger: triggers[0].Name}
	}
	disable, enable = catalog.WithoutEventTriggers(triggers)
	return disable, enable, err
}

// withoutEventTriggers executes statements that no event trigger sees.
func withoutEventTriggers(ctx context.Context, tx pgx.Tx, sql string) error {
	disable, enable, err := disableEventTriggers(ctx, tx)
	if err != nil {
		return err
	}
	return catalog.ExecScript(ctx, tx, disable+sql, enable)
}
