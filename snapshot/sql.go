package snapshot

import (
	"fmt"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
)

// catalogOnly is the search path under which values of types such as regclass are
// written with their schemas.
const catalogOnly = "pg_catalog"

// localPath is the statement that gives a transaction a search path.
func localPath(path string) string {
	return "SELECT pg_catalog.set_config('search_path', " + catalog.Literal(path) + ", true)"
}

// writing is what a database is changed in.
var writing = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}

// readOnly is what a snapshot is read in: one state of the database, for which
// no session has to wait.
const readOnly = "REPEATABLE READ, READ ONLY"

// readSettings are those under which tables are read.
var readSettings = func() map[string]string {
	out := maps.Clone(catalog.CopySettings)
	out["search_path"] = catalogOnly // every name in a value comes out qualified
	out["jit"] = "off"
	out["lock_timeout"] = fmt.Sprint(lockWait.Milliseconds())
	return out
}()

// compareSettings are those under which a database is compared.
var compareSettings = func() map[string]string {
	out := maps.Clone(catalog.CopySettings)
	out["search_path"] = catalogOnly
	return out
}()

// writeSettings are those under which tables are loaded.
var writeSettings = func() map[string]string {
	out := maps.Clone(catalog.CopySettings)
	out["synchronous_commit"] = "off" // a restored database that a crash loses is restored again
	out["jit"] = "off"
	for _, method := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
		out[method] = "on" // see track.SessionSettings
	}
	out["max_parallel_workers_per_gather"] = "2"
	return out
}()

func identifiers(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}

func columnsOf(alias string, names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = alias + "." + pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(out, ", ")
}

func joinConditions(a, b string) string {
	if a == "" {
		return b
	}
	return "(" + a + ") AND " + b
}
