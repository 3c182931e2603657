package bulk

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/groundhogdb/groundhog/bulk/internal/load"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// lookup is what the factories ask the database, in the transaction of their call.
type lookup struct {
	tx   *load.Tx
	lang msg.Lang
}

// factoryLock is the advisory lock under which numbers are given: "ghogbulk".
const factoryLock = 0x67686f6762756c6b

// lock makes this call the only one that gives numbers, until the transaction
// ends.
func (l *lookup) lock(ctx context.Context) error {
	rows, err := l.tx.Query(ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1)", int64(factoryLock))
	if err == nil {
		rows.Close()
		err = rows.Err()
	}
	if err != nil {
		return errs.New(errs.Class(err), msg.BulkLock.In(l.lang), err)
	}
	return nil
}

// ask reads what a factory has to know of rows that are there. The query is
// planned afresh each time: these tables grow from nothing to many thousands of
// rows, and a plan that was kept from when they were empty takes seconds.
func (l *lookup) ask(ctx context.Context, table string, collect func(pgx.Rows) error, sql string, args ...any) error {
	rows, err := l.tx.Query(ctx, sql, append([]any{pgx.QueryExecModeDescribeExec}, args...)...)
	if err == nil {
		err = collect(rows)
	}
	if err != nil {
		return errs.New(errs.Class(err), msg.BulkNumbers.In(l.lang, l.nameOf(table)), err)
	}
	return nil
}

// nameOf returns a table's name as people write it.
func (l *lookup) nameOf(table string) string { return l.tx.Table(table).String() }

// ident quotes the name of a table.
func (l *lookup) ident(table string) string { return catalog.Ident(l.tx.Table(table).Name) }

// readNextOffice returns the number after the highest that the texts of offices have.
func (l *lookup) readNextOffice(ctx context.Context) (next int64, err error) {
	err = l.ask(ctx, tableOffices, collectOne(&next),
		"SELECT coalesce(max(greatest(substring(name from $1)::bigint, substring(email from $2)::bigint)), -1) + 1 FROM "+l.ident(tableOffices),
		officePattern, officeMailbox)
	return next, err
}

// readNextStaff returns the number after the highest that the texts of staffs have.
func (l *lookup) readNextStaff(ctx context.Context) (next int64, err error) {
	err = l.ask(ctx, tableStaffs, collectOne(&next),
		"SELECT coalesce(max(substring(email from $1)::bigint), -1) + 1 FROM "+l.ident(tableStaffs), staffMailbox)
	return next, err
}

// readNextID returns the number after that of the highest id of a seed in a table.
func (l *lookup) readNextID(ctx context.Context, s *seeded, table string) (int64, error) {
	if s == nil {
		return 0, nil
	}
	var found []pgtype.UUID
	err := l.ask(ctx, table, func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
		return err
	}, "SELECT id FROM "+l.ident(table)+" WHERE id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT 1",
		pgtype.UUID{Bytes: s.id(0), Valid: true}, pgtype.UUID{Bytes: s.id(idNumbers - 1), Valid: true})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return numberOf(found[0].Bytes) + 1, nil
}

// findCreator returns the staff that creates offices, or nothing.
func (l *lookup) findCreator(ctx context.Context) (found []Staff, err error) {
	err = l.ask(ctx, tableStaffs, func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[Staff])
		return err
	}, "SELECT "+load.SelectList[Staff]()+" FROM "+l.ident(tableStaffs)+" WHERE email = $1", systemEmail)
	return found, err
}

// checkOfficesExist refuses offices that are not in this database.
func (l *lookup) checkOfficesExist(ctx context.Context, offices []Office) error {
	var strangers []pgtype.UUID
	err := l.ask(ctx, tableOffices, func(rows pgx.Rows) (err error) {
		strangers, err = pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
		return err
	}, "SELECT i.id FROM "+idsOf("$1")+" WHERE NOT EXISTS (SELECT FROM "+l.ident(tableOffices)+" o WHERE o.id = i.id)", officesOf(offices))
	if err != nil || len(strangers) == 0 {
		return err
	}
	for i := range offices {
		if slices.Contains(strangers, pgtype.UUID{Bytes: offices[i].ID, Valid: true}) {
			return refuse(l.lang, msg.BulkStranger, fmt.Sprintf("offices[%d]", i), offices[i].Name, offices[i].ID.String(), l.tx.Database())
		}
	}
	return nil
}

// readStaffNumbers returns the numbers with which the staffs of offices go on.
func (l *lookup) readStaffNumbers(ctx context.Context, offices []Office) (map[uuid.UUID]int64, error) {
	numbers := map[uuid.UUID]int64{}
	return numbers, l.ask(ctx, tableOfficeStaffs, collectNumbers(numbers),
		"SELECT o.office_id, coalesce(max(substring(s.first_name from $1)::bigint) + 1, 0) FROM "+l.ident(tableOfficeStaffs)+" o JOIN "+
			l.ident(tableStaffs)+" s ON s.id = o.staff_id JOIN "+idsOf("$2")+" ON o.office_id = i.id GROUP BY 1", staffPattern, officesOf(offices))
}

// readRecipientNumbers returns the numbers with which the recipients of offices go on.
func (l *lookup) readRecipientNumbers(ctx context.Context, offices []Office) (map[uuid.UUID]int64, error) {
	numbers := map[uuid.UUID]int64{}
	return numbers, l.ask(ctx, tableOfficeRecipients, collectNumbers(numbers),
		"SELECT o.office_id, coalesce(max(substring(r.first_name from $1)::bigint) + 1, 0) FROM "+l.ident(tableOfficeRecipients)+" o JOIN "+
			l.ident(tableRecipients)+" r ON r.id = o.welfare_recipient_id JOIN "+idsOf("$2")+" ON o.office_id = i.id GROUP BY 1", recipientMatch, officesOf(offices))
}

// readCycleNumbers returns the highest numbers of the cycles of recipients.
func (l *lookup) readCycleNumbers(ctx context.Context, recipients []pgtype.UUID) (map[uuid.UUID]int64, error) {
	numbers := map[uuid.UUID]int64{}
	return numbers, l.ask(ctx, tableCycles, collectNumbers(numbers), "SELECT welfare_recipient_id, max(cycle_number) FROM "+l.ident(tableCycles)+
		" JOIN "+idsOf("$1")+" ON welfare_recipient_id = i.id WHERE cycle_number < 2147483647 GROUP BY 1", recipients)
}

// readHomes returns where recipients live, as office_welfare_recipients has it.
func (l *lookup) readHomes(ctx context.Context, recipients []pgtype.UUID) (map[uuid.UUID]home, error) {
	homes := map[uuid.UUID]home{}
	if len(recipients) == 0 {
		return homes, nil
	}
	return homes, l.ask(ctx, tableOfficeRecipients, collectHomes(homes), "SELECT DISTINCT welfare_recipient_id, office_id FROM "+
		l.ident(tableOfficeRecipients)+" JOIN "+idsOf("$1")+" ON welfare_recipient_id = i.id", recipients)
}

// idsOf is a table of the ids in a parameter, each once. To join it is planned by
// their number; a comparison with ANY takes the planner longer than the server.
func idsOf(parameter string) string {
	return "(SELECT DISTINCT pg_catalog.unnest(" + parameter + "::uuid[])) i(id)"
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
