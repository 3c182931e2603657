package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

// Our own statements need no search path, since all their names are qualified. The
// users' functions may need one: the server runs those behind checks, generated
// columns and indexes when rows are written, and it inlines SQL functions behind
// indexes, statistics and partitions when a statement on the table is planned, even
// one that only reads. So a statement on users' tables that fails over a name is tried
// again under the next of several search paths.

// unresolved reports whether another search path may help: a name was not found,
// or was found to be something else, by us or in a function of the users'.
func unresolved(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) != 5 || catalog.LacksPrivilege(pg) {
		return false
	}
	switch pg.Code[:2] {
	case "42", "3F": // syntax_error_or_access_rule_violation, invalid_schema_name
		return true
	case "0A", "22", "23", "2F", "38", "39", "P0": // what a function raises
		return strings.Contains(pg.Where, "function ")
	}
	return false
}

// ownPath is the search path with which the database's own sessions begin.
func ownPath(ctx context.Context, q catalog.Querier) (path string, err error) {
	err = q.QueryRow(ctx, `SELECT reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path'`).Scan(&path)
	return path, err
}

// joinPaths puts search paths one after the other. With pg_catalog as the first, no
// object of the users' takes the place of the system's in our statements.
func joinPaths(paths ...string) string {
	return strings.Join(slices.DeleteFunc(paths, func(path string) bool { return strings.TrimSpace(path) == "" }), ", ")
}

// readPaths lists the search paths under which tables are read, the first one
// first. What a function behind an index means is of no consequence here: no
// statement of ours uses such an index.
func readPaths(ctx context.Context, d *database, q catalog.Querier) ([]string, error) {
	own, err := ownPath(ctx, q)
	if err != nil {
		return nil, err
	}
	all, _, err := catalog.AllSchemas(ctx, q)
	if err != nil {
		return nil, err
	}
	return slices.Compact([]string{catalogOnly, joinPaths(catalogOnly, own), joinPaths(catalogOnly, pathOfPool(ctx, d)), joinPaths(catalogOnly, own, all)}), nil
}

// writePaths lists the search paths under which rows are written after the session's
// own: that which the pool's AfterConnect sets, then one with all schemas, unless a
// name stands in two of them, since then a function could mean the wrong one.
func writePaths(ctx context.Context, d *database, q catalog.Querier) (paths []string, err error) {
	if path := pathOfPool(ctx, d); path != "" {
		paths = append(paths, path)
	}
	own, err := ownPath(ctx, q)
	if err != nil {
		return nil, err
	}
	all, ambiguous, err := catalog.AllSchemas(ctx, q)
	if err != nil || ambiguous || all == "" {
		return paths, err
	}
	return append(paths, joinPaths(own, all)), nil
}

// pathOfPool returns the search path that the pool's AfterConnect gives a connection,
// or nothing where there is no such function or it fails. It is asked on a
// connection of its own, which is closed at once.
func pathOfPool(ctx context.Context, d *database) (path string) {
	prepare := d.poolConfig().AfterConnect
	if prepare == nil {
		return ""
	}
	err := d.withConn(ctx, func(conn *pgx.Conn) error {
		if err := prepare(ctx, conn); err != nil {
			return err
		}
		return conn.QueryRow(ctx, `SELECT pg_catalog.current_setting('search_path')`).Scan(&path)
	})
	if err != nil {
		return ""
	}
	return path
}

// resolving runs work, which writes rows over the session, and runs it again under
// other search paths while a name is not found. The session keeps the one under which
// all names were found.
func resolving(ctx context.Context, d *database, cfg *settings, se *session, work func() error) error {
	first := work()
	if !unresolved(first) || !se.usable() {
		return first
	}
	paths, err := writePaths(ctx, d, se.conn)
	if err != nil {
		return errors.Join(first, err)
	}
	for _, path := range slices.DeleteFunc(paths, func(path string) bool { return path == se.path }) {
		if err := se.setPath(ctx, path); err != nil {
			return errors.Join(first, err)
		}
		if err := work(); !unresolved(err) {
			return err
		}
	}
	if err := se.setPath(ctx, ""); err != nil {
		return errors.Join(first, err)
	}
	return blame(ctx, d, cfg, first)
}

// reading runs work, which reads users' tables, under one search path after the other
// while a name is not found. It asks for the paths over q.
func reading(ctx context.Context, d *database, q catalog.Querier, work func(path string) error) error {
	first := work(catalogOnly)
	if !unresolved(first) {
		return first
	}
	paths, err := readPaths(ctx, d, q)
	if err != nil {
		return errors.Join(first, err)
	}
	for _, path := range paths[1:] {
		if err := work(path); !unresolved(err) {
			return err
		}
	}
	return first
}

// blame names in an error of a function of the users' the function, the object by
// which it is called, and the table.
func blame(ctx context.Context, d *database, cfg *settings, err error) error {
	var about *tableError
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || !strings.Contains(pg.Where, "function ") {
		return err
	}
	var table *schema.Name
	if errors.As(err, &about) {
		table = &about.table
	}
	var calls []catalog.Call
	asked := d.withConn(ctx, func(conn *pgx.Conn) (err error) {
		if _, err = conn.Exec(ctx, "SET search_path = "+catalogOnly); err == nil {
			calls, err = catalog.Calls(ctx, conn, table)
		}
		return err
	})
	if asked != nil {
		return err
	}
	// The server tells the functions that called one another, by their names.
	named := slices.DeleteFunc(slices.Clone(calls), func(c catalog.Call) bool { return !strings.Contains(pg.Where, c.Name) })
	if len(named) == 0 && table != nil {
		named = calls
	}
	if len(named) == 0 {
		return err
	}
	lines := make([]string, len(named))
	for i, c := range named {
		lines[i] = fmt.Sprintf("\n  %s: %s", c.Object, c.Function)
	}
	text := msg.FunctionFailed
	if code := pg.Code[:2]; code != "42" && code != "3F" { // no name is missing
		text = msg.FunctionRaised
	}
	return errs.New(errs.Class(err), text.In(cfg.lang, strings.Join(lines, "")), err)
}
