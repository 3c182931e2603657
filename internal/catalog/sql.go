package catalog

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// Ident quotes a qualified name for a statement.
func Ident(n schema.Name) string { return pgx.Identifier{n.Schema, n.Name}.Sanitize() }

// Identifier quotes a name that has no schema.
func Identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// Literal writes a string for a statement that takes no parameters, as those about
// databases take none. It is the same string whatever standard_conforming_strings is.
func Literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		quoted = " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// ExecScript executes statements that return nothing, in one round trip and by the
// simple protocol. Without any it does nothing.
func ExecScript(ctx context.Context, tx pgx.Tx, statements ...string) error {
	if len(statements) == 0 {
		return nil
	}
	return tx.Conn().PgConn().Exec(ctx, strings.Join(statements, ";\n")).Close()
}

// split returns the names as two arrays for a query.
func split(names []schema.Name) (schemas, tables []string) {
	for _, n := range names {
		schemas, tables = append(schemas, n.Schema), append(tables, n.Name)
	}
	return schemas, tables
}
