package catalog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// digestedFacts are what [Digest] looks at besides watchedFacts and unwatchedFacts.
var digestedFacts = []fact{
	{name: "column of the system", row: "a", catalog: "pg_attribute", rel: "a.attrelid", columns: "a.attrelid, a.attnum, a.attacl", where: "a.attnum < 0 AND a.attacl IS NOT NULL"},
	{name: "partitioned", row: "p", catalog: "pg_partitioned_table", rel: "p.partrelid", columns: "p.partrelid, p.xmin"},
	{name: "event trigger", row: "e", catalog: "pg_event_trigger", columns: "e.oid, e.evtname, e.evtevent, e.evtowner, e.evtfoid, e.evtenabled, e.evttags",
		others: "e.evtfoid NOT IN (SELECT h.oid FROM hidden_functions h)"},
	{name: "aggregate", row: "a", catalog: "pg_aggregate", columns: "a.aggfnoid::pg_catalog.oid, a.xmin"},
	{name: "range", row: "r", catalog: "pg_range", columns: "r.rngtypid, r.xmin"},
	{name: "language", row: "l", catalog: "pg_language", columns: "l.oid, l.xmin"},
	{name: "transform", row: "t", catalog: "pg_transform", columns: "t.oid, t.xmin"},
	{name: "access method", row: "a", catalog: "pg_am", columns: "a.oid, a.xmin"},
	{name: "operator of access method", row: "a", catalog: "pg_amop", columns: "a.oid, a.xmin"},
	{name: "function of access method", row: "a", catalog: "pg_amproc", columns: "a.oid, a.xmin"},
	{name: "family of operators", row: "o", catalog: "pg_opfamily", space: "o.opfnamespace", columns: "o.oid, o.xmin"},
	{name: "parser", row: "p", catalog: "pg_ts_parser", space: "p.prsnamespace", columns: "p.oid, p.xmin"},
	{name: "template", row: "t", catalog: "pg_ts_template", space: "t.tmplnamespace", columns: "t.oid, t.xmin"},
	{name: "search of token", row: "m", catalog: "pg_ts_config_map", columns: "m.mapcfg, m.maptokentype, m.mapseqno, m.xmin"},
	{name: "wrapper", row: "w", catalog: "pg_foreign_data_wrapper", columns: "w.oid, w.xmin"},
	{name: "server", row: "s", catalog: "pg_foreign_server", columns: "s.oid, s.xmin"},
	{name: "foreign table", row: "f", catalog: "pg_foreign_table", rel: "f.ftrelid", columns: "f.ftrelid, f.xmin"},
	// The catalog itself is for superusers. Others see the options of those that they may change.
	{name: "user mapping", row: "m", catalog: "pg_user_mappings", columns: "m.umid, m.srvid, m.umuser, m.umoptions"},
	{name: "initial privileges", row: "p", catalog: "pg_init_privs", columns: "p.objoid, p.classoid, p.objsubid, p.xmin"},
	{name: "security label", row: "l", catalog: "pg_seclabel", columns: "l.objoid, l.classoid, l.objsubid, l.provider, l.xmin"},
	{name: "subscription", row: "s", catalog: "pg_subscription", columns: "s.oid",
		where: "s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"},
	{name: "subscribed table", row: "s", catalog: "pg_subscription_rel", columns: "s.srsubid, s.srrelid, s.srsubstate"},
	{name: "large object", row: "m", catalog: "pg_largeobject_metadata", columns: "m.oid, m.xmin"},
	// What belongs to an extension, and to which column a sequence. The other dependencies
	// follow from what depends.
	{name: "member", row: "d", catalog: "pg_depend", columns: "d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, d.refobjsubid, d.deptype",
		where:  `(d.deptype IN ('e', 'x') OR d.deptype IN ('a', 'i') AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)`,
		others: `(d.classid <> 'pg_catalog.pg_class'::pg_catalog.regclass OR d.objid NOT IN (SELECT h.oid FROM hidden h))`},
}

// undigested are the catalogs of a database at which Digest does not look.
var undigested = []string{
	"pg_statistic", "pg_statistic_ext_data", // what ANALYZE found
	"pg_largeobject",  // see contents
	"pg_user_mapping", // see pg_user_mappings
}

// digested is a row of one catalog: how many there are, and what they tell. Of what xmin
// tells, the rows that initdb made are counted only.
func (f fact) digested() string {
	filter := ""
	if strings.Contains(f.columns, ".xmin") {
		filter = " FILTER (WHERE " + f.row + ".xmin <> '1'::pg_catalog.xid)" // BootstrapTransactionId
	}
	var more []string
	if f.rel != "" {
		more = append(more, f.rel+" NOT IN (SELECT h.oid FROM hidden h)")
	}
	if f.space != "" {
		more = append(more, f.space+" NOT IN (SELECT h.oid FROM hidden_spaces h)")
	}
	if f.others != "" {
		more = append(more, f.others)
	}
	columns := f.columns
	if f.more != "" {
		columns += ", " + f.more
	}
	return fmt.Sprintf("pg_catalog.concat_ws(' ', '%s', '%s', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', %s), 0))%s)", f.catalog, f.name, columns, filter) +
		f.table() + f.condition(more...)
}

