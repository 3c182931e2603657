// Package readme_test compiles the Go that README.md and docs show.
package readme_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is a Go block of a Markdown file.
type block struct {
	file string
	line int // of its first line
	code string
}

func TestBlocksCompile(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	var all []block
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		all = append(all, blocks(filepath.Base(page), string(text))...)
	}
	require.NotEmpty(t, all, "no Go block was found")
	said, err := vet(t, all)
	require.NoError(t, err, said)
}

// The Japanese page shows the same code and leads to the same places.
func TestJapanesePageIsTheSame(t *testing.T) {
	t.Parallel()
	english, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	japanese, err := os.ReadFile("../../docs/README.ja.md")
	require.NoError(t, err)
	for what, find := range map[string]func(string) []string{
		"code": func(text string) []string {
			var out []string
			for _, block := range regexp.MustCompile("(?ms)^```.*?^```").FindAllString(text, -1) {
				// The comments are translated.
				out = append(out, regexp.MustCompile(`[ \t]*(//|# ?).*`).ReplaceAllString(block, ""))
			}
			return out
		},
		"headings": func(text string) []string { return regexp.MustCompile(`(?m)^#+ `).FindAllString(text, -1) },
		"code in tables": func(text string) []string {
			var out []string
			for _, row := range regexp.MustCompile(`(?m)^\|.*`).FindAllString(text, -1) {
				out = append(out, regexp.MustCompile("`[^`]*`").FindAllString(row, -1)...)
			}
			slices.Sort(out)
			return out
		},
	} {
		of, _, found := strings.Cut(string(english), "## 日本語")
		require.True(t, found)
		require.NotEmpty(t, find(of))
		require.Equal(t, find(of), find(string(japanese)), what)
	}
}

// A link to a file of the repository that is not there helps nobody.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if file, _, _ := strings.Cut(link[1], "#"); file != "" && !strings.Contains(file, "://") {
				_, err := os.Stat(filepath.Join(filepath.Dir(page), file))
				require.NoError(t, err, page)
			}
		}
	}
}

func TestVetFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"a file": {
			"```go\npackage x\n\nfunc f() { undefined() }\n```\n",
			"page.md:4:12: undefined: undefined",
		},
		"declarations": {
			"# Title\n\n```go\nfunc TestX(t *testing.T) {\n\tsnapshot.Restor(t, \"baseline\")\n}\n```\n",
			"page.md:5:11: undefined: snapshot.Restor",
		},
		"statements": {
			"1. in a list:\n\n   ```go\n   db := fixtures.DB(t)\n   bulk.Offices(t, db, \"many\")\n   ```\n",
			"page.md:5:21: cannot use \"many\"",
		},
		"what is no Go": {
			"```go\nfor for for\n```\n",
			"page.md:2",
		},
		"a format": {
			"```go\nt.Errorf(\"%d\", \"text\")\n```\n",
			"page.md:2:11: (*testing.common).Errorf format %d",
		},
		"the second block": {
			"```go\nvar x = 1\n```\n\n```sh\nfor\n```\n\n```go\nvar x = \"1\" + 1\n```\n",
			"page.md:10:9: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, err := vet(t, blocks("page.md", tc.text))
			require.Error(t, err)
			require.Contains(t, said, tc.want)
		})
	}
}

func TestVetPassesWhatIsRight(t *testing.T) {
	t.Parallel()
	said, err := vet(t, blocks("page.md", strings.Join([]string{
		"```go\npackage main\n\nfunc main() {}\n```\n",
		"```go\nfunc TestX(t *testing.T) { snapshot.Restore(t, \"x\") }\n```\n",
		"```go\noffices := bulk.Offices(t, db, 100)\nbulk.Staffs(t, db, offices, 10)\n```\n",
		"```go\nstore, err := snapshot.NewStore(db)\n```\n",
		"```sql\nnot Go\n```\n",
	}, "\nText.\n\n")))
	require.NoError(t, err, said)
}

var fence = regexp.MustCompile("(?m)^([ \t]*)```go[^\n]*\n((?s:.*?))^[ \t]*```")

