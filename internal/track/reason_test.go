package track

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/msg"
)

// TestReasonsAreDeclaredOnce: each constant has a text, and the name that templates call
// it by is its own.
func TestReasonsAreDeclaredOnce(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	declared := map[string]string{}
	for _, d := range file.Decls {
		consts, ok := d.(*ast.GenDecl)
		if !ok || consts.Tok != token.CONST {
			continue
		}
		for _, spec := range consts.Specs {
			v := spec.(*ast.ValueSpec)
			if of, ok := v.Type.(*ast.Ident); ok && of.Name == "Reason" {
				declared[v.Names[0].Name] = v.Values[0].(*ast.BasicLit).Value
			}
		}
	}
	require.NotEmpty(t, declared)
	listed := map[string]string{}
	for name, reason := range names {
		listed[name] = `"` + string(reason) + `"`
		for _, lang := range []msg.Lang{msg.English, msg.Japanese} {
			text := Cause{Reason: reason, Server: "said"}.Text(lang)
			require.NotEmpty(t, text)
			require.NotContains(t, text, "%!", name)
			require.NotContains(t, text, string(reason)+"said", name)
		}
	}
	require.Equal(t, declared, listed)
	require.Len(t, texts, len(names)-2, "all but Refused and Constraint, whose texts tell what the server said")
}

// TestSQLNamesReasons: no file of SQL holds the value of a reason as a literal.
func TestSQLNamesReasons(t *testing.T) {
	t.Parallel()
	values := ""
	for _, reason := range names {
		values += "|" + regexp.QuoteMeta(string(reason))
	}
	literal := regexp.MustCompile(`'(` + values[1:] + `)'`)
	files, err := fs.Glob(sqlFiles, "sql/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		sql, err := sqlFiles.ReadFile(name)
		require.NoError(t, err)
		require.Empty(t, literal.FindAllString(string(sql), -1), "%s: name it: {{.Reason.…}}", name)
	}
}

// TestCausesAreRead as they were written: the database keeps them as texts.
func TestCausesAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []Cause{{}, Truncated.Because(), {Refused, `permission denied: "x"`}, {Refused, ""}, {Refused, "refused: again"}} {
		require.Equal(t, c, causeOf(c.String()))
	}
	require.Equal(t, "the server's words", Said("the server's words").Text(msg.English))
	require.True(t, Cause{}.IsZero())
}
