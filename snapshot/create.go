package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// Create writes the snapshot called name: all rows of all tables and the state
// of all sequences, as one transaction sees them. Writers are not kept waiting.
//
// On error the folder is as it was. An existing snapshot is [ErrExists], unless
// [Replace] is given; then it stands until the new one is whole. On success the
// file is durable. The cost is that of reading every table once; memory does not
// grow with the data.
//
// Left out are system schemas, temporary tables, foreign tables, views, and what
// belongs to an extension; the tables of known migration tools are left alone.
// A database with large objects is refused.
func (s *Store) Create(ctx context.Context, name string, opts ...CreateOption) (Info, error) {
	cfg := createConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o CreateOption) { o.create(&cfg) }); err != nil {
		return Info{}, err
	}
	path, err := cfg.path(name)
	if err != nil {
		return Info{}, err
	}
	unlock, err := cfg.lock(ctx, path, name)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	if ok, err := cfg.exists(path, name); err != nil {
		return Info{}, err
	} else if ok && !cfg.replace {
		return Info{}, errs.New(ErrExists, msg.SnapshotExists.In(cfg.lang, name, path), nil)
	}
	return s.write(ctx, &cfg, path, name)
}

// write makes the file at path. The caller holds the snapshot's lock.
func (s *Store) write(ctx context.Context, cfg *createConfig, path, name string) (Info, error) {
	began := time.Now()
	cfg.sweep()
	var info Info
	err := s.withConn(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		info, err = s.save(ctx, tx, cfg, path, name)
		return err
	})
	if err != nil {
		return Info{}, cfg.explain(err, msg.CantCreate, name)
	}
	cfg.logger.InfoContext(ctx, msg.SnapshotCreated.In(cfg.lang), "snapshot", name, "rows", info.Rows, "bytes", info.Bytes,
		"tables", len(info.Tables), "took", time.Since(began).Round(time.Millisecond))
	return info, nil
}

// save writes what tx sees to the file at path.
func (s *Store) save(ctx context.Context, tx pgx.Tx, cfg *createConfig, path, name string) (info Info, err error) {
	powers, err := cfg.guarded(ctx, tx)
	if err != nil {
		return Info{}, err
	}
	if err := catalog.SetLocal(ctx, tx, catalog.CopySettings); err != nil {
		return Info{}, err
	}
	if err := catalog.SetLocal(ctx, tx, map[string]string{"search_path": "pg_catalog"}); err != nil {
		return Info{}, err
	}
	cat, err := catalog.Read(ctx, tx, cfg.lang)
	if err != nil {
		return Info{}, err
	}
	w, err := snapfile.Create(s.fs, path)
	if err != nil {
		return Info{}, err
	}
	defer func() {
		// After Commit there is nothing left to give up.
		if abort := w.Abort(); err != nil {
			err = errors.Join(err, abort)
		}
	}()
	for _, t := range cat.Tables {
		w.Table(t.Name, t.Columns)
		tag, err := tx.Conn().PgConn().CopyTo(ctx, w, copyOut(t))
		if err != nil {
			return Info{}, fmt.Errorf("%s: %w", t.Name, err)
		}
		w.SetRows(tag.RowsAffected())
	}
	sequences, err := catalog.Sequences(ctx, tx, cat.Schema.Sequences)
	if err != nil {
		return Info{}, err
	}
	m := snapfile.Manifest{Name: name, Description: cfg.description, CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
		Server: powers.Server, Builder: cfg.builder, Fingerprint: cat.Schema.Fingerprint(), Schema: cat.Schema, Sequences: sequences}
	if cat.Migration != nil {
		m.Migration = &snapfile.Migration{Table: cat.Migration.Table.String(), Version: cat.Migration.Version}
	}
	if err := w.Commit(&m); err != nil {
		return Info{}, err
	}
	return infoOf(&m, path, w.Size()), nil
}

// copyOut is the statement that reads a table's own rows in the order of its
// key. Without a key they are ordered by their whole text: rows of equal text
// are the same row to a snapshot.
func copyOut(t catalog.Table) string {
	order := identifiers(t.OrderBy)
	if order == "" && len(t.Columns) > 0 {
		order = "ROW(" + identifiers(t.Columns) + `)::text COLLATE "C"`
	}
	if order != "" {
		order = " ORDER BY " + order
	}
	return fmt.Sprintf("COPY (SELECT %s FROM %s%s) TO STDOUT", identifiers(t.Columns), t.Only(), order)
}

// copyIn is the statement that loads a table.
func copyIn(name schema.Name, columns []string) string {
	list := identifiers(columns)
	if list != "" {
		list = " (" + list + ")"
	}
	return fmt.Sprintf("COPY %s%s FROM STDIN", catalog.Ident(name), list)
}

func identifiers(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}
