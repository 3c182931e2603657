package snapshot

import (
	"cmp"
	"log/slog"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/option"
	"github.com/groundhogdb/groundhog/internal/snapfile"
	"github.com/groundhogdb/groundhog/internal/testdb"
)

// The options of the single functions. Each function takes only its own type,
// so that an option in the wrong place does not compile.
type (
	// StoreOption is an option of [NewStore].
	StoreOption interface{ applyStore(*settings) }
	// CreateOption is an option of [Create] and [Store.Create].
	CreateOption interface{ applyCreate(*createConfig) }
	// RestoreOption is an option of [Restore] and [Store.Restore].
	RestoreOption interface{ applyRestore(*restoreConfig) }
	// EnsureOption is an option of [Ensure] and [Store.Ensure].
	EnsureOption interface{ applyEnsure(*ensureConfig) }
	// CleanOption is an option of [Clean] and [Store.Clean].
	CleanOption interface{ applyClean(*cleanConfig) }
)

// Option is an option of every function of this package.
type Option interface {
	StoreOption
	CreateOption
	RestoreOption
	EnsureOption
	CleanOption
	ChangesOption
	CloneOption
}

type createConfig struct {
	settings
	description string
	replace     bool
	builder     string
	maker       testdb.Maker // of a database that fixtures made; else nil
}

type restoreConfig struct {
	settings
	mismatch    Policy
	skipMissing bool
	terminate   bool
	maker       testdb.Maker // of a database that fixtures made; else nil
}

type ensureConfig struct {
	createConfig
	version string
	maxAge  time.Duration
}

type cleanConfig struct{ settings }

type changesConfig struct {
	settings
	ignored []string
	limit   int   // pairs of a table; 0: all
	most    int64 // rows of a file that is compared; 0: any
}

type cloneConfig struct{ settings }

// CloneOption is an option of [Clone] and [Store.Clone].
type CloneOption interface{ applyClone(*cloneConfig) }

// ChangesOption is an option of [Changes], [RequireUnchanged], [RequireChanges] and
// [Store.Changes].
type ChangesOption interface{ applyChanges(*changesConfig) }

type storeOption func(*settings)

func (o storeOption) applyStore(c *settings) { o(c) }

func (o storeOption) applyCreate(c *createConfig) { o(&c.settings) }

func (o storeOption) applyRestore(c *restoreConfig) { o(&c.settings) }

func (o storeOption) applyEnsure(c *ensureConfig) { o(&c.settings) }

func (o storeOption) applyClean(c *cleanConfig) { o(&c.settings) }

func (o storeOption) applyChanges(c *changesConfig) { o(&c.settings) }

func (o storeOption) applyClone(c *cloneConfig) { o(&c.settings) }

// configure applies the options of one call to c, its copy of the store's settings,
// and settles what they left open. What is wrong with them is in c.faults.
func configure[O any](c *settings, options []O, apply func(O)) {
	option.Each(options, &c.faults, apply)
	if c.logger == nil {
		c.logger = discard
	}
	switch {
	case c.dirNamed && strings.TrimSpace(c.dir) == "":
		c.faults.Add(msg.DirEmpty)
	case c.dir == "":
		c.dir = defaultDir(c.logger, c.lang)
	}
	if dir, err := filepath.Abs(c.dir); err == nil { // a test may change the working directory later
		c.dir = dir
	}
	c.scope = checkedScope(c.scope, &c.faults)
}

// WithDir keeps the snapshots in dir. Without it they are in the folder that
// the environment variable GROUNDHOG_DIR names, else in testdata/snapshots of
// the package under test, else, where that can't be written, in the user's
// cache folder. Packages that share a folder share their snapshots.
func WithDir(dir string) Option {
	return storeOption(func(c *settings) { c.dir, c.dirNamed = dir, true })
}

// AllowDatabase lets the database with exactly this name be changed although no
// word of its name says that it is for tests. A name with one of the words prod,
// production, live or staging stays refused.
func AllowDatabase(name string) Option {
	return storeOption(func(c *settings) {
		if name == "" {
			c.faults.Add(msg.OptionEmptyName, "AllowDatabase")
		}
		c.allowed = slices.Concat(c.allowed, []string{name})
	})
}

