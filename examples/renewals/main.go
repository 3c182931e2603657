// Command renewals is a small HTTP service over the welfare domain: which support
// plans are to be renewed soon, and what happens when one is. It has a suite to
// copy from; see main_test.go.
//
//	GET /deadlines?days=30&office=ID
//
// lists the plans whose deadline is at most so many days away, or past, the most urgent first.
//
//	POST /plans/ID/renew {"signed_on": "2026-04-01"}
//
// ends a plan that was signed on that day, and begins the recipient's next one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	address := flag.String("http", "localhost:8080", "the `address` to listen on")
	database := flag.String("database", "", "the `URL` of the database; without it libpq's variables tell (PGHOST and its like)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, *database); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, database string) error {
	db, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	defer db.Close()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return serve(ctx, listener, newService(db, time.Now))
}

// serve answers requests until ctx ends, then those that are under way.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		ended <- server.Shutdown(last)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-ended
}
