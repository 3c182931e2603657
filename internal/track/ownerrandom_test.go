package track_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/track"
)

// envSeed sets the seed of TestRandomSchemasOfAnOwner.
const envSeed = "GROUNDHOG_SEED"

const (
	defaultOwnerSteps = 240
	stepsOfASchema    = 60
	ownerShare        = 10 // of the steps of the other random tests, each of which takes a tenth of the time
)

// TestRandomSchemasOfAnOwner runs random statements on random schemas, whose tables belong to
// a role that is no superuser, and goes back after a few of them. All tables, all sequences
// and the states of all triggers are then what they were.
func TestRandomSchemasOfAnOwner(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(envSeed); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	n := defaultOwnerSteps
	if os.Getenv(envSteps) != "" {
		n = max(n, steps()/ownerShare)
	}
	total := ownerShares{ways: ways{why: map[track.Reason]int{}}}
	for done := 0; done < n; done += stepsOfASchema {
		seed := seed + uint64(done/stepsOfASchema)
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			require.Empty(t, randomOwner(t, seed, stepsOfASchema, &total))
		})
	}
	t.Logf("seed %d, %d statements, %d of them refused; %d restores: %d with nothing to do, %d undone at once, %d with unique values set aside, %d in part, %d loaded; tables undone %d, loaded %d; reasons %v",
		seed, total.statements, total.refused, total.restores, total.nothing, total.atOnce, total.setAside, total.inPart, total.void, total.undone, total.reloaded, total.why)
}

// ownerShares counts in which way restores went.
type ownerShares struct {
	ways
	statements, refused, restores, atOnce, setAside, inPart int
}

// asides counts the second tries of an undo.
type asides struct{ n int }

func (a *asides) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "groundhog.restore(") && len(data.Args) == 7 && data.Args[6] == true {
		a.n++
	}
	return ctx
}