func blocks(file, text string) []block {
	var out []block
	for _, at := range fence.FindAllStringSubmatchIndex(text, -1) {
		indent, code := text[at[2]:at[3]], text[at[4]:at[5]]
		lines := strings.SplitAfter(code, "\n")
		for i := range lines {
			lines[i] = strings.TrimPrefix(lines[i], indent)
		}
		out = append(out, block{
			file: file,
			line: strings.Count(text[:at[4]], "\n") + 1,
			code: strings.Join(lines, ""),
		})
	}
	return out
}

// vet compiles the blocks as a user of the module would, each in a package of
// its own, and returns what go vet says.
func vet(t *testing.T, all []block) (said string, err error) {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	// The same requirements as the module's own, so that nothing is downloaded.
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	mod = regexp.MustCompile(`(?m)^module .*$`).ReplaceAll(mod, []byte("module example.com/page"))
	mod = fmt.Appendf(mod, "\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n", module, root)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600))
	for i, b := range all {
		folder := filepath.Join(dir, fmt.Sprintf("block%02d", i+1))
		require.NoError(t, os.Mkdir(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "block_test.go"), []byte(source(b)), 0o600))
	}
	cmd := exec.Command("go", "vet", "-mod=mod", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

const module = "github.com/groundhogdb/groundhog"

// known are the packages that a block may use without importing them.
var known = map[string]string{
	"bulk":     module + "/bulk",
	"context":  "context",
	"errors":   "errors",
	"fixtures": module + "/fixtures",
	"fmt":      "fmt",
	"fs":       "io/fs",
	"iter":     "iter",
	"log":      "log",
	"os":       "os",
	"pgconn":   "github.com/jackc/pgx/v5/pgconn",
	"pgx":      "github.com/jackc/pgx/v5",
	"pgxpool":  "github.com/jackc/pgx/v5/pgxpool",
	"require":  "github.com/stretchr/testify/require",
	"slog":     "log/slog",
	"snapshot": module + "/snapshot",
	"strings":  "strings",
	"testing":  "testing",
	"time":     "time",
	"uuid":     "github.com/google/uuid",
}

// source makes a file of a block: a whole file stays as it is; declarations get
// a package and imports; statements get, besides, a function that has a test, a
// context and a database. Its lines are those of the page.
func source(b block) string {
	at := fmt.Sprintf("/*line %s:%d:1*/", b.file, b.line)
	if _, err := parse(b.code); err == nil {
		return at + b.code
	}
	if f, err := parse("package page\n" + b.code); err == nil {
		if len(f.Imports) > 0 {
			return "package page\n" + at + b.code
		}
		return "package page\n" + imports(f) + at + b.code
	}
	const head, tail = "func _(t *testing.T, ctx context.Context, db *pgxpool.Pool) {{\n", "\n}}\n"
	f, err := parse("package page\n" + head + b.code + tail)
	if err != nil {
		return "package page\n" + at + b.code // go vet says what is wrong
	}
	return "package page\n" + imports(f) + head + at + b.code + uses(f) + tail
}

func parse(code string) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", code, 0)
}

// imports imports the known packages that the file names.
func imports(f *ast.File) string {
	var names []string
	for _, ident := range f.Unresolved {
		if known[ident.Name] != "" && !slices.Contains(names, ident.Name) {
			names = append(names, ident.Name)
		}
	}
	var out strings.Builder
	for _, name := range names {
		fmt.Fprintf(&out, "import %q\n", known[name])
	}
	return out.String()
}

// uses uses the variables that the statements declare, since a fragment may
// leave that to what comes after it.
func uses(f *ast.File) string {
	var out strings.Builder
	body := f.Decls[len(f.Decls)-1].(*ast.FuncDecl).Body.List[0].(*ast.BlockStmt)
	for _, statement := range body.List {
		assign, ok := statement.(*ast.AssignStmt)
		if !ok || assign.Tok != token.DEFINE {
			continue
		}
		for _, left := range assign.Lhs {
			if ident, ok := left.(*ast.Ident); ok && ident.Name != "_" {
				fmt.Fprintf(&out, "\n_ = %s", ident.Name)
			}
		}
	}
	return out.String()
}
