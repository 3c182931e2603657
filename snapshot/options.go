package snapshot

import (
	"log/slog"
	"slices"
	"time"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/snapfile"
)

// The options of the single functions. Each function takes only its own type,
// so that an option in the wrong place does not compile.
type (
	// StoreOption is an option of [NewStore].
	StoreOption interface{ store(*storeConfig) }
	// CreateOption is an option of [Create] and [Store.Create].
	CreateOption interface{ create(*createConfig) }
	// RestoreOption is an option of [Restore] and [Store.Restore].
	RestoreOption interface{ restore(*restoreConfig) }
	// EnsureOption is an option of [Ensure] and [Store.Ensure].
	EnsureOption interface{ ensure(*ensureConfig) }
	// CleanOption is an option of [Clean] and [Store.Clean].
	CleanOption interface{ clean(*cleanConfig) }
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

type storeConfig struct {
	dir     string // absolute
	allowed []string
	logger  *slog.Logger
	lang    msg.Lang
	scope   snapfile.Scope

	dirNamed   bool // by an option
	noProgress bool
	step       bool            // of another operation; see storeConfig.routine
	noChanges  bool            // in the log of a test that failed
	waits      []time.Duration // between attempts; none: the usual ones
}

type createConfig struct {
	storeConfig
	description string
	replace     bool
	builder     string
}

type restoreConfig struct {
	storeConfig
	mismatch    Policy
	skipMissing bool
	terminate   bool
}

type ensureConfig struct {
	createConfig
	version     string
	maxAge      time.Duration
	identity    catalog.Identity
	origin      string          // the file of it
	tables      []catalog.Table // the live ones that are in scope
	fingerprint string          // of their schema
}

type cleanConfig struct{ storeConfig }

type storeOption func(*storeConfig)

func (o storeOption) store(c *storeConfig)     { o(c) }
func (o storeOption) create(c *createConfig)   { o(&c.storeConfig) }
func (o storeOption) restore(c *restoreConfig) { o(&c.storeConfig) }
func (o storeOption) ensure(c *ensureConfig)   { o(&c.storeConfig) }
func (o storeOption) clean(c *cleanConfig)     { o(&c.storeConfig) }

// WithDir keeps the snapshots in dir. Without it they are in the folder that
// the environment variable GROUNDHOG_DIR names, else in testdata/snapshots of
// the package under test, else, where that can't be written, in the user's
// cache folder. Packages that share a folder share their snapshots.
func WithDir(dir string) Option {
	return storeOption(func(c *storeConfig) { c.dir, c.dirNamed = dir, true })
}

// AllowDatabase lets the database with exactly this name be changed although no
// word of its name says that it is for tests. A name with one of the words prod,
// production, live or staging stays refused.
func AllowDatabase(name string) Option {
	return storeOption(func(c *storeConfig) { c.allowed = slices.Concat(c.allowed, []string{name}) })
}

// WithLogger sends log lines to l. Without it the functions that take a
// testing.TB log to that test, and a [Store] is silent. A benchmark shows its log
// always: slog.New(slog.DiscardHandler) keeps it short.
func WithLogger(l *slog.Logger) Option { return storeOption(func(c *storeConfig) { c.logger = l }) }

// WithProgress says whether work of more than a second shows how far it is: as a
// bar where standard error is a terminal, else as a log line every few seconds.
// Without it, it does.
func WithProgress(on bool) Option { return storeOption(func(c *storeConfig) { c.noProgress = !on }) }

// WithLanguage chooses the language of errors and log lines. Without it the
// environment variable GROUNDHOG_LANG does, else they are English. There are "en"
// and "ja"; any other is [ErrInvalidArgument].
func WithLanguage(lang string) Option {
	return storeOption(func(c *storeConfig) { c.lang = msg.Lang(lang) })
}

// CreateEnsureOption is an option of [Create] and of [Ensure].
type CreateEnsureOption interface {
	CreateOption
	EnsureOption
}

type describe string

func (o describe) create(c *createConfig) { c.description = string(o) }
func (o describe) ensure(c *ensureConfig) { c.description = string(o) }

// Description keeps a text for people in the snapshot; see [Info].
func Description(text string) CreateEnsureOption { return describe(text) }

type createOption func(*createConfig)

func (o createOption) create(c *createConfig) { o(c) }

// Replace lets [Create] replace a snapshot of the same name. The former file
// stands until the new one is whole.
func Replace() CreateOption { return createOption(func(c *createConfig) { c.replace = true }) }

type restoreOption func(*restoreConfig)

func (o restoreOption) restore(c *restoreConfig) { o(c) }

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
func TerminateBlockers() RestoreOption {
	return restoreOption(func(c *restoreConfig) { c.terminate = true })
}

// LogChanges says whether a test that fails logs what it changed: 20 rows at most,
// which may hold personal data. Without it, it does, unless the environment variable
// GROUNDHOG_LOG_CHANGES is 0.
func LogChanges(on bool) Option { return storeOption(func(c *storeConfig) { c.noChanges = !on }) }

type ensureOption func(*ensureConfig)

func (o ensureOption) ensure(c *ensureConfig) { o(c) }

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

func (forever) ensure(c *ensureConfig) { c.maxAge = noAge }

const (
	defaultMaxAge = 24 * time.Hour
	noAge         = time.Duration(1<<63 - 1)
)