// digestSQL is the query of Digest. What is hidden is groundhog's, or of one session, or
// follows a table, as what is kept out of line does.
var digestSQL = `WITH RECURSIVE hidden_spaces AS MATERIALIZED (
		SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'pg_toast' OR n.nspname ~ '^pg_(toast_)?temp_' OR n.nspname = '` + OwnSchema + `'
			AND EXISTS (SELECT FROM pg_catalog.pg_class o WHERE o.relnamespace = n.oid AND o.relname IN ('state', 'origin'))
	), hidden AS MATERIALIZED (
		SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace IN (SELECT h.oid FROM hidden_spaces h)
	), hidden_functions AS MATERIALIZED (
		SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace IN (SELECT h.oid FROM hidden_spaces h)
	), facts(f) AS (
		` + union(slices.DeleteFunc(slices.Concat(watchedFacts, unwatchedFacts, digestedFacts), func(f fact) bool { return f.covered }), fact.digested) + `
	), held AS (
		SELECT c.oid FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS t(space, name)
			JOIN pg_catalog.pg_namespace n ON n.nspname = t.space JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.name
		UNION
		SELECT i.inhrelid FROM held h JOIN pg_catalog.pg_inherits i ON i.inhparent = h.oid JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition
	), owners AS MATERIALIZED (
		SELECT d.objid AS seq, CASE d.deptype WHEN 'e' THEN 0 ELSE d.refobjid END AS rel FROM pg_catalog.pg_class s
			JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid
			WHERE s.relkind = 'S' AND (d.deptype = 'e' OR d.deptype IN ('a', 'i') AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)
	), contents AS (
		SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relkind,
			pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT pg_catalog.row_security_active(c.oid) AS readable
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid` + made + ` AND c.relkind IN ('r', 'S') AND c.relpersistence <> 't' AND c.relnamespace NOT IN (SELECT h.oid FROM hidden_spaces h)
			AND c.oid NOT IN (SELECT h.oid FROM held h)
			AND (c.relkind = 'r' OR c.oid IN (SELECT o.seq FROM owners o) AND c.oid NOT IN (SELECT o.seq FROM owners o WHERE o.rel IN (SELECT h.oid FROM held h)))
		UNION ALL
		SELECT 0, 'pg_catalog.pg_largeobject', 'r', pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT') WHERE EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
	)
	SELECT pg_catalog.string_agg(f, ';' ORDER BY f), ARRAY(SELECT CASE WHEN NOT c.readable THEN NULL
		WHEN c.relkind = 'S' THEN pg_catalog.concat('SELECT pg_catalog.concat_ws('' '', ', c.oid, ', last_value, is_called) FROM ', c.name)
		ELSE pg_catalog.concat('SELECT pg_catalog.concat_ws('' '', ', c.oid, ', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(t.xmin::pg_catalog.text, 0))) FROM ONLY ', c.name, ' t') END
		FROM contents c ORDER BY c.oid) FROM facts`

// Digest returns a digest of all that the database holds besides the rows of the held
// tables, which may be named by the tables whose partitions they are, and the states of
// their sequences and of those that belong to no table. A held sequence may be named too.
// What groundhog keeps and its triggers do not count, nor what TRUNCATE, VACUUM, ANALYZE
// and REINDEX change. Of two databases of one server with the same digest, all else is the
// same; that of two that are no copies of each other differs. So does that of a database
// of which the role may not see all: it is another one each time.
//
// It is one query, and another one where there is a table or a sequence that is not held.
func Digest(ctx context.Context, q Querier, held []schema.Name) (string, error) {
	spaces, names := split(held)
	var facts string
	var contents []*string
	if err := q.QueryRow(ctx, digestSQL, spaces, names).Scan(&facts, &contents); err != nil {
		return "", fmt.Errorf("read the catalogs: %w", err)
	}
	var queries []string
	for _, sql := range contents {
		if sql == nil {
			return rand.Text(), nil
		}
		queries = append(queries, *sql)
	}
	if len(queries) > 0 {
		var more string
		if err := q.QueryRow(ctx, "SELECT pg_catalog.string_agg(f, ';' ORDER BY f) FROM ("+strings.Join(queries, "\nUNION ALL ")+") c(f)").Scan(&more); err != nil {
			return "", fmt.Errorf("read the tables that are not held: %w", err)
		}
		facts += "\n" + more
	}
	sum := sha256.Sum256([]byte(facts))
	return hex.EncodeToString(sum[:]), nil
}
