package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/groundhogdb/groundhog/fixtures"
)

// testcontainers-go as it is meant, on a server in a container of its own.

type contained struct {
	*pgxpool.Pool
	server *postgres.PostgresContainer
}

// imageEnv names an image that has PostgreSQL, its contrib and psql; else it is the
// usual one. noImage leaves the way out.
const (
	imageEnv = "LAB_IMAGE"
	noImage  = "-"
)

func openContainer(ctx context.Context, r *rig, source string) (way, error) {
	if os.Getenv(imageEnv) == noImage {
		return nil, errors.New("left out")
	}
	tclog.SetDefault(log.New(io.Discard, "", 0))
	provider, err := testcontainers.NewDockerProvider()
	if err == nil {
		err = errors.Join(provider.Health(ctx), provider.Close())
	}
	if err != nil {
		return nil, errors.New("no Docker engine answers")
	}
	var major string
	if err := r.admin.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&major); err != nil {
		return nil, err
	}
	from, err := r.open(ctx, source)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	rows, err := copyOut(ctx, from)
	if err != nil {
		return nil, err
	}
	server, err := postgres.Run(ctx, cmp.Or(os.Getenv(imageEnv), "postgres:"+major), postgres.WithDatabase("lab_test"),
		postgres.WithUsername("postgres"), postgres.WithPassword("postgres"),
		testcontainers.WithWaitStrategy(wait.ForSQL("5432/tcp", "pgx", func(host string, port network.Port) string {
			return fmt.Sprintf("postgres://postgres:postgres@%s:%d/lab_test?sslmode=disable", host, port.Num())
		}).WithStartupTimeout(time.Minute)))
	c := &contained{server: server}
	if err == nil {
		err = c.connect(ctx)
	}
	if err == nil {
		err = c.fill(ctx, rows)
	}
	if err != nil {
		return nil, errors.Join(err, testcontainers.TerminateContainer(server))
	}
	return c, nil
}

func (c *contained) connect(ctx context.Context) error {
	address, err := c.server.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		return err
	}
	if c.Pool, err = pgxpool.New(ctx, address); err == nil {
		err = c.Ping(ctx)
	}
	return err
}

func (c *contained) fill(ctx context.Context, rows copies) error {
	return c.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		to := conn.Conn()
		if _, err := to.Exec(ctx, fixtures.WelfareSchema, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		if err := rows.copyIn(ctx, to, "BEGIN; SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := to.Exec(ctx, "VACUUM ANALYZE")
		return err
	})
}

func (c *contained) create(ctx context.Context) error {
	c.Pool.Close()
	return errors.Join(c.server.Snapshot(ctx), c.connect(ctx))
}

func (c *contained) restore(ctx context.Context) error {
	c.Pool.Close()
	if err := c.server.Restore(ctx); err != nil {
		return err
	}
	return c.connect(ctx)
}

func (c *contained) exec(ctx context.Context, sql string) error {
	_, err := c.Pool.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (c *contained) close(context.Context) error {
	c.Pool.Close()
	return testcontainers.TerminateContainer(c.server)
}
