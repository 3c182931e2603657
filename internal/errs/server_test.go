package errs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
)

// TestTheServersWords: DETAIL, HINT and CONTEXT stand after the message of the server,
// once, however deep that is.
func TestTheServersWords(t *testing.T) {
	t.Parallel()
	memory := &pgconn.PgError{Severity: "ERROR", Code: "53200", Message: "out of shared memory",
		Hint: `You might need to increase "max_locks_per_transaction".`}
	const memoryText = "ERROR: out of shared memory (SQLSTATE 53200)\nHINT: You might need to increase \"max_locks_per_transaction\"."
	unique := &pgconn.PgError{Severity: "ERROR", Code: "23505", Message: "duplicate key", Detail: "Key (id)=(1) already exists.", Where: "COPY n, line 7"}
	const uniqueText = "ERROR: duplicate key (SQLSTATE 23505)\nDETAIL: Key (id)=(1) already exists."
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("plain"), "plain"},
		{"nothing more", &pgconn.PgError{Severity: "FATAL", Code: "28P01", Message: "no"}, "FATAL: no (SQLSTATE 28P01)"},
		{"bare", memory, memoryText},
		{"wrapped", fmt.Errorf("public.n: %w", memory), "public.n: " + memoryText},
		{"a text after it", fmt.Errorf("%w\nthe log ends here", memory), memoryText + "\nthe log ends here"},
		{"ours", errs.New(nil, "not made", memory), "groundhog: not made: " + memoryText},
		{"ours in ours", errs.New(nil, "not made", errs.New(nil, "inner", memory)), "groundhog: not made: inner: " + memoryText},
		{"ours in another's in ours", errs.New(nil, "not made", fmt.Errorf("outer: %w", errs.New(nil, "inner", errs.New(nil, "core", memory)))),
			"groundhog: not made: outer: inner: core: " + memoryText},
		{"several of ours in ours", errs.New(nil, "not made", errors.Join(errs.New(nil, "one", nil), errors.New("two"), errs.New(nil, "three", nil))),
			"groundhog: not made: one\ntwo\nthree"},
		{"ours in another's", fmt.Errorf("outer: %w", errs.New(nil, "inner", memory)), "outer: groundhog: inner: " + memoryText},
		{"joined twice", errors.Join(memory, errs.New(nil, "again", memory)), "ERROR: out of shared memory (SQLSTATE 53200)\ngroundhog: again: " + memoryText},
		{"two", errors.Join(unique, memory), uniqueText + "\nCONTEXT: COPY n, line 7\n" + memoryText},
		{"in the text already", errs.New(nil, "Key (id)=(1) already exists.", unique),
			"groundhog: Key (id)=(1) already exists.: ERROR: duplicate key (SQLSTATE 23505)\nCONTEXT: COPY n, line 7"},
		{"not in the text of who wraps it", hidden{memory}, "secret\nHINT: You might need to increase \"max_locks_per_transaction\"."},
		{"a function of ours", &pgconn.PgError{Severity: "ERROR", Code: "P0001", Message: "m", Where: "PL/pgSQL function f() line 3 at RAISE\nPL/pgSQL function groundhog.undo_1(xid,bigint) line 5"},
			"ERROR: m (SQLSTATE P0001)\nCONTEXT: PL/pgSQL function f() line 3 at RAISE"},
		{"a long one", &pgconn.PgError{Severity: "ERROR", Code: "P0001", Message: "m", Where: strings.Repeat("あ", 700)},
			"ERROR: m (SQLSTATE P0001)\nCONTEXT: " + strings.Repeat("あ", 600) + "…"},
		{"passwords", &pgconn.PgError{Severity: "ERROR", Code: "42704", Message: "m", Where: `SQL statement "ALTER ROLE x PASSWORD 's3c''ret'"` +
			"\n" + `SQL statement "CREATE ROLE y ENCRYPTED PASSWORD E's3c\'ret' LOGIN"` +
			"\n" + `SQL statement "SELECT dblink_connect('host=h password=s3cret dbname=d')"` +
			"\n" + `SQL statement "CREATE USER MAPPING FOR x SERVER s OPTIONS (user 'u', password 's3cret')"` +
			"\n" + `at postgres://u:s3cret@h/d`},
			"ERROR: m (SQLSTATE 42704)\nCONTEXT: SQL statement \"ALTER ROLE x PASSWORD …\"\nSQL statement \"CREATE ROLE y ENCRYPTED PASSWORD … LOGIN\"" +
				"\nSQL statement \"SELECT dblink_connect('host=h password=… dbname=d')\"\nSQL statement \"CREATE USER MAPPING FOR x SERVER s OPTIONS (user 'u', password …)\"\nat postgres://u:…@h/d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			told := errs.Tell(c.err)
			require.EqualError(t, told, c.want)
			inner := strings.ReplaceAll(c.want, "groundhog: ", "")
			require.Equal(t, inner, errs.Text(c.err))
			require.Equal(t, inner, errs.Text(told))
			require.EqualError(t, errs.New(nil, "over", told), "groundhog: over: "+inner)
			require.ErrorIs(t, told, c.err)
			require.NotContains(t, errs.Line(c.err), "\n")
		})
	}
	require.NoError(t, errs.Tell(nil))
	require.Equal(t, "groundhog: row 3: "+uniqueText, errs.DescribeRow("groundhog: row 3", unique))
}

// hidden is an error that does not pass on the text of its cause.
type hidden struct{ cause error }

func (hidden) Error() string   { return "secret" }
func (h hidden) Unwrap() error { return h.cause }