// WithLogger sends log lines to l, or nowhere if l is nil. By default the functions that
// take a testing.TB log to that test, and a [Store] is silent. A benchmark shows its log
// always: WithLogger(nil) keeps it short.
func WithLogger(l *slog.Logger) Option { return storeOption(func(c *settings) { c.logger = l }) }

// WithProgress turns progress output for operations longer than a second on or off: a
// bar where standard error is a terminal, else a log line every few seconds. The default
// is on.
func WithProgress(show bool) Option {
	return storeOption(func(c *settings) { c.noProgress = !show })
}

// WithLanguage sets the language of errors and log lines: "en" or "ja". The default is
// that of the environment variable GROUNDHOG_LANG, else English.
func WithLanguage(lang string) Option {
	return storeOption(func(c *settings) { c.lang = option.Language(lang, &c.faults) })
}

// WithRetry sets how often an operation is tried when the connection is lost, and the
// waits in between; the last one is for all that follow. The default is 3 attempts,
// with waits of 2 s and 4 s; further waits are 8 s, then 10 s. WithRetry(1) tries once.
// Fewer attempts than one, or a negative wait, is [ErrInvalidArgument].
//
// Only connection faults are retried (SQLSTATE class 08, 53300, 57P01 to 57P03, broken
// sockets, refused connections), with the whole transaction. Each retry is a line in the
// log.
func WithRetry(attempts int, waits ...time.Duration) Option {
	return storeOption(func(c *settings) { c.retry.Set(attempts, waits, &c.faults) })
}

// LogChanges turns on or off that a test that fails logs what it changed: 20 rows at
// most, which may hold personal data. The default is on, unless the environment variable
// GROUNDHOG_LOG_CHANGES is 0.
func LogChanges(on bool) Option { return storeOption(func(c *settings) { c.noChanges = !on }) }

// CreateEnsureOption is an option of [Create] and of [Ensure].
type CreateEnsureOption interface {
	CreateOption
	EnsureOption
}

type describe string

func (o describe) applyCreate(c *createConfig) { c.description = string(o) }

func (o describe) applyEnsure(c *ensureConfig) { c.description = string(o) }

// Description keeps a text for people in the snapshot; see [Info].
func Description(text string) CreateEnsureOption { return describe(text) }

type createOption func(*createConfig)

func (o createOption) applyCreate(c *createConfig) { o(c) }

// Replace lets [Create] replace a snapshot of the same name. The former file
// stands until the new one is whole.
func Replace() CreateOption { return createOption(func(c *createConfig) { c.replace = true }) }

type restoreOption func(*restoreConfig)

func (o restoreOption) applyRestore(c *restoreConfig) { o(c) }

// Policy says what [Restore] does with a snapshot of another schema.
type Policy string

// The policies.
const (
	// Fail refuses any difference: [ErrSchemaMismatch].
	Fail Policy = "fail"
	// Warn loads the rows, with a log line and [Restored].Differences, when every
	// value of the file has a place and every column that must not be null gets
	// a value. Tables that the snapshot does not know are emptied.
	Warn Policy = "warn"
)

// OnSchemaMismatch says what [Restore] does with a snapshot of another schema.
// Without it that is [Fail]. To have the snapshot built again there is [Ensure].
func OnSchemaMismatch(p Policy) RestoreOption {
	return restoreOption(func(c *restoreConfig) { c.mismatch = p })
}

// SkipMissing lets [Restore] with [Warn] leave out the values of columns, and the
// rows of tables, that are gone from the database.
func SkipMissing() RestoreOption {
	return restoreOption(func(c *restoreConfig) { c.skipMissing = true })
}

// TerminateBlockers lets [Restore] end the sessions of others that hold locks on the
// database's tables, and roll their prepared transactions back, rather than fail
// after it has waited for them. They get a tenth of a second to end by themselves. The
// role must be theirs, or a superuser; other restores are not ended.
//
// Where the database is to be replaced by a copy, all sessions in it are ended, those that are
// idle at once, and all prepared transactions in it are rolled back. Connections that the
// test itself holds are no exception.
func TerminateBlockers() RestoreOption {
	return restoreOption(func(c *restoreConfig) { c.terminate = true })
}

type ensureOption func(*ensureConfig)

func (o ensureOption) applyEnsure(c *ensureConfig) { o(c) }

// Version says which version of the builder made the snapshot: [Ensure] builds
// again when it changes. Without it, [Ensure] builds again whenever a Go file of
// the package under test changes.
func Version(v string) EnsureOption {
	return ensureOption(func(c *ensureConfig) { c.version = v })
}

