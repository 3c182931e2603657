package snapshot

import (
	"context"
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

// Restore brings the database back to the snapshot called name: afterwards every
// table has exactly the snapshot's rows, and every sequence its state.
// Connections stay usable. User triggers and rules do not fire.
//
// It is one transaction: on any error the database is exactly as it was. A
// missing file is [ErrNotFound]; a damaged one [ErrCorrupt], found before a row
// is changed; a database whose schema is not the snapshot's is
// [ErrSchemaMismatch], difference by difference; locks that others hold for more
// than 5 s are [ErrLocked], with who holds them.
//
// All tables are emptied and loaded again, at a cost of what the database holds.
// Not reset are the session state of pooled connections (SET, LISTEN, temporary
// tables, advisory locks), ALTER DATABASE and ALTER ROLE, and the physical order
// of rows.
func (s *Store) Restore(ctx context.Context, name string, opts ...RestoreOption) (Restored, error) {
	cfg := restoreConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o RestoreOption) { o.restore(&cfg) }); err != nil {
		return Restored{}, err
	}
	path, err := cfg.path(name)
	if err != nil {
		return Restored{}, err
	}
	r, err := cfg.open(path, name, false)
	if err != nil {
		return Restored{}, err
	}
	defer r.Close()
	return s.load(ctx, &cfg.storeConfig, r, name)
}

// load brings the database to the state of an opened and proven file.
func (s *Store) load(ctx context.Context, cfg *storeConfig, r *snapfile.Reader, name string) (Restored, error) {
	began := time.Now()
	err := s.change(ctx, cfg, func(tx pgx.Tx, powers catalog.Powers) error {
		l := loader{ctx: ctx, tx: tx, replica: powers.Replica, lang: cfg.lang}
		if err := l.match(&r.Manifest, name); err != nil {
			return err
		}
		return l.replace(func() error { return l.fill(r) }, r.Manifest.Sequences)
	})
	if err != nil {
		return Restored{}, cfg.explain(err, msg.CantRestore, name)
	}
	restored := restoredOf(infoOf(&r.Manifest, r.Path, r.Size), Reloaded, "", began)
	cfg.logger.DebugContext(ctx, msg.SnapshotRestored.In(cfg.lang), "snapshot", name, "rows", restored.Rows,
		"took", restored.Duration.Round(time.Millisecond))
	return restored, nil
}

// Clean empties every table that a snapshot would hold, and puts every sequence
// back to its start. It is one transaction, like [Store.Restore].
func (s *Store) Clean(ctx context.Context, opts ...CleanOption) error {
	cfg := cleanConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o CleanOption) { o.clean(&cfg) }); err != nil {
		return err
	}
	err := s.change(ctx, &cfg.storeConfig, func(tx pgx.Tx, powers catalog.Powers) error {
		l := loader{ctx: ctx, tx: tx, replica: powers.Replica, lang: cfg.lang}
		if err := l.readCatalog(); err != nil {
			return err
		}
		return l.replace(func() error { return nil }, nil)
	})
	return cfg.explain(err, msg.CantClean)
}

