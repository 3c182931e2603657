package bulk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// ConstraintKind tells what kind of constraint refused a row.
type ConstraintKind string

// The kinds of constraints.
const (
	ForeignKey ConstraintKind = "foreign key"
	Unique     ConstraintKind = "unique"
	NotNull    ConstraintKind = "not null"
	Check      ConstraintKind = "check"
	Exclusion  ConstraintKind = "exclusion"
)

// kinds are the SQLSTATEs of constraints.
var kinds = map[string]ConstraintKind{"23503": ForeignKey, "23505": Unique, "23502": NotNull, "23514": Check, "23P01": Exclusion}

// ConstraintError is a row that a constraint of the database refused. Nothing
// was stored. errors.As finds it, and beneath it the *pgconn.PgError; its fields
// don't depend on any language, but Detail, which is the server's, and Hint. A trigger
// may have broken a constraint of another table: the *pgconn.PgError names that.
type ConstraintError struct {
	Kind       ConstraintKind
	Table      string   // "public.users"
	Columns    []string // of the constraint, or a unique index's expressions; none where they are not known
	Constraint string   // its name; "" for a not-null column and a row without a partition
	References string   // the table that a foreign key references, else ""

	// Row is the number of the row in the call, from 0; -1 where it can't be
	// known. For a factory it is the row's among those of Table.
	Row  int
	Key  string // the row's primary key, as far as it is known: "id=7"
	Hint string // what to do next

	Detail string // the server's, "" when it has none
	text   string
	cause  *pgconn.PgError
	whole  //nolint:unused // its method is what errs looks for
}

// whole tells that the text has all that the server said of the row.
type whole = errs.Whole //nolint:unused // see its uses

func (e *ConstraintError) Error() string {
	return describe(e.text, e.Unwrap(), string(e.Kind)+" "+e.Constraint, e.Table)
}

// Unwrap returns the *pgconn.PgError. Of a foreign key that was checked after the
// load it says what the server would have said, in English.
func (e *ConstraintError) Unwrap() error {
	if e.cause == nil { // not a nil pointer in an error that is not nil
		return nil
	}
	return e.cause
}

// RowError is a row with a value that can't be stored: that can't be written as
// the column's type, is out of its range or too long, or that a trigger refused.
// Nothing was stored. errors.As finds it, and the cause beneath it: a
// *pgconn.PgError where the server refused the row.
type RowError struct {
	Table string // "public.users"

	// Row is the number of the row in the call, from 0; -1 where it can't be
	// known. For a factory it is the row's among those of Table.
	Row    int
	Key    string // the row's primary key, as far as it is known: "id=7"
	Column string // "" where it can't be known, like the next three
	Field  string // the struct's
	GoType string // the value's
	PgType string // the column's, as SQL writes it

	Detail string // what is wrong with the value, in the words of who refused it
	Hint   string // what to do next
	text   string
	cause  error
	whole  //nolint:unused // its method is what errs looks for
}

func (e *RowError) Error() string { return describe(e.text, e.cause, e.Column, e.Table) }

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.cause }

// describe is the text of an error on a row. One that users make, for tests of how
// they handle errors, has no cause.
func describe(text string, cause error, what, table string) string {
	if cause == nil {
		return strings.TrimSpace("groundhog: " + strings.TrimSpace(what) + " (" + table + ")")
	}
	return errs.DescribeRow("groundhog: "+text, cause)
}

// refusal is a row that was refused, before all is found out about it: that
// takes another transaction.
type refusal struct {
	load  *load // nil: not known
	row   int   // -1: not known
	value *valueError
	pg    *pgconn.PgError
	facts *catalog.ConstraintFacts // nil: to be looked up
	key   []string                 // the values of facts.Columns; nil: in pg.Detail
}

func (r *refusal) Error() string { return r.Unwrap().Error() }

func (r *refusal) Unwrap() error {
	if r.value != nil {
		return r.value
	}
	return r.pg
}

