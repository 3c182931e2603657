package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Trait is something that belongs to a database and that CREATE DATABASE does not
// copy from the template: a setting, a grant, the owner, the comment.
type Trait struct {
	kind, role, name, value string
	grantable               bool
}

// Refusal is a trait that the role may not give to a database.
type Refusal struct {
	Trait Trait
	Err   error
}

// Traits lists those of a database, in the order in which a copy is given them. A
// database that is as CREATE DATABASE leaves it has none.
func Traits(ctx context.Context, q Querier, database string) ([]Trait, error) {
	rows, err := q.Query(ctx, `
		WITH d AS (SELECT *, pg_catalog.acldefault('d', datdba) AS usual FROM pg_catalog.pg_database WHERE datname = $1),
		granted AS (SELECT a.* FROM d, pg_catalog.aclexplode(coalesce(datacl, usual)) WITH ORDINALITY AS a (grantor, grantee, privilege, grantable, n)),
		usual AS (SELECT a.* FROM d, pg_catalog.aclexplode(d.usual) AS a (grantor, grantee, privilege, grantable))
		SELECT kind, coalesce(role, ''), coalesce(name, ''), coalesce(value, ''), grantable FROM (
			SELECT 1 AS step, 0 AS n, 'owner' AS kind, pg_catalog.pg_get_userbyid(datdba)::text AS role, NULL::text AS name, NULL::text AS value, false AS grantable
				FROM d WHERE pg_catalog.pg_get_userbyid(datdba) <> current_user
			UNION ALL SELECT 2, 0, 'limit', NULL, NULL, datconnlimit::text, false FROM d WHERE datconnlimit >= 0
			UNION ALL SELECT 3, pg_catalog.row_number() OVER (ORDER BY s.setrole, c.n), 'setting', r.rolname, NULL, c.item, false
				FROM d JOIN pg_catalog.pg_db_role_setting s ON s.setdatabase = d.oid LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
					pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c (item, n)
				WHERE s.setrole = 0 OR r.oid IS NOT NULL
			UNION ALL SELECT 4, 0, 'comment', NULL, NULL, pg_catalog.shobj_description(d.oid, 'pg_database'), false
				FROM d WHERE pg_catalog.shobj_description(d.oid, 'pg_database') IS NOT NULL
			UNION ALL SELECT 5, 0, 'label', NULL, l.provider, l.label, false
				FROM d JOIN pg_catalog.pg_shseclabel l ON l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND l.objoid = d.oid
			UNION ALL SELECT 6, 0, 'revoke', CASE grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(grantee) END, privilege, NULL, false
				FROM usual WHERE NOT EXISTS (SELECT FROM granted g WHERE (g.grantor, g.grantee, g.privilege) = (usual.grantor, usual.grantee, usual.privilege))
			UNION ALL SELECT CASE grantor WHEN datdba THEN 7 ELSE 8 END, n, 'grant', CASE grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(grantee) END, privilege,
					CASE grantor WHEN datdba THEN NULL ELSE pg_catalog.pg_get_userbyid(grantor) END, grantable
				FROM d, granted g WHERE NOT EXISTS (SELECT FROM usual
					WHERE (g.grantor, g.grantee, g.privilege, g.grantable) = (usual.grantor, usual.grantee, usual.privilege, usual.grantable))
		) traits ORDER BY step, n`, database)
	if err != nil {
		return nil, err
	}
	var one Trait
	var out []Trait
	_, err = pgx.ForEachRow(rows, []any{&one.kind, &one.role, &one.name, &one.value, &one.grantable}, func() error {
		out = append(out, one)
		return nil
	})
	return out, err
}