// change runs f in a transaction that may change the database: guarded, one at
// a time among processes, with a limit to waiting for locks.
func (s *Store) change(ctx context.Context, cfg *storeConfig, f func(pgx.Tx, catalog.Powers) error) error {
	return s.withConn(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		powers, err := cfg.guarded(ctx, tx)
		if err != nil {
			return err
		}
		if err := catalog.SetLocal(ctx, tx, catalog.CopySettings); err != nil {
			return err
		}
		if err := catalog.SetLocal(ctx, tx, map[string]string{
			"lock_timeout":       fmt.Sprint(lockWait.Milliseconds()),
			"synchronous_commit": "off", // a restored database that a crash loses is restored again
		}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT pg_catalog.pg_advisory_xact_lock($1)`, restoreLock); err != nil {
			return s.locked(ctx, cfg, err)
		}
		if err := f(tx, powers); err != nil {
			return s.locked(ctx, cfg, err)
		}
		return tx.Commit(ctx)
	})
}

// restoreLock is the advisory lock under which one process at a time restores a
// database: "groundho" as a number.
const restoreLock int64 = 0x67726f756e64686f

// loader replaces the content of a database inside one transaction.
type loader struct {
	ctx     context.Context
	tx      pgx.Tx
	replica bool // foreign keys and ordinary triggers are off
	lang    msg.Lang
	cat     *catalog.Catalog
}

// readCatalog reads the schema with names qualified, and puts the search path
// back for the functions that checks and generated columns may call.
func (l *loader) readCatalog() error {
	if err := catalog.SetLocal(l.ctx, l.tx, map[string]string{"search_path": "pg_catalog"}); err != nil {
		return err
	}
	cat, err := catalog.Read(l.ctx, l.tx, l.lang)
	if err != nil {
		return err
	}
	l.cat = cat
	return l.exec("SET LOCAL search_path TO DEFAULT")
}

// match reads the schema and compares it with the snapshot's.
func (l *loader) match(m *snapfile.Manifest, name string) error {
	if err := l.readCatalog(); err != nil {
		return err
	}
	if l.cat.Schema.Fingerprint() == m.Fingerprint {
		return nil
	}
	diff := schema.Diff(m.Schema, l.cat.Schema, l.lang)
	return errs.New(ErrSchemaMismatch, msg.SchemaMismatch.In(l.lang, name, "\n  "+strings.Join(diff, "\n  ")), nil)
}

// replace empties every table, calls fill, and sets every sequence: to what
// states tell of it, else to its start. Nobody else writes meanwhile.
func (l *loader) replace(fill func() error, states []schema.Sequence) error {
	if err := l.lockTables(); err != nil {
		return err
	}
	if l.replica {
		if err := l.exec("SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
	}
	wake, err := l.silenceTriggers()
	if err != nil {
		return err
	}
	checked, err := l.deferForeignKeys()
	if err != nil {
		return err
	}
	for _, step := range []func() error{l.empty, fill, checked, wake, func() error { return l.sequences(states) }} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lockTables waits for writers in flight, whose rows would else appear after the
// restore, and keeps new ones out. Readers are let through.
func (l *loader) lockTables() error {
	names := make([]string, len(l.cat.Tables))
	for i, t := range l.cat.Tables {
		names[i] = t.Only()
	}
	if len(names) == 0 {
		return nil
	}
	return l.exec("LOCK TABLE " + strings.Join(names, ", ") + " IN EXCLUSIVE MODE")
}

// silenceTriggers disables the user triggers that would fire and returns what
// gives each of them its state again. In replica role that is those marked
// ALWAYS or REPLICA.
func (l *loader) silenceTriggers() (wake func() error, err error) {
	var off, on []string
	for _, t := range l.cat.Tables {
		for _, trigger := range t.Triggers {
			state := map[string]string{"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}[trigger.Enabled]
			fires := trigger.Enabled == "A" || (trigger.Enabled == "R") == l.replica
			if state == "" || !fires {
				continue
			}
			table, name := catalog.Ident(trigger.Table), pgx.Identifier{trigger.Name}.Sanitize()
			off = append(off, fmt.Sprintf("ALTER TABLE ONLY %s DISABLE TRIGGER %s", table, name))
			on = append(on, fmt.Sprintf("ALTER TABLE ONLY %s %s TRIGGER %s", table, state, name))
		}
	}
	return func() error { return l.execAll(on) }, l.execAll(off)
}

// deferForeignKeys makes it possible to load tables that reference each other in
// a circle where foreign keys can't be switched off: those of a circle become
// deferrable until the rows are in. What it returns checks them all and makes
// them what they were.
func (l *loader) deferForeignKeys() (checked func() error, err error) {
	if l.replica {
		return func() error { return nil }, nil
	}
	component := map[schema.Name]int{}
	for _, t := range l.cat.Tables {
		component[t.Name] = t.Cycle
	}
	var off, on []string
	for _, t := range l.cat.Tables {
		for _, fk := range t.ForeignKeys {
			if fk.Deferrable || component[fk.References] != t.Cycle || fk.References == t.Name {
				continue
			}
			alter := fmt.Sprintf("ALTER TABLE %s ALTER CONSTRAINT %s ", catalog.Ident(t.Name), pgx.Identifier{fk.Name}.Sanitize())
			off, on = append(off, alter+"DEFERRABLE"), append(on, alter+"NOT DEFERRABLE")
		}
	}
	off = append(off, "SET CONSTRAINTS ALL DEFERRED")
	on = append([]string{"SET CONSTRAINTS ALL IMMEDIATE"}, on...)
	return func() error { return l.execAll(on) }, l.execAll(off)
}

// truncateFrom is the size of a table's heap from which TRUNCATE beats DELETE.
// TRUNCATE costs new files for the table and each of its indexes; DELETE costs
// a mark on each row, and space that the next load does not reuse.
const truncateFrom = 256 << 10

// empty removes all rows. TRUNCATE wants every table that references a truncated
// one to be truncated with it, even in replica role.
func (l *loader) empty() error {
	truncate := map[schema.Name]bool{}
	for _, t := range l.cat.Tables {
		truncate[t.Name] = !l.replica || t.Rules || t.Bytes >= truncateFrom
	}
	for again := true; again; {
		again = false
		for _, t := range l.cat.Tables {
			for _, fk := range t.ForeignKeys {
				if truncate[fk.References] && !truncate[t.Name] {
					truncate[t.Name], again = true, true
				}
			}
		}
	}
	var names, sql []string
	for _, t := range l.cat.Tables {
		if truncate[t.Name] {
			names = append(names, t.Only())
		} else {
			sql = append(sql, "DELETE FROM "+t.Only())
		}
	}
	if len(names) > 0 {
		sql = append(sql, "TRUNCATE TABLE "+strings.Join(names, ", "))
	}
	return l.execAll(sql)
}

// fill loads every table from its part of the file.
func (l *loader) fill(r *snapfile.Reader) error {
	parts := map[schema.Name]int{}
	for i, t := range r.Manifest.Tables {
		parts[t.Name] = i
	}
	for _, t := range l.cat.Tables { // load order of this database
		i, ok := parts[t.Name]
		if !ok {
			continue
		}
		part := r.Manifest.Tables[i]
		if part.Rows == 0 {
			continue
		}
		tag, err := l.tx.Conn().PgConn().CopyFrom(l.ctx, r.Table(i), copyIn(part.Name, part.Columns))
		if err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
		if got := tag.RowsAffected(); got != part.Rows {
			return errs.New(nil, msg.RowsMissing.In(l.lang, part.Name.String(), part.Rows, got), nil)
		}
	}
	return nil
}

// sequences sets those sequences whose state is another one. setval alone would
// outlive a rollback; after ALTER SEQUENCE … RESTART, which gives the sequence a
// new file, it works on that file and is undone with it.
func (l *loader) sequences(states []schema.Sequence) error {
	now, err := catalog.Sequences(l.ctx, l.tx, l.cat.Schema.Sequences)
	if err != nil {
		return err
	}
	want := map[schema.Name]schema.Sequence{}
	for _, s := range states {
		want[s.Name] = s
	}
	var restart []string
	var set []schema.Sequence
	for _, s := range now {
		state, ok := want[s.Name]
		if ok && state == s {
			continue
		}
		restart = append(restart, "ALTER SEQUENCE "+catalog.Ident(s.Name)+" RESTART")
		if ok {
			set = append(set, state)
		}
	}
	if err := l.execAll(restart); err != nil {
		return err
	}
	return catalog.SetSequences(l.ctx, l.tx, set)
}

func (l *loader) exec(sql string) error {
	_, err := l.tx.Exec(l.ctx, sql)
	return err
}

// execAll sends all statements in one round trip.
func (l *loader) execAll(sql []string) error {
	if len(sql) == 0 {
		return nil
	}
	return l.tx.Conn().PgConn().Exec(l.ctx, strings.Join(sql, ";\n")).Close()
}
