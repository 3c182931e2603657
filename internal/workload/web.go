package workload

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/sync/errgroup"
)

// WebTests is how many tests the suite of the web application has.
const WebTests = 131

// table is one of the web application. Each also has an id, and the times at which a row
// was made and changed.
type table struct {
	name    string
	columns string
	indexes []string // their columns; each table has one on its foreign keys, too
	seed    string   // of the rows that a migration brings: a SELECT of all columns but those that each table has
}

// webTables are the 50 tables of a web application in which teams keep projects, issues
// and documents, parents first.
var webTables = []table{
	// What migrations fill.
	{"countries", "code text NOT NULL UNIQUE, name text NOT NULL", nil, "SELECT 'c' || i, 'country ' || i FROM generate_series(1, 60) i"},
	{"currencies", "code text NOT NULL UNIQUE, digits int NOT NULL DEFAULT 2", nil, "SELECT 'cur' || i, 2 FROM generate_series(1, 30) i"},
	{"locales", "code text NOT NULL UNIQUE, rtl boolean NOT NULL DEFAULT false", nil, "SELECT 'l' || i, false FROM generate_series(1, 12) i"},
	{"roles", "name text NOT NULL UNIQUE, rank int NOT NULL", nil, "SELECT n, r FROM unnest(ARRAY['owner', 'admin', 'member', 'guest']) WITH ORDINALITY AS v (n, r)"},
	{"permissions", "name text NOT NULL UNIQUE, description text", nil, "SELECT 'permission.' || i, 'may do ' || i FROM generate_series(1, 40) i"},
	{"role_permissions", "role_id bigint NOT NULL REFERENCES roles ON DELETE CASCADE, permission_id bigint NOT NULL REFERENCES permissions", nil, "SELECT r.id, p.id FROM roles r, permissions p WHERE p.id % r.rank = 0"},
	{"plans", "name text NOT NULL UNIQUE, price numeric(10,2) NOT NULL, currency_id bigint NOT NULL REFERENCES currencies", nil, "SELECT 'plan ' || i, i * 9.5, i FROM generate_series(1, 3) i"},
	{"features", "name text NOT NULL UNIQUE, enabled boolean NOT NULL", nil, "SELECT 'feature_' || i, i % 2 = 0 FROM generate_series(1, 20) i"},
	{"email_templates", "name text NOT NULL, locale_id bigint NOT NULL REFERENCES locales, subject text NOT NULL, body text NOT NULL", []string{"name, locale_id"}, "SELECT 'mail' || i, l.id, 'Hello', repeat('text ', 60) FROM generate_series(1, 6) i, locales l"},
	{"settings", "key text NOT NULL UNIQUE, value jsonb NOT NULL", nil, `SELECT 'setting.' || i, jsonb_build_object('value', i) FROM generate_series(1, 25) i`},

	{"users", "email text NOT NULL UNIQUE, name text NOT NULL, password bytea, locale_id bigint REFERENCES locales, settings jsonb NOT NULL DEFAULT '{}', disabled_at timestamptz", []string{"name", "lower(email)"}, ""},
	{"sessions", "user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, token text NOT NULL UNIQUE, expires_at timestamptz NOT NULL DEFAULT now() + interval '1 day'", []string{"expires_at"}, ""},
	{"password_resets", "user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, token text NOT NULL UNIQUE", nil, ""},
	{"identities", "user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, provider text NOT NULL, subject text NOT NULL, UNIQUE (provider, subject)", nil, ""},
	{"api_tokens", "user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, hash text NOT NULL UNIQUE, scopes text[] NOT NULL DEFAULT '{}'", nil, ""},
	{"teams", "slug text NOT NULL UNIQUE, name text NOT NULL, plan_id bigint NOT NULL REFERENCES plans, country_id bigint REFERENCES countries", nil, ""},
	{"memberships", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, role_id bigint NOT NULL REFERENCES roles, UNIQUE (team_id, user_id)", nil, ""},
	{"invitations", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, email text NOT NULL, role_id bigint NOT NULL REFERENCES roles", nil, ""},
	{"domains", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, name text NOT NULL UNIQUE", nil, ""},
	{"subscriptions", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, plan_id bigint NOT NULL REFERENCES plans, ends_at timestamptz", nil, ""},
	{"invoices", "subscription_id bigint NOT NULL REFERENCES subscriptions, number text NOT NULL UNIQUE, total numeric(12,2) NOT NULL", nil, ""},
	{"invoice_lines", "invoice_id bigint NOT NULL REFERENCES invoices ON DELETE CASCADE, text text NOT NULL, amount numeric(12,2) NOT NULL", nil, ""},
	{"payments", "invoice_id bigint NOT NULL REFERENCES invoices, amount numeric(12,2) NOT NULL, status text NOT NULL DEFAULT 'open'", []string{"status"}, ""},
	{"coupons", "code text NOT NULL UNIQUE, percent int NOT NULL CHECK (percent BETWEEN 1 AND 100)", nil, ""},
	{"projects", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, key text NOT NULL, name text NOT NULL, archived boolean NOT NULL DEFAULT false, UNIQUE (team_id, key)", []string{"archived"}, ""},
	{"project_members", "project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, UNIQUE (project_id, user_id)", nil, ""},
	{"boards", "project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, name text NOT NULL", nil, ""},
	{"board_columns", "board_id bigint NOT NULL REFERENCES boards ON DELETE CASCADE, name text NOT NULL, position int NOT NULL", nil, ""},
	{"milestones", "project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, title text NOT NULL, due date", []string{"due"}, ""},
	{"labels", "project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, name text NOT NULL, color text NOT NULL DEFAULT 'grey'", nil, ""},
	{"issues", "project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, author_id bigint NOT NULL REFERENCES users, assignee_id bigint REFERENCES users, milestone_id bigint REFERENCES milestones, title text NOT NULL, body text NOT NULL DEFAULT '', state text NOT NULL DEFAULT 'open', position double precision NOT NULL DEFAULT 0", []string{"project_id, state", "to_tsvector('simple', title)"}, ""},
	{"issue_labels", "issue_id bigint NOT NULL REFERENCES issues ON DELETE CASCADE, label_id bigint NOT NULL REFERENCES labels ON DELETE CASCADE, UNIQUE (issue_id, label_id)", nil, ""},
	{"issue_links", "issue_id bigint NOT NULL REFERENCES issues ON DELETE CASCADE, other_id bigint NOT NULL REFERENCES issues ON DELETE CASCADE, kind text NOT NULL", nil, ""},
	{"comments", "issue_id bigint NOT NULL REFERENCES issues ON DELETE CASCADE, user_id bigint NOT NULL REFERENCES users, body text NOT NULL", nil, ""},
	{"reactions", "comment_id bigint NOT NULL REFERENCES comments ON DELETE CASCADE, user_id bigint NOT NULL REFERENCES users, emoji text NOT NULL", nil, ""},
	{"attachments", "issue_id bigint NOT NULL REFERENCES issues ON DELETE CASCADE, name text NOT NULL, bytes bigint NOT NULL", nil, ""},
	{"watchers", "issue_id bigint NOT NULL REFERENCES issues ON DELETE CASCADE, user_id bigint NOT NULL REFERENCES users, UNIQUE (issue_id, user_id)", nil, ""},
	{"documents", "project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, title text NOT NULL, body text NOT NULL, version int NOT NULL DEFAULT 1", nil, ""},
	{"revisions", "document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE, user_id bigint NOT NULL REFERENCES users, body text NOT NULL", nil, ""},
	{"folders", "project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE, parent_id bigint REFERENCES folders, name text NOT NULL", nil, ""},
	{"files", "folder_id bigint NOT NULL REFERENCES folders ON DELETE CASCADE, name text NOT NULL, content bytea", nil, ""},
	{"webhooks", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, url text NOT NULL, secret text NOT NULL", nil, ""},
	{"deliveries", "webhook_id bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE, status int, payload jsonb NOT NULL", []string{"status"}, ""},
	{"notifications", "user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, issue_id bigint REFERENCES issues ON DELETE CASCADE, kind text NOT NULL, read_at timestamptz", []string{"user_id, read_at"}, ""},
	{"events", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, user_id bigint REFERENCES users, action text NOT NULL, data jsonb NOT NULL DEFAULT '{}'", []string{"team_id, created_at"}, ""},
	{"tasks", "queue text NOT NULL, payload jsonb NOT NULL, run_at timestamptz NOT NULL DEFAULT now(), attempts int NOT NULL DEFAULT 0", []string{"queue, run_at"}, ""},
	{"task_errors", "task_id bigint NOT NULL REFERENCES tasks ON DELETE CASCADE, error text NOT NULL", nil, ""},
	{"searches", "user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, query text NOT NULL", nil, ""},
	{"time_entries", "issue_id bigint NOT NULL REFERENCES issues ON DELETE CASCADE, user_id bigint NOT NULL REFERENCES users, minutes int NOT NULL CHECK (minutes > 0)", nil, ""},
	{"exports", "team_id bigint NOT NULL REFERENCES teams ON DELETE CASCADE, status text NOT NULL DEFAULT 'waiting', url text", nil, ""},
}

// WebMigrations returns the migrations of the web application, one for each of its 50
// tables. They also put rows into the first ten.
func WebMigrations() []string {
	migrations := make([]string, len(webTables))
	for i, t := range webTables {
		lines := []string{fmt.Sprintf("CREATE TABLE %s (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, %s, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now())", t.name, t.columns)}
		var names []string
		for column := range strings.SplitSeq(t.columns, ", ") {
			name, rest, _ := strings.Cut(column, " ")
			if strings.Contains(rest, "REFERENCES") {
				lines = append(lines, fmt.Sprintf("CREATE INDEX ON %s (%s)", t.name, name))
			}
			names = append(names, name)
		}
		for _, columns := range t.indexes {
			using := ""
			if strings.HasPrefix(columns, "to_tsvector") {
				using = "USING gin "
			}
			lines = append(lines, fmt.Sprintf("CREATE INDEX ON %s %s(%s)", t.name, using, columns))
		}
		if t.seed != "" {
			lines = append(lines, fmt.Sprintf("INSERT INTO %s (%s) %s", t.name, strings.Join(names, ", "), t.seed))
		}
		migrations[i] = strings.Join(lines, ";\n")
	}
	return migrations
}

// WebTest is a test of the web application, of which there are [WebTests]. It makes a team
// with a user, has two to four handlers of requests work at the same time, each on a
// connection, and looks at what they did. That comes to 6 to 40 statements, those that begin and end transactions aside.
func WebTest(ctx context.Context, db *sql.DB, number int) error {
	dice := rand.New(rand.NewPCG(uint64(number), 20)) //nolint:gosec // the same in each run; numbers are not negative
	var w web
	if err := w.begin(ctx, db); err != nil {
		return err
	}
	handlers := 2 + dice.IntN(3)
	requests := 1 + dice.IntN(3)
	var group errgroup.Group
	issues := 0
	for h := range handlers {
		var work []request
		for range requests {
			work = append(work, webRequests[dice.IntN(len(webRequests))])
		}
		for _, r := range work {
			issues += r.issues
		}
		group.Go(func() error {
			for i, r := range work {
				if err := r.do(ctx, db, w, fmt.Sprintf("%d-%d", h, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var seen int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM issues").Scan(&seen); err != nil {
		return err
	}
	if seen != issues {
		return fmt.Errorf("test %d sees %d issues in place of %d", number, seen, issues)
	}
	return nil
}

// web is what each test of the web application makes first.
type web struct{ user, team, project int64 }

func (w *web) begin(ctx context.Context, db *sql.DB) error {
	for _, step := range []struct {
		id   *int64
		sql  string
		args []any
	}{
		{&w.user, "INSERT INTO users (email, name, locale_id) VALUES ('first@example.org', 'First', 1) RETURNING id", nil},
		{&w.team, "INSERT INTO teams (slug, name, plan_id) VALUES ('team', 'Team', 1) RETURNING id", nil},
		{&w.project, "INSERT INTO projects (team_id, key, name) SELECT id, 'P', 'Project' FROM teams WHERE slug = 'team' RETURNING id", nil},
	} {
		if err := db.QueryRowContext(ctx, step.sql).Scan(step.id); err != nil {
			return err
		}
	}
	return nil
}

// request is what a handler does.
type request struct {
	issues int // that it makes
	do     func(ctx context.Context, db *sql.DB, w web, unique string) error
}

var webRequests = []request{
	{0, func(ctx context.Context, db *sql.DB, w web, unique string) error { // a member joins
		return inTx(ctx, db, func(tx *sql.Tx) error {
			var user int64
			if err := tx.QueryRowContext(ctx, "INSERT INTO users (email, name) VALUES ($1, 'Member') RETURNING id", unique+"@example.org").Scan(&user); err != nil {
				return err
			}
			return exec(ctx, tx, "INSERT INTO memberships (team_id, user_id, role_id) SELECT $1, $2, id FROM roles WHERE name = 'member'", w.team, user)
		})
	}},
	{1, func(ctx context.Context, db *sql.DB, w web, unique string) error { // an issue is made
		return inTx(ctx, db, func(tx *sql.Tx) error {
			var issue int64
			if err := tx.QueryRowContext(ctx, "INSERT INTO issues (project_id, author_id, title) VALUES ($1, $2, $3) RETURNING id", w.project, w.user, "issue "+unique).Scan(&issue); err != nil {
				return err
			}
			if err := exec(ctx, tx, "INSERT INTO comments (issue_id, user_id, body) VALUES ($1, $2, 'a comment')", issue, w.user); err != nil {
				return err
			}
			return exec(ctx, tx, "INSERT INTO events (team_id, user_id, action, data) VALUES ($1, $2, 'issue.made', jsonb_build_object('issue', $3::bigint))", w.team, w.user, issue)
		})
	}},
	{0, func(ctx context.Context, db *sql.DB, w web, _ string) error { // a page is shown
		return query(ctx, db, `SELECT i.id, i.title, u.name, count(c.id) FROM issues i JOIN users u ON u.id = i.author_id
			LEFT JOIN comments c ON c.issue_id = i.id WHERE i.project_id = $1 AND i.state = 'open' GROUP BY i.id, i.title, u.name ORDER BY i.id LIMIT 20`, w.project)
	}},
	{0, func(ctx context.Context, db *sql.DB, w web, unique string) error { // a session begins
		if err := exec(ctx, db, "INSERT INTO sessions (user_id, token) VALUES ($1, $2)", w.user, unique); err != nil {
			return err
		}
		return query(ctx, db, "SELECT u.id, u.name, r.name FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN memberships m ON m.user_id = u.id LEFT JOIN roles r ON r.id = m.role_id WHERE s.token = $1", unique)
	}},
	{0, func(ctx context.Context, db *sql.DB, w web, _ string) error { // what a user may
		return query(ctx, db, "SELECT p.name FROM permissions p JOIN role_permissions rp ON rp.permission_id = p.id JOIN memberships m ON m.role_id = rp.role_id WHERE m.user_id = $1", w.user)
	}},
	{0, func(ctx context.Context, db *sql.DB, _ web, unique string) error { // work is queued, and done
		if err := exec(ctx, db, "INSERT INTO tasks (queue, payload) VALUES ('mail', jsonb_build_object('to', $1::text))", unique); err != nil {
			return err
		}
		return exec(ctx, db, "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE queue = 'mail' ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)")
	}},
	{0, func(ctx context.Context, db *sql.DB, w web, unique string) error { // a document changes
		return inTx(ctx, db, func(tx *sql.Tx) error {
			var document int64
			if err := tx.QueryRowContext(ctx, "INSERT INTO documents (project_id, title, body) VALUES ($1, $2, 'text') RETURNING id", w.project, unique).Scan(&document); err != nil {
				return err
			}
			if err := exec(ctx, tx, "UPDATE documents SET version = version + 1, body = 'more text', updated_at = now() WHERE id = $1", document); err != nil {
				return err
			}
			return exec(ctx, tx, "INSERT INTO revisions (document_id, user_id, body) VALUES ($1, $2, 'text')", document, w.user)
		})
	}},
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func exec(ctx context.Context, db execer, query string, args ...any) error {
	_, err := db.ExecContext(ctx, query, args...)
	return err
}

// query reads all rows.
func query(ctx context.Context, db *sql.DB, query string, args ...any) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
