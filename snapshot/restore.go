package snapshot

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/bubble"
	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// Restore brings the database back to the snapshot called name: afterwards every
// table has exactly the snapshot's rows, and every sequence its state.
// Connections stay usable. User triggers, event triggers and rules do not fire;
// materialised views are refreshed, so that they show the same after each restore.
// Of a snapshot with a scope, only the rows in it are changed: see [ScopeOption].
//
// It is one transaction: on any error the database is exactly as it was. A
// missing file is [ErrNotFound]; a damaged one [ErrCorrupt], found before a row
// is changed; a database whose schema is not the snapshot's is
// [ErrSchemaMismatch], difference by difference, unless [OnSchemaMismatch] says
// otherwise; locks that others hold for more than 5 s are [ErrLocked], with who
// holds them. When the connection is lost, the whole transaction is tried again,
// three times in all, with waits of 2 s and 4 s; then it is [ErrConnection].
//
// A restore costs what was changed since the database was last as the snapshot has
// it: a journal in a schema called groundhog, in which triggers note what is written,
// by whomever, over any connection, is undone. The first [Store.Create] or Restore
// makes the journal. A file that is neither what the database was last restored to
// nor what was last created of it is loaded: all tables are emptied and filled, at a
// cost of what the file holds.
//
// The journal is not trusted blindly: what it can't undo with certainty is loaded
// again, table by table or as a whole, as after TRUNCATE, a change of the schema or
// a crash of the server; see [Restored]. A table that can't have a journal, as one of
// 1,600 columns, is loaded when it was written to; one on which the server refuses
// triggers, each time. With materialised views, all of them are
// made anew once anything was written. Writers in flight are waited for, since
// what they commit later would show up in the next test: [TerminateBlockers] ends
// them instead. The tables' own writes get slower: by some 50 to 100 µs for each
// transaction and table, updates of a thousand rows by half, and deletes of so many
// to between two and three times. [Store.Untrack] removes it all.
//
// Subscribers and logical slots hear of a restore as of any other transaction: of an
// undo, each row that was changed; of a load, all rows. A published table whose rows the
// server does not let be deleted, having no key for instance, has all its columns as
// replica identity meanwhile, which waits for readers in open transactions too.
//
// A role that may set session_replication_role (a superuser, or who was granted
// it) has a journal, and loads without checking each row's foreign keys. Any other
// must own the tables, and always loads all of them, with foreign keys checked, which takes
// about twice the time. Event triggers stay awake there: rows that they insert into the
// snapshot's tables meanwhile are removed, anything else that they do to them is an
// error. Memory does not grow with the
// data.
//
// Not reset is the schema (a test that changes it needs a [Store.Clone]): columns,
// types, keys, foreign keys and sequences are compared; triggers, checks, defaults,
// views, functions and other indexes are not looked at. Nor are the session state of
// pooled connections (SET, LISTEN, temporary tables, advisory locks, numbers taken
// ahead from a sequence with CACHE), ALTER DATABASE and ALTER ROLE, and the physical
// order of rows.
func (s *Store) Restore(ctx context.Context, name string, opts ...RestoreOption) (Restored, error) {
	if err := s.made(); err != nil {
		return Restored{}, err
	}
	if bubble.In() {
		return bubble.Do(ctx, func(ctx context.Context) (Restored, error) { return s.Restore(ctx, name, opts...) })
	}
	cfg := restoreConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o RestoreOption) { o.restore(&cfg) }); err != nil {
		return Restored{}, err
	}
	if cfg.mismatch != "" && cfg.mismatch != Fail && cfg.mismatch != Warn {
		return Restored{}, errs.New(ErrInvalidArgument, msg.UnknownPolicy.In(cfg.lang, string(cfg.mismatch)), nil)
	}
	path, err := cfg.path(name)
	if err != nil {
		return Restored{}, err
	}
	f, err := cfg.look(path, name)
	if err != nil {
		return Restored{}, err
	}
	defer f.close()
	return s.bring(ctx, &cfg, f)
}

