package load

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// diagnosis finds out all that can be known of a refused row. The transaction in which
// that happened is over; its jobs still have their rows.
type diagnosis struct {
	lang   msg.Lang
	source source
	jobs   []*copyJob
	errors Errors
}

// explain returns the error of a refusal. Search looks for the row by loading it again; it
// returns -1 if it did not find it.
func (d *diagnosis) explain(ctx context.Context, r *refusal, search func() int) error {
	if r.job == nil { // a deferred trigger's, of a table that was not loaded
		return failed(msg.BulkCommit.In(d.lang), r.pg)
	}
	if r.value != nil {
		return d.errors.Misfit(d.unwritable(r))
	}
	kind := kinds[r.pg.Code]
	if r.facts == nil {
		r.facts = d.lookUp(ctx, r.pg, kind)
	}
	if r.row < 0 {
		d.locate(r, kind)
	}
	if r.row < 0 && r.facts.References != r.job.table.String() {
		r.row = search()
	}
	if kind == "" {
		return d.errors.Misfit(d.unfitting(r))
	}
	return d.errors.Violation(d.violation(r, kind))
}

// lookUp reads the facts of the constraint that an error names. Without them the error
// says less.
func (d *diagnosis) lookUp(ctx context.Context, pg *pgconn.PgError, kind Kind) *catalog.ConstraintFacts {
	facts := &catalog.ConstraintFacts{}
	if pg.ConstraintName == "" || kind == "" {
		return facts
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	_ = d.source.inTx(ctx, func(tx pgx.Tx) (err error) {
		*facts, err = catalog.ReadConstraint(ctx, tx, pg)
		return err
	})
	return facts
}

// locate finds the row by the values of the constraint's columns.
func (d *diagnosis) locate(r *refusal, kind Kind) {
	table := r.job.table
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
	for _, job := range d.jobs {
		if job.table != table || job.rows == nil {
			continue
		}
		for i := range job.rows.len() {
			texts, ok := job.texts(i, r.facts.Columns)
			if !ok || !matches(texts) {
				continue
			}
			r.job, r.row = job, i
			if found++; kind != Unique || found == 2 { // of two equal rows the second is the one too many
				return
			}
		}
	}
}

// place names a row: "public.users, row 7 (id=3)".
func (d *diagnosis) place(r *refusal) (place, key string) {
	key = r.job.key(r.row).String()
	table := r.job.table.String()
	switch {
	case r.row < 0:
		return table, ""
	case key == "":
		return msg.BulkRow.In(d.lang, table, fmt.Sprint(r.row)), ""
	}
	return msg.BulkRowKey.In(d.lang, table, fmt.Sprint(r.row), key), key
}

// violation is a row that a constraint refused.
func (d *diagnosis) violation(r *refusal, kind Kind) Violation {
	out := Violation{Kind: kind, Table: r.job.table.String(), Columns: r.facts.Columns, Constraint: r.pg.ConstraintName,
		References: r.facts.References, Row: r.row, Detail: r.pg.Detail, Cause: r.pg}
	var place string
	place, out.Key = d.place(r)
	why := schema.Line(out.Constraint)
	if kind == NotNull {
		why = "NOT NULL " + strings.TrimSpace(r.pg.ColumnName+" "+r.pg.DataTypeName)
		if r.pg.ColumnName != "" {
			out.Columns = []string{r.pg.ColumnName}
		}
	}
	if c := r.job.copyColumn(r.pg); c != nil && r.pg.DataTypeName != "" { // a domain's
		out.Columns = []string{c.Name}
	}
	out.Hint = d.hint(r, out)
	if out.Detail != "" {
		why = strings.TrimPrefix(why+": "+out.Detail, ": ")
	} else if why == "" {
		why = r.pg.Message
	}
	out.Text = msg.BulkRefused.In(d.lang, place, sentence(why), out.Hint)
	return out
}

// hint says what to do about a row that a constraint refused.
func (d *diagnosis) hint(r *refusal, e Violation) string {
	lang := d.lang
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
		for _, c := range r.job.columns {
			if c.Name == e.Columns[0] {
				return msg.BulkHintNotNullField.In(lang, c.Field, schema.Told(c.Name))
			}
		}
		return msg.BulkHintNotNull.In(lang, schema.Told(e.Columns[0]))
	case r.facts.Definition != "":
		return msg.BulkHintDemands.In(lang, r.facts.Definition)
	}
	return msg.BulkHintDemands.In(lang, schema.Line(e.Constraint))
}

// unwritable is a row with a value that could not be encoded.
func (d *diagnosis) unwritable(r *refusal) Misfit {
	c := r.value.Column
	out := Misfit{Table: r.job.table.String(), Row: r.row, Column: c.Name, Field: c.Field, GoType: r.value.GoType, PgType: c.Type,
		Detail: r.value.Error(), Hint: msg.BulkHintValue.In(d.lang, c.Field, c.Type), Cause: r.value}
	var place string
	place, out.Key = d.place(r)
	out.Text = d.ofValue(place, out)
	return out
}

// unfitting is a value, or a row, that the server or a trigger refused.
func (d *diagnosis) unfitting(r *refusal) Misfit {
	out := Misfit{Table: r.job.table.String(), Row: r.row, Detail: r.pg.Detail, Cause: r.pg}
	if out.Detail == "" {
		out.Detail = r.pg.Message
	}
	var place string
	place, out.Key = d.place(r)
	c := r.job.copyColumn(r.pg)
	if c == nil && r.pg.Code == "22021" {
		c = r.job.notText(r.row) // in COPY's text form the server checks a row as a whole
	}
	if c != nil {
		out.Column, out.Field, out.GoType, out.PgType = c.Name, c.Field, c.GoType.String(), c.Type
		if r.job.rows != nil && r.row >= 0 {
			out.GoType = r.job.rows.goType(r.row, *c)
		}
	}
	out.Hint = d.hintOnValue(r.pg, out)
	if out.Column != "" {
		out.Text = d.ofValue(place, out)
	} else {
		out.Text = msg.BulkRefused.In(d.lang, place, sentence(out.Detail), out.Hint)
	}
	return out
}

// ofValue is the text of an error on a value.
func (d *diagnosis) ofValue(place string, e Misfit) string {
	return msg.BulkValue.In(d.lang, place, schema.Told(e.Column), schema.Line(e.PgType), e.Field, e.GoType, e.Hint)
}

// hintOnValue says what to do about a value, or a row, that no constraint refused.
func (d *diagnosis) hintOnValue(pg *pgconn.PgError, e Misfit) string {
	switch code := pg.Code; {
	case code[:2] == "54": // a limit of the server's
		return msg.BulkHintRow.In(d.lang)
	case code[:2] != "22":
		return triggerHint(pg, d.lang)
	case code == "22021" || code == "22P05":
		return msg.BulkHintText.In(d.lang)
	case e.Column == "":
		return msg.BulkHintRow.In(d.lang)
	case code == "22001":
		return msg.BulkHintLong.In(d.lang, e.Field, e.PgType)
	}
	return msg.BulkHintValue.In(d.lang, e.Field, e.PgType)
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