// refused sorts an error of a COPY whose first row has the number base.
func (w *work) refused(one *load, base int, err error) error {
	var value *valueError
	if errors.As(err, &value) {
		return &refusal{load: one, row: value.row, value: value}
	}
	pg := aboutRows(err)
	if pg == nil {
		return w.failed(msg.BulkCopy.In(w.set.lang, one.table.String()), err)
	}
	r := &refusal{load: one, row: -1, pg: pg}
	if line, ok := copyLine(pg.Where, one.table.Name.Name); ok {
		r.row = base + line
	}
	return r
}

// aboutRows returns an error of the server that is about what rows hold: what
// constraints, types and triggers say of them. It returns nil for what is about the
// connection, other transactions, the server, and, outside of any row or function,
// the table and the rights to it.
func aboutRows(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 {
		return nil
	}
	switch pg.Code[:2] {
	case "08", "40", "53", "55", "57", "58", "XX":
		return nil
	case "0A", "25", "28", "42":
		if pg.Where == "" {
			return nil
		}
	}
	return pg
}

// violation is a row that breaks a foreign key, found after the load. The server
// is spared the work of saying so.
func (w *work) violation(c check, values [][]byte) *refusal {
	texts, mixed := make([]string, len(values)), false
	for i, v := range values {
		texts[i] = string(v)
		mixed = mixed || v == nil
	}
	detail := fmt.Sprintf("Key (%s)=(%s) is not present in table %q.", strings.Join(c.Columns, ", "), strings.Join(texts, ", "), c.Parent.Name)
	if mixed {
		detail, texts = "MATCH FULL does not allow mixing of null and nonnull key values.", nil
	}
	r := &refusal{row: -1, key: texts,
		facts: &catalog.ConstraintFacts{Columns: c.Columns, References: c.Parent.String()},
		pg: &pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "23503", Detail: detail,
			Message:    fmt.Sprintf("insert or update on table %q violates foreign key constraint %q", c.Child.Name, c.Constraint),
			SchemaName: c.Child.Schema, TableName: c.Child.Name, ConstraintName: c.Constraint}}
	for _, one := range w.loads {
		if one.table == c.table {
			r.load = one
		}
	}
	return r
}

// loadOf finds the load that an error after the loads is about.
func (w *work) loadOf(pg *pgconn.PgError) *load {
	var found *load
	tables := map[*catalog.InsertTarget]bool{}
	for _, one := range w.loads {
		tables[one.table] = true
		if one.table.Schema == pg.SchemaName && one.table.Name.Name == pg.TableName {
			found = one
		}
	}
	if found == nil && len(tables) == 1 { // the error names a partition
		found = w.loads[len(w.loads)-1]
	}
	return found
}

// explain finds out all that can be known of a refused row. The transaction in
// which that happened is over.
func (w *work) explain(r *refusal, do func(*work) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), rollbackTime)
	defer cancel()
	if r.load == nil { // a deferred trigger's, of a table that was not loaded
		return w.failed(msg.BulkCommit.In(w.set.lang), r.pg)
	}
	if r.value != nil {
		return w.valueError(r)
	}
	kind := kinds[r.pg.Code]
	if r.facts == nil {
		r.facts = &catalog.ConstraintFacts{}
		if r.pg.ConstraintName != "" && kind != "" {
			_ = w.here(ctx, func(tx pgx.Tx) (err error) { // without it the error tells less
				*r.facts, err = catalog.ReadConstraint(ctx, tx, r.pg)
				return err
			})
		}
	}
	if r.row < 0 {
		w.locate(r, kind)
	}
	if r.row < 0 && r.facts.References != r.load.table.String() {
		r.row = w.bisect(r, do)
	}
	if kind == "" {
		return w.serverValueError(r)
	}
	return w.constraintError(r, kind)
}