// DigestTraits returns a digest of traits. Databases with the same digest have the same.
func DigestTraits(traits []Trait) string {
	sum := sha256.New()
	for _, t := range traits {
		_, _ = fmt.Fprintf(sum, "%q %q %q %q %t\n", t.kind, t.role, t.name, t.value, t.grantable) // a hash takes all
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// String tells what it is as SQL, without its value, which may be a secret.
func (t Trait) String() string {
	switch t.kind {
	case "setting":
		name, _, _ := strings.Cut(t.value, "=")
		if t.role != "" {
			return "ALTER ROLE " + Identifier(t.role) + " IN DATABASE … SET " + name
		}
		return "ALTER DATABASE … SET " + name
	case "comment":
		return "COMMENT ON DATABASE …"
	case "label":
		return "SECURITY LABEL FOR " + Identifier(t.name) + " ON DATABASE …"
	}
	return strings.Replace(t.statement("…"), Identifier("…"), "…", 1)
}

// statement is the statement that gives the trait to a database.
func (t Trait) statement(database string) string {
	database = Identifier(database)
	grantee := "PUBLIC"
	if t.role != "" {
		grantee = Identifier(t.role)
	}
	switch t.kind {
	case "owner":
		return "ALTER DATABASE " + database + " OWNER TO " + grantee
	case "limit":
		return "ALTER DATABASE " + database + " CONNECTION LIMIT " + t.value
	case "setting":
		name, value, _ := strings.Cut(t.value, "=")
		whose := "ALTER DATABASE " + database
		if t.role != "" {
			whose = "ALTER ROLE " + grantee + " IN DATABASE " + database
		}
		if slices.Contains(quotedLists, strings.ToLower(name)) {
			return "SELECT pg_catalog.set_config(" + Literal(name) + ", " + Literal(value) + ", true); " + whose + " SET " + Identifier(name) + " FROM CURRENT"
		}
		return whose + " SET " + Identifier(name) + " TO " + Literal(value)
	case "comment":
		return "COMMENT ON DATABASE " + database + " IS " + Literal(t.value)
	case "label":
		return "SECURITY LABEL FOR " + Identifier(t.name) + " ON DATABASE " + database + " IS " + Literal(t.value)
	case "revoke":
		return "REVOKE " + t.name + " ON DATABASE " + database + " FROM " + grantee
	}
	sql := "GRANT " + t.name + " ON DATABASE " + database + " TO " + grantee
	if t.grantable {
		sql += " WITH GRANT OPTION"
	}
	if t.value != "" { // a grant is of the role that makes it
		sql = "SET LOCAL ROLE " + Identifier(t.value) + "; " + sql + "; RESET ROLE"
	}
	return sql
}

// quotedLists are the parameters whose values are stored as lists of quoted names
// (GUC_LIST_QUOTE in the server's source). SET … TO quotes what it is given once
// more, so a stored list would become one name. No extension may have one.
var quotedLists = []string{"local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces"}

// GiveTraits gives the traits to a database, in one round trip, and returns its
// likeness: see [Likeness]. Those that the server refuses are left out, and told.
func GiveTraits(ctx context.Context, conn *pgx.Conn, database string, traits []Trait) (likeness string, refused []Refusal, err error) {
	tell := "SELECT " + LikenessOf + " FROM pg_catalog.pg_database d WHERE d.datname = " + Literal(database)
	run := func(statements ...string) (last string, err error) {
		// The simple protocol runs all of them in one transaction.
		results, err := conn.PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
		if err != nil {
			return "", err
		}
		if rows := results[len(results)-1].Rows; len(rows) == 1 {
			last = string(rows[0][0])
		}
		return last, nil
	}
	var all []string
	for _, t := range traits {
		all = append(all, t.statement(database))
	}
	likeness, err = run(append(all, tell)...)
	if !isRefused(err) {
		return likeness, nil, err
	}
	for i, statement := range all {
		switch _, err := run(statement); {
		case isRefused(err):
			refused = append(refused, Refusal{traits[i], err})
		case err != nil:
			return "", nil, err
		}
	}
	likeness, err = run(tell)
	return likeness, refused, err
}

func isRefused(err error) bool {
	refused := (*pgconn.PgError)(nil)
	return errors.As(err, &refused)
}
