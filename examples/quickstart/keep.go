package main

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/fixtures"
)

// stay says what is kept, and where it can be found.
func (d *demo) stay(ctx context.Context, server *fixtures.Server, db *fixtures.Database, file string) error {
	fmt.Fprintf(d.out, d.say.snapshotFile+"\n", file)
	switch {
	case !d.keep:
		return nil
	case d.onServer():
		name, err := detach(ctx, server, db)
		if err != nil {
			return err
		}
		to := reach(db, name)
		fmt.Fprintf(d.out, d.say.database+"\n"+d.say.dropIt+"\n", "psql -d "+to, "dropdb "+to)
		return nil
	case !d.attended:
		fmt.Fprintln(d.out, d.say.unattended)
		return nil
	}
	fmt.Fprintf(d.out, d.say.database+"\n"+d.say.pressEnter+"\n", "psql -d "+reach(db, db.Name))
	return d.wait(ctx)
}

// wait waits for Enter, the end of input, or an interrupt.
func (d *demo) wait(ctx context.Context) error {
	entered := make(chan struct{})
	go func() {
		defer close(entered)
		_, _ = bufio.NewReader(d.stdin).ReadString('\n')
	}()
	select {
	case <-entered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// detach gives the database a name that fixtures does not take for its own, so
// that it is dropped neither by the server's Close nor by a later process.
func detach(ctx context.Context, server *fixtures.Server, db *fixtures.Database) (name string, err error) {
	db.Pool.Close()
	admin, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return "", err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	// Package snapshot keeps a session open, and a database that is in use can't be renamed.
	if _, err = admin.Exec(ctx, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", db.Name); err != nil {
		return "", err
	}
	name = "quickstart_test_" + strings.ReplaceAll(time.Now().Format("20060102_150405.000000"), ".", "_")
	_, err = admin.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{db.Name}.Sanitize()+" RENAME TO "+pgx.Identifier{name}.Sanitize())
	return name, err
}

// reach is a database in the options of psql, without a password.
func reach(db *fixtures.Database, name string) string {
	c := db.Pool.Config().ConnConfig
	return fmt.Sprintf("%s -h %s -p %s -U %s", name, shell(c.Host), strconv.Itoa(int(c.Port)), shell(c.User))
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+-]+$`)

// shell quotes a word for a shell.
func shell(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