// here asks something in a transaction of the call's own database, or in a
// savepoint of the caller's.
func (w *work) here(ctx context.Context, ask func(pgx.Tx) error) error {
	tx, err := w.db.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	return ask(tx)
}

// locate finds the row by the values of the constraint's columns.
func (w *work) locate(r *refusal, kind ConstraintKind) {
	table := r.load.table
	if len(r.facts.Columns) == 0 || r.key == nil && r.pg.Detail == "" ||
		table.Kind != "p" && (table.Schema != r.pg.SchemaName || table.Name.Name != r.pg.TableName) { // what a trigger wrote
		return
	}
	want := ")=(" + strings.Join(r.key, ", ") + ")"
	matches := func(texts []string) bool {
		joined := ")=(" + strings.Join(texts, ", ") + ")"
		if r.key != nil {
			return joined == want
		}
		return strings.Contains(r.pg.Detail, joined)
	}
	found := 0
	for _, one := range w.loads {
		if one.table != table || one.rows == nil {
			continue
		}
		for i := range one.rows.len() {
			texts, ok := one.texts(i, r.facts.Columns)
			if !ok || !matches(texts) {
				continue
			}
			r.load, r.row = one, i
			if found++; kind != Unique || found == 2 { // of two equal rows the second is the one too many
				return
			}
		}
	}
}

// texts returns the values of columns in a row; ok is false when they are not
// all known.
func (one *load) texts(i int, names []string) (texts []string, ok bool) {
	for _, name := range names {
		known := false
		for _, c := range one.columns {
			if c.Name == name {
				var text string
				text, known = one.rows.text(i, c)
				texts = append(texts, text)
			}
		}
		if !known {
			return nil, false
		}
	}
	return texts, true
}

// place names a row: "public.users, row 7 (id=3)".
func (w *work) place(one *load, row int) (place, key string) {
	key = one.key(row).String()
	table := one.table.String()
	switch {
	case row < 0:
		return table, ""
	case key == "":
		return msg.BulkRow.In(w.set.lang, table, fmt.Sprint(row)), ""
	}
	return msg.BulkRowKey.In(w.set.lang, table, fmt.Sprint(row), key), key
}

func (w *work) constraintError(r *refusal, kind ConstraintKind) error {
	lang := w.set.lang
	e := &ConstraintError{Kind: kind, Table: r.load.table.String(), Columns: r.facts.Columns, Constraint: r.pg.ConstraintName,
		References: r.facts.References, Row: r.row, Detail: r.pg.Detail, cause: r.pg}
	var what string
	what, e.Key = w.place(r.load, r.row)
	why := schema.Line(e.Constraint)
	if kind == NotNull {
		why = "NOT NULL " + strings.TrimSpace(r.pg.ColumnName+" "+r.pg.DataTypeName)
		if r.pg.ColumnName != "" {
			e.Columns = []string{r.pg.ColumnName}
		}
	}
	if c := copyColumn(r.pg.Where, r.load); c != nil && r.pg.DataTypeName != "" { // a domain's
		e.Columns = []string{c.Name}
	}
	e.Hint = w.hint(r, e)
	if e.Detail != "" {
		why = strings.TrimPrefix(why+": "+e.Detail, ": ")
	} else if why == "" {
		why = r.pg.Message
	}
	e.text = msg.BulkRefused.In(lang, what, sentence(why), e.Hint)
	return e
}

