package load

import (
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
)

// copyJob is one COPY of a transaction.
type copyJob struct {
	table   *catalog.InsertTarget
	columns []copyin.Column
	rows    keptRows // nil: not kept
	fast    bool     // its foreign keys are still to be checked
}

// lastKey returns the key of the last row; nil when it is not known.
func (j *copyJob) lastKey() *rowKey {
	if j.rows == nil {
		return nil
	}
	return j.key(j.rows.len() - 1)
}

// key returns the key of a row; nil when it is not known.
func (j *copyJob) key(i int) *rowKey {
	if j.rows == nil || i < 0 || i >= j.rows.len() {
		return nil
	}
	k := &rowKey{table: j.table}
	parts := 0
	for _, c := range j.table.Columns {
		if c.Key {
			parts++
		}
	}
	for _, c := range j.columns {
		if !c.Key {
			continue
		}
		text, ok := j.rows.text(i, c)
		if !ok {
			return nil
		}
		k.columns, k.values = append(k.columns, c), append(k.values, text)
	}
	if parts == 0 || len(k.columns) < parts {
		return nil
	}
	return k
}

// texts returns the values of columns in a row; ok is false when they are not
// all known.
func (j *copyJob) texts(i int, names []string) (texts []string, ok bool) {
	for _, name := range names {
		known := false
		for _, c := range j.columns {
			if c.Name == name {
				var text string
				text, known = j.rows.text(i, c)
				texts = append(texts, text)
			}
		}
		if !known {
			return nil, false
		}
	}
	return texts, true
}

// copyColumn finds the column that the context of an error in the COPY names, or nil.
func (j *copyJob) copyColumn(pg *pgconn.PgError) *copyin.Column {
	return copyColumn(pg.Where, j.table.Name.Name, j.columns)
}

// notText finds the column of a row whose text PostgreSQL can't store, or nil.
func (j *copyJob) notText(row int) *copyin.Column {
	if j.rows == nil || row < 0 {
		return nil
	}
	for i := range j.columns {
		text, ok := j.rows.text(row, j.columns[i])
		if ok && (!utf8.ValidString(text) || strings.ContainsRune(text, 0)) {
			return &j.columns[i]
		}
	}
	return nil
}