// MaxAge makes [Ensure] build again when the snapshot is older than d. Without
// it that is 24 hours, since seeds speak of today. d must be positive; for
// snapshots that never age there is [Forever].
func MaxAge(d time.Duration) EnsureOption {
	return ensureOption(func(c *ensureConfig) { c.maxAge = d })
}

// Forever makes [Ensure] take the snapshot at any age. It suits committed
// snapshots whose builder uses a fixed clock.
const Forever = forever(0)

type forever int

func (forever) applyEnsure(c *ensureConfig) { c.maxAge = noAge }

const (
	defaultMaxAge = 24 * time.Hour
	noAge         = time.Duration(1<<63 - 1)
)

// ScopeOption says which rows a snapshot is about. All others are neither saved
// nor changed by a restore. The scope is kept in the file, so [Restore] needs no
// such option. Given to [NewStore], it holds for all calls; those of a call are
// added to it.
//
// A row whose key is in the snapshot belongs to it, whatever its flag says by the
// time of the restore, and is put back. Foreign keys between rows in the scope
// and others are checked before the restore is committed; those that would point
// nowhere make it fail. Sequences go to the saved value, or past the highest
// value that the other rows use.
type ScopeOption interface {
	StoreOption
	CreateOption
	EnsureOption
	CleanOption
}

type scopeOption func(*snapfile.Scope)

func (o scopeOption) applyStore(c *settings) { o(&c.scope) }

func (o scopeOption) applyCreate(c *createConfig) { o(&c.scope) }

func (o scopeOption) applyEnsure(c *ensureConfig) { o(&c.scope) }

func (o scopeOption) applyClean(c *cleanConfig) { o(&c.scope) }

// Rows limits a snapshot to the rows whose boolean column is true. Tables without
// that column are left alone, unless [RowsOf] names them.
func Rows(column string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) { s.Rows = cmp.Or(column, " ") })
}

// RowsOf limits a snapshot to the rows of a table for which predicate, a boolean
// SQL expression on its columns, is true. The search path is empty while it is
// evaluated: a function or another table in it must be qualified. Names inside the
// bodies of its functions resolve as in the database's own sessions. It must not
// come from anybody but the author of the tests. table is written as in
// [Tables], without wildcards.
func RowsOf(table, predicate string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) {
		s.RowsOf = append(slices.Clone(s.RowsOf), snapfile.RowsOf{Table: table, Predicate: predicate})
	})
}

// Tables limits a snapshot to the tables that match one of the patterns, which
// are those of [path.Match]. A pattern with a dot is matched against the
// qualified name ("app.*"), one without against the name in any schema
// ("office*"). Where a part of the name holds a dot or a quote itself, the pattern may
// have it in double quotes, as Info and Changes do (`"v1.0".users`). The partitions of a
// table go with it. A table that one of them references must be among them, and each
// pattern must match a table.
func Tables(patterns ...string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) { s.Tables = slices.Concat(s.Tables, orBlank(patterns)) })
}

// Exclude leaves the tables that match one of the patterns out of a snapshot; see
// [Tables]. A table that another one references can't be excluded without that.
func Exclude(patterns ...string) ScopeOption {
	return scopeOption(func(s *snapfile.Scope) { s.Exclude = slices.Concat(s.Exclude, orBlank(patterns)) })
}

// orBlank makes a missing argument one that checkedScope refuses.
func orBlank(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{""}
	}
	return patterns
}

type changesOption func(*changesConfig)

func (o changesOption) applyChanges(c *changesConfig) { o(c) }

// Ignoring leaves columns out of [Changes], such as those with the time of a write:
// "updated_at" in all tables, "offices.updated_at" in one, also with the schema
// before it. Each part is a pattern of [path.Match]. A table of which all columns are
// ignored ("audit_log.*") is left out.
func Ignoring(columns ...string) ChangesOption {
	return changesOption(func(c *changesConfig) { c.ignored = slices.Concat(c.ignored, columns) })
}

// checkIgnored refuses patterns that can't be meant.
func (c *changesConfig) checkIgnored() {
	for _, p := range c.ignored {
		if _, err := path.Match(p, ""); err != nil || strings.TrimSpace(p) == "" {
			c.faults.AddCause(err, msg.ScopePattern, "Ignoring", p)
		}
	}
}