// hint tells what to do about a row that a constraint refused.
func (w *work) hint(r *refusal, e *ConstraintError) string {
	lang := w.set.lang
	named := r.pg.ConstraintName != "" || r.pg.ColumnName != "" || r.pg.DataTypeName != ""
	switch {
	case !named && r.pg.TableName != "":
		return msg.BulkHintPartition.In(lang)
	case !named: // a function raised it
		return triggerHint(r.pg, lang)
	case e.Kind == ForeignKey && e.References != "":
		return msg.BulkHintForeignKey.In(lang, e.References)
	case e.Kind == Unique && len(e.Columns) > 0:
		return msg.BulkHintUnique.In(lang, schema.Line(strings.Join(e.Columns, ", ")))
	case e.Kind == NotNull && len(e.Columns) > 0:
		for _, c := range r.load.columns {
			if c.Name == e.Columns[0] {
				return msg.BulkHintNotNullField.In(lang, c.field.name, schema.Told(c.Name))
			}
		}
		return msg.BulkHintNotNull.In(lang, schema.Told(e.Columns[0]))
	case r.facts.Definition != "":
		return msg.BulkHintDemands.In(lang, r.facts.Definition)
	}
	return msg.BulkHintDemands.In(lang, schema.Line(e.Constraint))
}

// triggerHint is the hint that a function gave with the error that it raised.
func triggerHint(pg *pgconn.PgError, lang msg.Lang) string {
	if pg.Hint != "" {
		return pg.Hint
	}
	return msg.BulkHintTrigger.In(lang)
}

// sentence ends a text with a full stop.
func sentence(s string) string {
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "。") {
		return s
	}
	return s + "."
}

// valueError is a value that we could not write.
func (w *work) valueError(r *refusal) error {
	c := r.value.column
	e := &RowError{Table: r.load.table.String(), Row: r.row, Column: c.Name, Field: c.field.name, GoType: r.value.typ, PgType: c.Type,
		Detail: r.value.cause.Error(), Hint: msg.BulkHintValue.In(w.set.lang, c.field.name, c.Type), cause: r.value.cause}
	var what string
	what, e.Key = w.place(r.load, r.row)
	e.text = msg.BulkValue.In(w.set.lang, what, schema.Told(c.Name), schema.Line(c.Type), c.field.name, r.value.typ, e.Hint)
	return e
}

// serverValueError is a value, or a row, that the server or a trigger refused.
func (w *work) serverValueError(r *refusal) error {
	lang := w.set.lang
	e := &RowError{Table: r.load.table.String(), Row: r.row, Detail: r.pg.Detail, cause: r.pg}
	if e.Detail == "" {
		e.Detail = r.pg.Message
	}
	var what string
	what, e.Key = w.place(r.load, r.row)
	c := copyColumn(r.pg.Where, r.load)
	if c == nil && r.pg.Code == "22021" {
		c = r.load.notText(r.row) // in COPY's text form the server checks a row as a whole
	}
	if c != nil {
		e.Column, e.Field, e.GoType, e.PgType = c.Name, c.field.name, c.typ.String(), c.Type
		if r.load.rows != nil && r.row >= 0 {
			e.GoType = r.load.rows.goType(r.row, *c)
		}
	}
	switch code := r.pg.Code; {
	case code[:2] == "54": // a limit of the server's
		e.Hint = msg.BulkHintRow.In(lang)
	case code[:2] != "22":
		e.Hint = triggerHint(r.pg, lang)
	case code == "22021" || code == "22P05":
		e.Hint = msg.BulkHintText.In(lang)
	case e.Column == "":
		e.Hint = msg.BulkHintRow.In(lang)
	case code == "22001":
		e.Hint = msg.BulkHintLong.In(lang, e.Field, e.PgType)
	default:
		e.Hint = msg.BulkHintValue.In(lang, e.Field, e.PgType)
	}
	if e.Column != "" {
		e.text = msg.BulkValue.In(lang, what, schema.Told(e.Column), schema.Line(e.PgType), e.Field, e.GoType, e.Hint)
	} else {
		e.text = msg.BulkRefused.In(lang, what, sentence(e.Detail), e.Hint)
	}
	return e
}

// failedBy reports whether an error is the one that is looked for.
func (p *probe) failedBy(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == p.pg.Code && pg.ConstraintName == p.pg.ConstraintName && !errs.IsClass(err, errs.ErrConnection)
}