// Clean empties every table that a snapshot would hold, and puts every sequence
// back to its start. With a [ScopeOption] it removes the rows in scope only, and
// sequences go past what the other rows use. It is one transaction, like
// [Store.Restore], and needs the same rights.
func (s *Store) Clean(ctx context.Context, opts ...CleanOption) error {
	if err := s.made(); err != nil {
		return err
	}
	if bubble.In() {
		return bubble.Err(ctx, func(ctx context.Context) error { return s.Clean(ctx, opts...) })
	}
	cfg := cleanConfig{storeConfig: s.storeConfig}
	if err := apply(&cfg.storeConfig, opts, func(o CleanOption) { o.clean(&cfg) }); err != nil {
		return err
	}
	began := time.Now()
	err := cfg.repeat(ctx, "", func() error {
		return s.inSession(ctx, &cfg.storeConfig, func(se *session) error {
			return s.resolving(ctx, &cfg.storeConfig, se, func() error {
				return s.locking(ctx, &cfg.storeConfig, se, "", false, func() error { return s.cleanIn(ctx, &cfg, se) })
			})
		})
	})
	if err == nil {
		forgetBaseline(s.pool)
		cfg.logger.InfoContext(ctx, msg.DatabaseCleaned.In(cfg.lang), "took", time.Since(began).Round(100*time.Microsecond))
	}
	return cfg.explain(err, msg.CantClean)
}

func (s *Store) cleanIn(ctx context.Context, cfg *cleanConfig, se *session) error {
	return s.changeIn(ctx, &cfg.storeConfig, se, func(tx pgx.Tx, powers catalog.Powers, _ bool) error {
		l := loader{ctx: ctx, store: s, se: se, tx: tx, powers: powers, cfg: &restoreConfig{storeConfig: cfg.storeConfig}}
		if err := l.readCatalog(cfg.scoped(), true); err != nil {
			return err
		}
		_, err := l.replace(nil, nil)
		return err
	})
}

// writeSettings are those under which tables are loaded.
var writeSettings = func() map[string]string {
	out := maps.Clone(catalog.CopySettings)
	out["synchronous_commit"] = "off" // a restored database that a crash loses is restored again
	out["jit"] = "off"
	for _, method := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
		out[method] = "on" // see track.Settings
	}
	out["max_parallel_workers_per_gather"] = "2"
	return out
}()

// match reads the schema and compares it with the snapshot's.
func (l *loader) match(m *snapfile.Manifest, name string) error {
	if err := l.readCatalog(m.Scope, false); err != nil {
		return err
	}
	if l.sel.Schema.Fingerprint() == m.Fingerprint {
		l.leaveOutside(m, name)
		return nil
	}
	l.remember(m)
	lang := l.cfg.lang
	var noPlace, noValue []string
	for _, d := range schema.Diff(m.Schema, l.sel.Schema, lang) {
		l.differences = append(l.differences, d.Text)
		switch d.Effect {
		case schema.NoPlace:
			noPlace = append(noPlace, d.Text)
		case schema.NoValue:
			noValue = append(noValue, d.Text)
		}
	}
	refuse := func(text msg.Text, differences []string) error {
		return errs.New(ErrSchemaMismatch, text.In(lang, name, "\n  "+strings.Join(differences, "\n  ")), nil)
	}
	if text := l.beforeExtensions(m); text != "" {
		l.differences = append(l.differences, text)
	}
	switch {
	case l.cfg.mismatch != Warn:
		return refuse(msg.SchemaMismatch, l.differences)
	case len(noValue) > 0:
		return refuse(msg.SchemaNoValue, noValue)
	case len(noPlace) > 0 && !l.cfg.skipMissing:
		return refuse(msg.SchemaNoPlace, noPlace)
	}
	l.cfg.logger.WarnContext(l.ctx, msg.SchemaDiffers.In(lang), "snapshot", name, "differences", strings.Join(l.differences, "; "))
	l.leaveOutside(m, name)
	return nil
}

// remember keeps the types of the file's columns.
func (l *loader) remember(m *snapfile.Manifest) {
	l.saved = map[schema.Name]map[string]string{}
	for _, t := range m.Schema.Tables {
		l.saved[t.Name] = typesOf(t)
	}
}

// mayChange refuses what the role may not do, before anything is tried.
func (l *loader) mayChange() error {
	for _, t := range l.sel.Tables {
		if !t.Owned {
			return errs.New(nil, msg.NotOwner.In(l.cfg.lang, l.powers.Role, t.Name.String()), nil)
		}
	}
	return nil
}

// rowsMissing says that the server took fewer rows than the snapshot has.
func (l *loader) rowsMissing(t snapfile.Table, got int64) error {
	return errs.New(nil, msg.RowsMissing.In(l.cfg.lang, t.Name.String(), msg.Count(t.Rows), msg.Count(got)), nil)
}