func (a *asides) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// randomOwner returns the differences that it found.
func randomOwner(t *testing.T, seed uint64, steps int, total *ownerShares, without ...string) (found []string) {
	r := rand.New(rand.NewPCG(seed, 7))
	g := &randomSchema{r: r}
	sql := g.schema()
	fixtures.Open(t, fixtures.WithSchema(sql))
	w := &world{T: t, url: fixtures.URL(t), rowwise: r.IntN(4) == 0, switched: g.heard}
	w.giveAway()
	w.session()
	second := &asides{}
	config := w.conn.Config()
	config.Tracer = second
	traced, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { traced.Close(context.Background()) })
	w.conn = traced
	w.sql(w.conn, w.asOwner()+"; "+track.SessionSettings(true)+"; SET lock_timeout = '5s'")
	w.mark()
	w.watchTriggers()
	for _, sql := range without {
		w.inTx(func(tx pgx.Tx) { w.sql(tx, sql) })
	}
	writers := []*pgx.Conn{connect(t, w.url), connect(t, w.url)}
	for _, writer := range writers {
		w.sql(writer, "SET lock_timeout = 20") // here one waits for the other, who does nothing meanwhile
	}
	var history []string
	do := func(i int, sql string) {
		_, err := writers[i].Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		total.statements++
		line := fmt.Sprintf("/* %d */ %s;", i, sql)
		if err != nil {
			total.refused++
			line += " -- " + err.Error()
		}
		history = append(history, line)
	}
	end := func(i int, how string) {
		if writers[i].PgConn().TxStatus() != 'I' {
			do(i, how)
		}
	}
	begin := func(i int) {
		do(i, "BEGIN"+pick(r, "", "", " ISOLATION LEVEL REPEATABLE READ", " ISOLATION LEVEL SERIALIZABLE"))
	}
	made := 0
	for done := 0; done < steps && len(found) < 3; {
		history = history[:0]
		old := writers[1].PgConn().TxStatus() != 'I' // it began before the restore
		if !old && r.IntN(3) == 0 {
			begin(1)
		}
		if old || writers[1].PgConn().TxStatus() != 'I' {
			if !old {
				begin(0)
			}
			for n := 2 + r.IntN(5); n > 0; n-- {
				done++
				do(r.IntN(2), strings.TrimSuffix(strings.TrimPrefix(g.statement(), "BEGIN; "), "; COMMIT"))
			}
			for _, i := range r.Perm(2) {
				end(i, pick(r, "COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))
			}
		}
		for n := 1 + r.IntN(6); n > 0; n-- {
			done++
			do(0, g.transaction())
			end(0, "ROLLBACK")
		}
		if r.IntN(6) == 0 {
			begin(1)
			do(1, pick(r, "SELECT pg_current_xact_id()", "SELECT count(*) FROM pg_class"))
		}
		count := ways{why: map[track.Reason]int{}}
		before := second.n
		var wrong []string
		err := w.back(&count, func(tx pgx.Tx) (err error) {
			w.sql(tx, "RESET ROLE") // row level security hides rows from the owner
			if wrong, err = w.differences(tx); err == nil && len(wrong) > 0 {
				_, err = tx.Exec(t.Context(), "UPDATE groundhog.state SET token = NULL", pgx.QueryExecModeSimpleProtocol)
			}
			return err
		})
		if err != nil {
			w.sql(w.conn, "ROLLBACK; RESET ROLE; UPDATE groundhog.state SET token = NULL")
			wrong = append(wrong, "error: "+err.Error())
		}
		w.sql(w.conn, w.asOwner())
		if count.why[track.Damaged] > 0 {
			wrong = append(wrong, "a statement of ours is wrong")
		}
		if len(wrong) > 0 {
			found = append(found, wrong...)
			t.Logf("seed %d: %s\nways %+v\n%s\n-- the statements:\n%s", seed, strings.Join(wrong, "\n"), count, sql, strings.Join(history, "\n"))
		}
		total.add(count, second.n-before)
		if made += count.void; count.void > 0 {
			for _, sql := range without {
				if err := w.tryTx(func(tx pgx.Tx) error { _, err := tx.Exec(t.Context(), sql); return err }); err != nil {
					t.Log(err)
				}
			}
		}
	}
	return found
}

func (s *ownerShares) add(count ways, asides int) {
	s.restores++
	s.nothing += count.nothing
	s.void += count.void
	s.undone += count.undone
	s.reloaded += count.reloaded
	for why, n := range count.why {
		s.why[why] += n
	}
	switch {
	case count.void > 0 || count.nothing > 0:
	case count.reloaded > 0:
		s.inPart++
	case asides > 0:
		s.setAside++
	default:
		s.atOnce++
	}
}

// watchTriggers adds the states of the user's triggers and rules, the replica identities and row
// level security to what is compared.
func (w *world) watchTriggers() {
	w.Helper()
	for name, query := range map[string]string{
		"triggers": `SELECT coalesce(string_agg(concat_ws(' ', g.tgrelid::regclass, g.tgname, g.tgenabled), ',' ORDER BY g.tgrelid, g.tgname), '')
			FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid WHERE NOT g.tgisinternal AND p.pronamespace = 'public'::regnamespace`,
		"rules": `SELECT coalesce(string_agg(concat_ws(' ', w.ev_class::regclass, w.rulename, w.ev_enabled), ',' ORDER BY w.ev_class, w.rulename), '')
			FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class WHERE c.relnamespace = 'public'::regnamespace`,
		"identities": `SELECT coalesce(string_agg(concat_ws(' ', c.oid::regclass, c.relreplident, c.relrowsecurity, c.relforcerowsecurity,
				(SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)), ',' ORDER BY c.oid), '')
			FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')`,
	} {
		w.content[name] = query
		var states string
		require.NoError(w, w.conn.QueryRow(w.Context(), query).Scan(&states))
		w.truth[name] = states
	}
}

// randomSchema makes a schema, and statements on it. Each table has a column n, by which
// statements find rows whatever its key is, and a column v of any text.
type randomSchema struct {
	r      *rand.Rand
	tables []*randomTable
	more   []string // after the tables
	last   []string // after the rows
	heard  []string // the tables that are published
}

type randomTable struct {
	name    string
	key     []randomColumn // of the primary key; none: there is no key
	apart   []randomColumn // each unique by itself
	links   []link
	others  []randomColumn
	parts   bool
	parent  string
	options []string // the rest of the definitions
}

type randomColumn struct {
	name     string
	kind     kindOfValue
	rest     string // of the definition
	fixed    bool   // no value may be given
	nullable bool
}

// kindOfValue is a type, of whose values there is one for each number, which may have several images.
type kindOfValue struct {
	name  string
	value func(r *rand.Rand, k int) string
}

// link is a foreign key.
type link struct {
	columns  []randomColumn
	target   *randomTable
	targets  []randomColumn
	nullable bool
	orphan   bool
	part     bool // onto the partition with the keys up to 4 alone
}

func quoted(format string) func(*rand.Rand, int) string {
	return func(_ *rand.Rand, k int) string { return fmt.Sprintf(format, k) }
}

// kindsOfValues: one number is one value.
var kindsOfValues = []kindOfValue{
	{"int", quoted("%d")},
	{"int", quoted("%d")},
	{"bigint", quoted("%d")},
	{"smallint", quoted("%d")},
	{"numeric", func(r *rand.Rand, k int) string {
		return pick(r, fmt.Sprintf("%d", k), fmt.Sprintf("%d.0", k), fmt.Sprintf("%d.00", k))
	}},
	{"numeric(6,2)", quoted("%d.5")},
	{"text", quoted("'t%d'")},
	{"varchar(3)", quoted("'%d'")},
	{"char(4)", quoted("'%d'")},
	{"uuid", quoted("md5('%d')::uuid")},
	{"date", quoted("date '2024-01-01' + %d")},
	{"timestamptz", quoted("timestamptz '2024-01-01 00:00Z' + %d * interval '1 hour'")},
	{"timestamp", quoted("timestamp '2024-01-01 00:00' + %d * interval '1 hour'")},
	{"bytea", quoted("decode(lpad('%d', 4, '0'), 'hex')")},
	{"text COLLATE nocase", func(r *rand.Rand, k int) string { return fmt.Sprintf(pick(r, "'a%d'", "'A%d'"), k) }},
	{"citext", func(r *rand.Rand, k int) string { return fmt.Sprintf(pick(r, "'a%d'", "'A%d'"), k) }},
	{"whole", quoted("%d")},
	{"short", quoted("'%d'")},
	{"color", func(_ *rand.Rand, k int) string { return fmt.Sprintf("'c%d'", k%40) }},
	{"inet", quoted("inet '10.0.0.1' + %d")},
	{"int4range", quoted("int4range(%[1]d * 10, %[1]d * 10 + 5)")},
	{"boolean[]", quoted("(SELECT array_agg(b = '1') FROM regexp_split_to_table(%d::bit(8)::text, '') b)")},
}

const rowsOfATable = 9

func (g *randomSchema) chance(one int) bool { return g.r.IntN(one) == 0 }
func (g *randomSchema) kind() kindOfValue   { return kindsOfValues[g.r.IntN(len(kindsOfValues))] }

func (g *randomSchema) schema() string {
	const head = `CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN whole AS int CHECK (VALUE > -100); CREATE DOMAIN short AS varchar(3);
CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m text);
CREATE TABLE cache (k int PRIMARY KEY, m text);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF current_setting('groundhog_test.loads', true) = 'on' THEN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END IF;
	INSERT INTO log (m) VALUES (concat_ws(' ', TG_TABLE_NAME, TG_NAME, TG_OP));
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION change_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF current_setting('groundhog_test.loads', true) = 'on' THEN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END IF;
	IF TG_OP = 'DELETE' THEN IF OLD.v = 'keep' THEN RETURN NULL; END IF; RETURN OLD; END IF;
	IF NEW.v = 'skip' THEN RETURN NULL; END IF;
	NEW.v := left(concat(NEW.v, '~'), 12);
	RETURN NEW;
END $$;
CREATE FUNCTION empty_cache() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF current_setting('groundhog_test.loads', true) = 'on' THEN RETURN NULL; END IF;
	TRUNCATE cache; RETURN NULL;
END $$;
CREATE FUNCTION write_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF pg_trigger_depth() < 3 AND current_setting('groundhog_test.loads', true) IS DISTINCT FROM 'on' THEN EXECUTE format('UPDATE %I SET v = left(concat(v, ''+''), 9) WHERE n = 3', TG_ARGV[0]); END IF;
	RETURN NULL;
END $$;
CREATE FUNCTION of_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	IF current_query() LIKE 'SELECT space, name%' THEN
		INSERT INTO public.log (m) VALUES (tg_tag);
	END IF;
END $$;
CREATE FUNCTION of_ddl_emptying() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	IF current_query() LIKE 'SELECT space, name%' THEN
		TRUNCATE public.cache;
	END IF;
END $$;
`
	var sql strings.Builder
	sql.WriteString(head)
	labels := make([]string, 40)
	for i := range labels {
		labels[i] = fmt.Sprintf("'c%d'", i)
	}
	sql.WriteString("CREATE TYPE color AS ENUM (" + strings.Join(labels, ", ") + ");\n")
	for i := range 10 {
		g.table(i)
	}
	for _, t := range g.tables {
		sql.WriteString(t.create())
	}
	g.triggers()
	rows := "SET session_replication_role = replica;\nINSERT INTO log (m) SELECT 'l' || i FROM generate_series(1, 3) i; INSERT INTO cache SELECT i, 'c' FROM generate_series(1, 3) i;\n"
	for _, t := range g.tables {
		for k := 1; k < rowsOfATable; k++ {
			if t.parent != "" && k < 5 {
				continue // their keys are not the parent's
			}
			rows += g.insert(t, k, true) + ";\n"
		}
		if len(t.key) == 0 && len(t.apart) == 0 && len(t.links) == 0 {
			rows += g.insert(t, 1, true) + ";\n"
		}
	}
	rows += "RESET session_replication_role;\n"
	sql.WriteString(rows)
	sql.WriteString(strings.Join(append(g.more, g.last...), ";\n"))
	return sql.String()
}

// table makes the table i.
func (g *randomSchema) table(i int) {
	r := g.r
	t := &randomTable{name: fmt.Sprintf("t%d", i)}
	column := func(prefix string, kind kindOfValue, rest string) randomColumn {
		return randomColumn{name: fmt.Sprintf("%s%d", prefix, r.IntN(1000)), kind: kind, rest: rest}
	}
	deferrable := func() string { return pick(r, "", "", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED") }
	switch r.IntN(14) {
	case 0: // no key
	case 1:
		c := column("k", kindsOfValues[0], " GENERATED ALWAYS AS IDENTITY (START 100)")
		c.fixed = true
		t.key = []randomColumn{c}
	case 2:
		t.key = []randomColumn{column("k", kindsOfValues[0], " GENERATED BY DEFAULT AS IDENTITY (START 100)")}
	case 3, 4:
		t.key = []randomColumn{column("k", g.kind(), ""), column("l", g.kind(), "")}
	case 5:
		t.key = []randomColumn{column("k", kindsOfValues[0], "")}
		t.parts = true
	default:
		t.key = []randomColumn{column("k", g.kind(), "")}
	}
	if len(t.key) == 2 && t.key[0].name[1:] == t.key[1].name[1:] {
		t.key[1].name += "x"
	}
	keyDeferrable := ""
	if len(t.key) > 0 {
		var names []string
		for _, c := range t.key {
			names = append(names, c.name)
		}
		keyDeferrable = pick(r, "", "", "", "", "", deferrable())
		t.options = append(t.options, "PRIMARY KEY ("+strings.Join(names, ", ")+")"+keyDeferrable)
	}
	var linkable []randomColumn // columns that foreign keys may reference alone
	if len(t.key) == 1 && keyDeferrable == "" {
		linkable = append(linkable, t.key[0])
	}
	for n := range r.IntN(4) {
		c := column(fmt.Sprintf("u%d_", n), g.kind(), "")
		c.nullable = g.chance(2)
		if !c.nullable {
			c.rest = " NOT NULL"
		}
		if t.parts {
			t.others = append(t.others, c) // its key would be a part of it
			continue
		}
		switch r.IntN(8) {
		case 0:
			t.options = append(t.options, "UNIQUE ("+c.name+")"+deferrable())
		case 1:
			g.more = append(g.more, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s) WHERE n < 20", t.name, c.name))
		case 2:
			g.more = append(g.more, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (md5(%s::text))", t.name, c.name))
			if c.kind.name == "date" || c.kind.name == "int4range" || strings.HasPrefix(c.kind.name, "time") || c.kind.name == "color" || c.kind.name == "citext" || strings.Contains(c.kind.name, "[]") || c.kind.name == "bytea" || c.kind.name == "inet" {
				g.more[len(g.more)-1] = fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s, n)", t.name, c.name)
			}
		case 3:
			t.options = append(t.options, "UNIQUE NULLS NOT DISTINCT ("+c.name+")")
		case 4:
			c.kind = kindsOfValues[20]
			t.options = append(t.options, "EXCLUDE USING gist ("+c.name+" WITH &&)"+deferrable())
		case 5:
			c.kind = kindsOfValues[0]
			t.options = append(t.options, "CHECK ("+c.name+" > -5)", "UNIQUE ("+c.name+")")
			linkable = append(linkable, c)
		default:
			t.options = append(t.options, "UNIQUE ("+c.name+")")
			linkable = append(linkable, c)
		}
		t.apart = append(t.apart, c)
	}
	if g.chance(5) && !t.parts {
		c := column("g", kindsOfValues[0], " GENERATED ALWAYS AS (n * 2) STORED")
		c.fixed = true
		t.others = append(t.others, c)
		if g.chance(3) {
			g.more = append(g.more, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s, v)", t.name, c.name))
		}
	}
	if g.chance(8) && !t.parts && (len(t.key) == 0 || !t.key[0].fixed && !strings.Contains(t.key[0].rest, "IDENTITY")) {
		c := column("i", kindsOfValues[0], " GENERATED "+pick(r, "ALWAYS", "BY DEFAULT")+" AS IDENTITY (START 100)")
		c.fixed = strings.Contains(c.rest, "ALWAYS")
		t.others = append(t.others, c)
	}
	if g.chance(4) {
		t.options = append(t.options, "CHECK (v <> 'bad')")
	}
	if g.chance(12) {
		g.last = append(g.last, fmt.Sprintf("ALTER TABLE %s ADD CHECK (n > 2 OR coalesce(current_setting('groundhog_test.loads', true) = 'on', false)) NOT VALID", t.name))
	}
	g.tables = append(g.tables, t)
	for n := r.IntN(3); n > 0; n-- {
		target := g.tables[r.IntN(len(g.tables))]
		g.link(t, target)
	}
	if i > 0 && g.chance(3) { // a cycle of two
		other := g.tables[i-1]
		g.link(t, other)
		g.link(other, t)
	}
	_ = linkable
	if g.chance(12) && len(t.key) == 1 && !t.parts && len(t.links) == 0 { // inheritance: rows of the one are seen through the other
		child := &randomTable{name: fmt.Sprintf("h%d", i), parent: t.name, key: t.key, apart: t.apart, others: t.others}
		child.options = []string{"PRIMARY KEY (" + t.key[0].name + ")"}
		if !strings.Contains(t.key[0].rest, "IDENTITY") && !hasIdentity(t.others) {
			g.tables = append(g.tables, child)
		}
	}
}

func hasIdentity(columns []randomColumn) bool {
	for _, c := range columns {
		if strings.Contains(c.rest, "IDENTITY") {
			return true
		}
	}
	return false
}

// link makes a foreign key.
func (g *randomSchema) link(t, target *randomTable) {
	if t.parent != "" || target.parent != "" || slices.ContainsFunc(g.tables, func(o *randomTable) bool { return o.parent == t.name }) {
		return // what inherits it has its columns
	}
	r := g.r
	var choices [][]randomColumn
	if o := strings.Join(target.options, ";"); len(target.key) > 0 && !strings.Contains(strings.Split(o, ";")[0], "DEFERRABLE") {
		choices = append(choices, target.key)
	}
	for _, c := range target.apart {
		for _, o := range target.options {
			if o == "UNIQUE ("+c.name+")" {
				choices = append(choices, []randomColumn{c}, []randomColumn{c})
			}
		}
	}
	if len(choices) == 0 {
		return
	}
	l := link{target: target, targets: choices[r.IntN(len(choices))], nullable: g.chance(2)}
	var names, targets []string
	for i, c := range l.targets {
		rest := ""
		if !l.nullable {
			rest = " NOT NULL"
		}
		if g.chance(2) {
			rest += " DEFAULT " + c.kind.value(r, 1)
			if len(l.targets) == 2 && i == 1 {
				rest = strings.Split(rest, " DEFAULT")[0] + " DEFAULT " + c.kind.value(r, 1%3)
			}
		}
		if strings.HasPrefix(c.kind.name, "(") || strings.Contains(rest, "SELECT") {
			rest = strings.Split(rest, " DEFAULT")[0]
		}
		fk := randomColumn{name: fmt.Sprintf("f%d_%d_%s", len(t.links), i, target.name), kind: c.kind, rest: rest, nullable: l.nullable}
		l.columns = append(l.columns, fk)
		names, targets = append(names, fk.name), append(targets, c.name)
	}
	referenced := target.name
	if target.parts && !t.parts && g.chance(3) {
		l.part = true
		referenced += "_a"
	}
	t.links = append(t.links, l)
	action := func() string {
		return pick(r, "NO ACTION", "NO ACTION", "RESTRICT", "CASCADE", "CASCADE", "SET NULL", "SET DEFAULT")
	}
	sql := fmt.Sprintf("ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s (%s) ON DELETE %s ON UPDATE %s%s", t.name, strings.Join(names, ", "), referenced, strings.Join(targets, ", "),
		action(), action(), pick(r, "", "", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"))
	if g.chance(15) && !t.parts && !target.parts {
		sql += " NOT VALID"
		t.links[len(t.links)-1].orphan = true
	}
	g.last = append(g.last, sql)
	if g.chance(3) {
		g.more = append(g.more, fmt.Sprintf("CREATE INDEX ON %s (%s)", t.name, strings.Join(names, ", ")))
	} else if g.chance(6) && !t.parts {
		g.more = append(g.more, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s, n)", t.name, strings.Join(names, ", ")))
	}
}

func (t *randomTable) columns() (out []randomColumn) {
	out = append(append(append(out, t.key...), t.apart...), t.others...)
	for _, l := range t.links {
		out = append(out, l.columns...)
	}
	return out
}

func (t *randomTable) generates() bool {
	return slices.ContainsFunc(t.columns(), func(c randomColumn) bool { return strings.Contains(c.rest, "STORED") })
}

func (t *randomTable) create() string {
	if t.parent != "" {
		return fmt.Sprintf("CREATE TABLE %s (%s) INHERITS (%s);\n", t.name, strings.Join(t.options, ", "), t.parent)
	}
	defs := []string{"n int", "v text"}
	for _, c := range t.columns() {
		defs = append(defs, c.name+" "+c.kind.name+c.rest)
	}
	defs = append(defs, t.options...)
	sql := fmt.Sprintf("CREATE TABLE %s (%s)", t.name, strings.Join(defs, ", "))
	if !t.parts {
		return sql + ";\n"
	}
	return sql + fmt.Sprintf(` PARTITION BY RANGE (%[2]s);
CREATE TABLE %[1]s_a PARTITION OF %[1]s FOR VALUES FROM (MINVALUE) TO (5); CREATE TABLE %[1]s_b PARTITION OF %[1]s FOR VALUES FROM (5) TO (9) PARTITION BY LIST (%[2]s);
CREATE TABLE %[1]s_b1 PARTITION OF %[1]s_b FOR VALUES IN (5, 7); CREATE TABLE %[1]s_b2 PARTITION OF %[1]s_b DEFAULT; CREATE TABLE %[1]s_c PARTITION OF %[1]s DEFAULT;
`, t.name, t.key[0].name)
}

// triggers makes triggers, rules and event triggers.
func (g *randomSchema) triggers() {
	r := g.r
	for _, t := range g.tables {
		for n := max(0, r.IntN(5)-2); n > 0; n-- {
			name := fmt.Sprintf("%s_%s_%d", pick(r, "a", "zz"), t.name, n)
			on := pick(r, "INSERT", "UPDATE", "DELETE", "INSERT OR UPDATE", "INSERT OR UPDATE OR DELETE", "UPDATE OF v")
			row := pick(r, "log_it()", "change_it()")
			var sql string
			switch r.IntN(6) {
			case 0:
				sql = fmt.Sprintf("CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION %s", name, on, t.name, row)
			case 1:
				sql = fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH ROW EXECUTE FUNCTION log_it()", name, on, t.name)
			case 2:
				sql = fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s", name, on, t.name, pick(r, "log_it()", "empty_cache()"))
			case 3:
				sql = fmt.Sprintf("CREATE CONSTRAINT TRIGGER %s AFTER %s ON %s DEFERRABLE INITIALLY %s FOR EACH ROW EXECUTE FUNCTION log_it()", name, on, t.name, pick(r, "DEFERRED", "IMMEDIATE"))
			case 4:
				sql = fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION write_on('%s')", name, on, t.name, g.tables[r.IntN(len(g.tables))].name)
			default:
				sql = fmt.Sprintf("CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION change_it()", name, on, t.name)
			}
			g.last = append(g.last, sql)
			if state := pick(r, "", "", "ENABLE ALWAYS", "ENABLE REPLICA", "DISABLE"); state != "" {
				g.last = append(g.last, fmt.Sprintf("ALTER TABLE %s %s TRIGGER %s", t.name, state, name))
			}
			if t.parts && strings.Contains(sql, "FOR EACH ROW") && g.chance(3) {
				g.last = append(g.last, fmt.Sprintf("ALTER TABLE %s_%s %s TRIGGER %s", t.name, pick(r, "a", "b1"), pick(r, "ENABLE ALWAYS", "DISABLE"), name))
			}
		}
		ruled := false
		if g.chance(9) {
			// Not when the test itself loads.
			const there = "coalesce(current_setting('groundhog_test.loads', true), '') <> 'on'"
			do := pick(r, "DO ALSO INSERT INTO log (m) VALUES ('rule')", "DO ALSO DELETE FROM cache WHERE k = 2", "DO INSTEAD INSERT INTO log (m) VALUES ('instead')", "DO INSTEAD NOTHING")
			g.last = append(g.last, fmt.Sprintf("CREATE RULE r AS ON %s TO %s WHERE %s %s", pick(r, "INSERT", "UPDATE", "DELETE"), t.name, there, do))
			if state := pick(r, "", "", "ENABLE ALWAYS", "ENABLE REPLICA", "DISABLE"); state != "" {
				g.last = append(g.last, fmt.Sprintf("ALTER TABLE %s %s RULE r", t.name, state))
				ruled = strings.HasPrefix(state, "ENABLE") // when the test loads, too: then the rule's owner must be let see the rows
			}
		}
		if g.chance(10) && !ruled {
			g.last = append(g.last, fmt.Sprintf("ALTER TABLE %[1]s ENABLE ROW LEVEL SECURITY; ALTER TABLE %[1]s FORCE ROW LEVEL SECURITY; CREATE POLICY p ON %[1]s %[2]s", t.name, pick(r, "USING (n < 5)", "USING (true)", "FOR SELECT USING (true)", "USING (v <> 'x') WITH CHECK (n > 3)")))
		}
		if g.chance(7) && t.parent == "" && !t.generates() { // a publication may have no generated column, and no row can be deleted then
			where := pick(r, "", "", " WHERE (n > 2)")
			if t.parts {
				where = ""
			}
			publish := pick(r, "insert, update, delete, truncate", "insert, update, delete, truncate", "insert, delete", "insert")
			g.last = append(g.last, fmt.Sprintf("CREATE PUBLICATION p_%[1]s FOR TABLE ONLY %[1]s%[3]s WITH (publish = '%[2]s')", t.name, publish, where))
			identity := pick(r, "", "", "NOTHING", "FULL")
			if identity != "" {
				g.last = append(g.last, fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY %s", t.name, identity))
			}
			g.heard = append(g.heard, t.name)
		}
	}
	if g.chance(6) {
		g.last = append(g.last, "CREATE EVENT TRIGGER of_ddl ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION "+pick(r, "of_ddl()", "of_ddl_emptying()"))
	}
}

// values are those of a row k. baseline: the keys that it has and references are k's or those of other rows.
func (g *randomSchema) values(t *randomTable, k int, baseline bool) (names, values []string) {
	r := g.r
	add := func(c randomColumn, k int) { names, values = append(names, c.name), append(values, c.kind.value(r, k)) }
	names, values = []string{"n", "v"}, []string{strconv.Itoa(k), "'" + pick(r, "a", "b", "keep") + "'"}
	for i, c := range t.key {
		switch {
		case c.fixed && !baseline:
		case i == 1:
			add(c, k%3)
		default:
			add(c, k)
		}
	}
	for _, c := range t.apart {
		add(c, k)
	}
	for _, c := range t.others {
		if strings.Contains(c.rest, "STORED") || c.fixed && !baseline {
			continue
		}
		add(c, k)
	}
	for _, l := range t.links {
		to := 1 + r.IntN(rowsOfATable-1)
		if l.orphan && g.chance(3) {
			to = 30
		}
		if l.part {
			to = 1 + r.IntN(4)
		}
		if !baseline && g.chance(6) {
			to = 1 + r.IntN(14)
		}
		for i, c := range l.columns {
			switch {
			case l.nullable && to%4 == 0:
				names, values = append(names, c.name), append(values, "NULL")
			case i == 1:
				add(c, to%3)
			default:
				add(c, to)
			}
		}
	}
	return names, values
}

func (g *randomSchema) insert(t *randomTable, k int, baseline bool) string {
	names, values := g.values(t, k, baseline)
	return fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)", t.name, strings.Join(names, ", "), strings.Join(values, ", "))
}

// transaction is a random one, of one statement or some.
func (g *randomSchema) transaction() string {
	r := g.r
	if g.chance(3) {
		var all []string
		for n := 2 + r.IntN(3); n > 0; n-- {
			all = append(all, g.statement())
		}
		begin := pick(r, "BEGIN; ", "BEGIN; ", "BEGIN; SET CONSTRAINTS ALL DEFERRED; ", "BEGIN; SET LOCAL session_replication_role = replica; ")
		return begin + strings.Join(all, "; ") + pick(r, "; COMMIT", "; COMMIT", "; COMMIT", "; ROLLBACK")
	}
	return g.statement()
}

func (g *randomSchema) statement() string {
	r := g.r
	t := g.tables[r.IntN(len(g.tables))]
	k, other := 1+r.IntN(11), 1+r.IntN(14)
	var c randomColumn
	all := t.columns()
	if len(all) > 0 {
		c = all[r.IntN(len(all))]
	}
	if len(t.apart) > 0 && g.chance(2) {
		c = t.apart[r.IntN(len(t.apart))]
	}
	set := func(k int) string {
		switch {
		case c.name == "" || c.fixed:
			return fmt.Sprintf("v = '%d'", k)
		case c.nullable && g.chance(8):
			return c.name + " = NULL"
		}
		return c.name + " = " + c.kind.value(r, k)
	}
	update := func(n, k int) string { return fmt.Sprintf("UPDATE %s SET %s WHERE n = %d", t.name, set(k), n) }
	switch r.IntN(22) {
	case 0, 1, 2:
		return g.insert(t, other, false)
	case 3:
		return g.insert(t, 8+r.IntN(6), false) + "; " + g.insert(t, 20+r.IntN(6), false)
	case 4:
		return fmt.Sprintf("UPDATE %s SET v = '%s' WHERE n = %d", t.name, pick(r, "x", "keep", "skip", "bad", "y"), k)
	case 5, 6, 7:
		return update(k, other)
	case 8, 9:
		return fmt.Sprintf("DELETE FROM %s WHERE n = %d", t.name, k)
	case 10:
		return fmt.Sprintf("DELETE FROM %s WHERE n %% 3 = %d", t.name, r.IntN(3))
	case 11, 12: // values that rows exchange
		return fmt.Sprintf("BEGIN; %s; %s; %s; COMMIT", update(k, 99), update(other, k), update(k, other))
	case 13: // rotate
		third := 1 + r.IntN(8)
		return fmt.Sprintf("BEGIN; %s; %s; %s; %s; COMMIT", update(k, 99), update(other, k), update(third, other), update(k, third))
	case 14: // the unique values of a row that is gone
		names, values := g.values(t, k, false)
		if len(t.key) > 0 && !t.key[0].fixed {
			for i, name := range names {
				if name == t.key[0].name {
					values[i] = t.key[0].kind.value(r, 15+r.IntN(9))
				}
			}
		}
		return fmt.Sprintf("BEGIN; DELETE FROM %s WHERE n = %d; INSERT INTO %[1]s (%[3]s) OVERRIDING SYSTEM VALUE VALUES (%[4]s); COMMIT", t.name, k, strings.Join(names, ", "), strings.Join(values, ", "))
	case 15: // a value that moves
		return fmt.Sprintf("BEGIN; %s; %s; COMMIT", update(k, 99), update(other, k))
	case 16: // the image of a key
		if len(t.key) > 0 && !t.key[0].fixed {
			c = t.key[0]
		}
		return update(k, k)
	case 17:
		if g.chance(2) {
			name := t.name
			if t.parts {
				name += pick(r, "", "_a", "_b", "_b2")
			}
			return "TRUNCATE " + pick(r, name, name, "cache", "log") + pick(r, "", " CASCADE")
		}
		return fmt.Sprintf("UPDATE %s SET v = '%s' || v", t.name, pick(r, "p", "q"))
	case 18: // two tables at once
		u := g.tables[r.IntN(len(g.tables))]
		return fmt.Sprintf("WITH i AS (%s RETURNING 1) %s", g.insert(u, other, false), g.insert(t, other, false))
	case 19: // another key
		if len(t.key) > 0 && !t.key[0].fixed {
			c = t.key[0]
		}
		return update(k, other)
	case 20:
		if len(t.links) > 0 {
			l := t.links[r.IntN(len(t.links))]
			c = l.columns[r.IntN(len(l.columns))]
		}
		return update(k, 1+r.IntN(8))
	}
	return pick(r, fmt.Sprintf("INSERT INTO cache VALUES (%d, 'n')", other), fmt.Sprintf("DELETE FROM cache WHERE k = %d", k), "INSERT INTO log (m) VALUES ('x')", "UPDATE cache SET m = 'u'")
}
