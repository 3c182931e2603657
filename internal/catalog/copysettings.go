package catalog

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CopySettings are the settings under which COPY's text is read and written,
// so that it means the same on every server, in every role and on every day.
var CopySettings = map[string]string{
	"client_encoding":                     "UTF8",
	"datestyle":                           "ISO, YMD",
	"intervalstyle":                       "postgres",
	"timezone":                            "UTC",
	"extra_float_digits":                  "1",
	"bytea_output":                        "hex",
	"lc_monetary":                         "C",
	"xmloption":                           "content",
	"array_nulls":                         "on",
	"row_security":                        "off", // an error rather than hidden rows
	"statement_timeout":                   "0",
	"idle_in_transaction_session_timeout": "0",
	"transaction_timeout":                 "0", // from PostgreSQL 17 on
}

// display are those of CopySettings that say how values are written, and what a
// time zone is left out of. What they write is read the same under any other.
var display = []string{"datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output"}

// DefaultOutputSettings gives the transaction the database's own way to write values, in
// which checks, generated columns, partition keys, indexes and materialised views
// may say what day it is.
func DefaultOutputSettings() (sql []string) {
	for _, name := range display {
		sql = append(sql, "SET LOCAL "+name+" TO DEFAULT")
	}
	return sql
}

// CopyOutputSettings gives it that of CopySettings again.
func CopyOutputSettings() (sql []string) {
	for _, name := range display {
		sql = append(sql, fmt.Sprintf("SET LOCAL %s = '%s'", name, CopySettings[name]))
	}
	return sql
}

// SetLocal sets parameters until the end of the transaction. Those that the
// server does not know are left out.
func SetLocal(ctx context.Context, q Querier, settings map[string]string) error {
	names, values := make([]string, 0, len(settings)), make([]string, 0, len(settings))
	for name, value := range settings {
		names, values = append(names, name), append(values, value)
	}
	var n int
	return q.QueryRow(ctx, `SELECT pg_catalog.count(pg_catalog.set_config(($1::pg_catalog.text[])[i], ($2::pg_catalog.text[])[i], true)) FROM pg_catalog.generate_subscripts($1::pg_catalog.text[], 1) AS i
		WHERE pg_catalog.current_setting(($1::pg_catalog.text[])[i], true) IS NOT NULL`,
		names, values).Scan(&n)
}

// Begin begins a transaction in a mode ("REPEATABLE READ, READ ONLY") and under
// settings that hold until its end, all in one round trip.
func Begin(ctx context.Context, conn *pgx.Conn, mode string, settings map[string]string) (pgx.Tx, error) {
	var sql strings.Builder
	sql.WriteString("BEGIN ISOLATION LEVEL " + mode)
	for name, value := range settings {
		if name != "transaction_timeout" || major(conn) >= 17 {
			fmt.Fprintf(&sql, "; SET LOCAL %s = '%s'", name, value)
		}
	}
	return conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: sql.String()})
}

// major is the version of the server, or 0 when it does not tell.
func major(conn *pgx.Conn) int {
	version := conn.PgConn().ParameterStatus("server_version")
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	n, _ := strconv.Atoi(version[:end])
	return n
}
