package load

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/bulk/internal/copyin"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// rowKey is the primary key of a row, as texts.
type rowKey struct {
	table   *catalog.InsertTarget
	columns []copyin.Column
	values  []string
}

func (k *rowKey) exists(ctx context.Context, tx pgx.Tx) (found bool, err error) {
	conditions := make([]string, len(k.columns))
	args := make([]any, len(k.columns))
	for i, c := range k.columns {
		conditions[i] = pgx.Identifier{c.Name}.Sanitize() + " = $" + strconv.Itoa(i+1) + "::text::" + c.Type
		args[i] = k.values[i]
	}
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+catalog.Ident(k.table.Name)+" WHERE "+strings.Join(conditions, " AND ")+")", args...).Scan(&found)
	return found, err
}

// String writes the key as people do: id=7.
func (k *rowKey) String() string {
	if k == nil {
		return ""
	}
	parts := make([]string, len(k.columns))
	for i, c := range k.columns {
		parts[i] = schema.Told(c.Name) + "=" + k.values[i]
	}
	return strings.Join(parts, ", ")
}
