package bulk

import (
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// columnNames lists the columns of a row's struct for a select.
func columnNames[T any]() string {
	var names []string
	for _, f := range fieldsOf(reflect.TypeFor[T]()) {
		names = append(names, pgx.Identifier{f.column}.Sanitize())
	}
	return strings.Join(names, ", ")
}

// officesOf lists the ids of offices for a query.
func officesOf(offices []Office) []pgtype.UUID {
	ids := make([]pgtype.UUID, len(offices))
	for i := range offices {
		ids[i] = pgtype.UUID{Bytes: offices[i].ID, Valid: true}
	}
	return ids
}

// recipientsOf lists the ids of recipients for a query, and of those whose
// office is not known.
func recipientsOf(recipients []WelfareRecipient) (all, lost []pgtype.UUID) {
	all = make([]pgtype.UUID, len(recipients))
	for i := range recipients {
		all[i] = pgtype.UUID{Bytes: recipients[i].ID, Valid: true}
		if recipients[i].OfficeID == uuid.Nil {
			lost = append(lost, all[i])
		}
	}
	return all, lost
}

// collectOne reads a single number.
func collectOne(into *int64) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
		return err
	}
}

// collectNumbers reads rows of an id and a number.
func collectNumbers(into map[uuid.UUID]int64) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var id pgtype.UUID
		var n int64
		_, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error {
			into[id.Bytes] = n
			return nil
		})
		return err
	}
}

// collectHomes reads rows of a recipient's id and an office's.
func collectHomes(into map[uuid.UUID]home) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var recipient, office pgtype.UUID
		_, err := pgx.ForEachRow(rows, []any{&recipient, &office}, func() error {
			into[recipient.Bytes] = home{office: office.Bytes, offices: into[recipient.Bytes].offices + 1}
			return nil
		})
		return err
	}
}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
