package readme_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// class tells of a class of errors what docs/errors.md says before its texts.
type class struct{ name, means, do string }

// classes are all that internal/errs declares, in the order of the page.
var classes = []class{
	{"ErrInvalidArgument", "An argument, an option or a struct means nothing, or does not fit. Nothing was done.", "Change the call: the text names the argument and what would fit."},
	{"ErrInvalidName", "The name of a snapshot is empty, too long, or would leave the folder or mean something to the file system.", "Choose a plain name, such as `baseline`."},
	{"ErrUnsafeDatabase", "The database is not a test database by its name. It was not changed.", "Rename it, so that a word of its name is test, let `fixtures.Open` make one, or allow it by name with `AllowDatabase`. A name with the word prod, production, live or staging is always refused."},
	{"ErrNotFound", "There is no such snapshot, or no server to be had.", "Make the snapshot with `Create` or `Ensure`; for a server do one of the things that the text lists."},
	{"ErrExists", "`Create` found a snapshot of that name.", "Use `Ensure`, or `Create` with `Replace()`."},
	{"ErrCorrupt", "A snapshot file is damaged. No row of it was loaded.", "Delete it and make it anew, or use `Ensure`, which does so by itself. Where it happens again look at how the file is kept: git's conversion of line ends, a cache that cuts, a full disk."},
	{"ErrSchemaMismatch", "The snapshot was made with another schema than the database has. The text lists each difference.", "Make it anew (`Ensure` does), or load it all the same with `OnSchemaMismatch(Warn)`."},
	{"ErrDiskSpace", "A disk is full, or has not the room that is needed: the snapshots' folder, the cache, or the server's disk. What was there before is as it was.", "Make room, or name another folder (`WithDir`, `GROUNDHOG_DIR`, `TMPDIR`)."},
	{"ErrLocked", "Somebody else holds what is needed, for longer than the limit. The text names them: process, application, state, statement, since when.", "End what is in the way, close transactions before the test ends, or use `TerminateBlockers()`; tests that run at the same time need a `Clone` each."},
	{"ErrConnection", "The server does not answer, or the connection was lost and could not be made again.", "See whether the server runs and has free connections. Passwords are never in the text."},
	{"ErrCommitUnknown", "The connection was lost in the middle of a COMMIT, and nobody can tell whether the rows are stored.", "Look at the table, or begin with a new database."},
}

// texts of errors whose class is that of the error beneath them: a lost connection, a
// lock, or none.
const ofTheCause = "any class, or none: that of the error that follows the text"

// helpers make errors out of a text of the catalogue. What they don't say by
// themselves is the class of the cause.
var helpers = map[string]string{
	"invalid": "ErrInvalidArgument", "refuse": "ErrInvalidArgument", "explain": ofTheCause, "failed": ofTheCause,
	"Add": "ErrInvalidArgument", "AddCause": "ErrInvalidArgument",
}

// TestErrorsPage writes docs/errors.md out of the catalogue and of how the code uses
// it, and compares. Write it again with: GROUNDHOG_RECORD=1 go test ./internal/readme
func TestErrorsPage(t *testing.T) {
	t.Parallel()
	want := errorsPage(t)
	const path = "../../docs/errors.md"
	if os.Getenv("GROUNDHOG_RECORD") != "" {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "write it again with GROUNDHOG_RECORD=1 go test ./internal/readme")
}

func errorsPage(t *testing.T) string {
	t.Helper()
	catalogue := catalogueTexts(t)
	used := map[string]map[string]bool{} // by class, the names of texts
	exported := map[string][]string{}    // by class, the packages that export it
	var types strings.Builder
	for _, root := range []string{"bulk", "snapshot", "fixtures", "internal"} {
		files := sources(t, "../../"+root)
		for _, file := range files {
			findErrors(file, func(class, text string) {
				if used[class] == nil {
					used[class] = map[string]bool{}
				}
				used[class][text] = true
			})
			for _, name := range declared(file, "Err") {
				if root != "internal" && !slices.Contains(exported[name], root) {
					exported[name] = append(exported[name], root)
				}
			}
		}
		if root == "bulk" {
			errorTypes(t, &types)
		}
	}
	for _, name := range declared(sources(t, "../errs")[0], "Err") {
		require.True(t, slices.ContainsFunc(classes, func(c class) bool { return c.name == name }), "%s has no entry in this page", name)
		require.NotEmpty(t, exported[name], "no package exports %s", name)
	}

	var out strings.Builder
	out.WriteString(`# Errors

What groundhog's errors mean and what to do about them. This page is made of the code
(` + "`GROUNDHOG_RECORD=1 go test ./internal/readme`" + `): each text is listed as it is written, with %s and the like where names and numbers stand, in the
language that ` + "`GROUNDHOG_LANG`" + ` chooses.

In code an error is told by its class, and has its facts in a type; neither depends on the language:

` + "```go" + `
import (
	"errors"

	"github.com/groundhogdb/groundhog/bulk"
)

func describe(err error) string {
	var refused *bulk.ConstraintError
	switch {
	case errors.Is(err, bulk.ErrConnection):
		return "try again later"
	case errors.As(err, &refused):
		return refused.Table + ": " + refused.Constraint
	}
	return err.Error()
}
` + "```" + `

| class | in | means |
|---|---|---|
`)
	for _, c := range classes {
		fmt.Fprintf(&out, "| [`%s`](#%s) | %s | %s |\n", c.name, strings.ToLower(c.name), strings.Join(exported[c.name], ", "), c.means)
	}
	out.WriteString("\n## Types\n\n" + types.String())
	for _, c := range append(slices.Clone(classes), class{name: ofTheCause}) {
		texts := slices.Collect(maps.Keys(used[c.name]))
		slices.SortFunc(texts, func(a, b string) int { return strings.Compare(catalogue[a][0], catalogue[b][0]) })
		if c.name == ofTheCause {
			out.WriteString("## Texts of any class\n\nThe class, if any, is that of the error that follows the text: a lost connection, a lock, a full disk. Where there is none,\n" +
				"the server or the file system said something else, which stands after the text.\n")
		} else {
			fmt.Fprintf(&out, "## %s\n\n%s\n\n**What to do.** %s\n", c.name, c.means, c.do)
		}
		if len(texts) > 0 {
			out.WriteString("\n| English | 日本語 |\n|---|---|\n")
		}
		for _, name := range texts {
			fmt.Fprintf(&out, "| %s | %s |\n", cell(catalogue[name][0]), cell(catalogue[name][1]))
		}
		out.WriteString("\n")
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", `\<`).Replace(strings.TrimSpace(text))
}

// sources parses the Go files below a folder that are no tests.
func sources(t *testing.T, root string) (files []*ast.File) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			if err == nil && item.IsDir() && path != root {
				if _, e := os.Stat(filepath.Join(path, "go.mod")); e == nil {
					return filepath.SkipDir
				}
			}
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		files = append(files, file)
		return err
	}))
	return files
}

// catalogueTexts reads the texts that internal/msg defines, in English and Japanese.
func catalogueTexts(t *testing.T) map[string][2]string {
	t.Helper()
	texts := map[string][2]string{}
	for _, file := range sources(t, "../msg") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			call, ok := spec.Values[0].(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); !ok || f.Name != "Define" {
				return true
			}
			texts[spec.Names[0].Name] = [2]string{literal(t, call.Args[0]), literal(t, call.Args[1])}
			return true
		})
	}
	require.NotEmpty(t, texts)
	return texts
}

// literal is the value of a text, or of texts that are added.
func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		require.NoError(t, err)
		return text
	case *ast.BinaryExpr:
		return literal(t, e.X) + literal(t, e.Y)
	}
	require.Fail(t, "a text of the catalogue is no literal")
	return ""
}

// declared lists the variables of a file that begin with a prefix.
func declared(file *ast.File, prefix string) (names []string) {
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.VAR {
			continue
		}
		for _, spec := range decl.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if strings.HasPrefix(name.Name, prefix) {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// findErrors tells the texts of the catalogue that a file makes errors of.
func findErrors(file *ast.File, found func(class, text string)) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		class := ""
		switch f := call.Fun.(type) {
		case *ast.Ident:
			class = helpers[f.Name]
		case *ast.SelectorExpr:
			class = helpers[f.Sel.Name]
			if x, ok := f.X.(*ast.Ident); ok && x.Name == "errs" && f.Sel.Name == "New" {
				class = ofTheCause
				if name := nameOf(call.Args[0]); strings.HasPrefix(name, "Err") {
					class = name
				}
			}
		}
		if class == "" {
			return true
		}
		for _, arg := range call.Args {
			if name := textOf(arg); name != "" {
				found(class, name)
			}
		}
		return true
	})
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// textOf is the name of the text in msg.Name or msg.Name.In(…).
func textOf(e ast.Expr) string {
	if call, ok := e.(*ast.CallExpr); ok {
		if in, ok := call.Fun.(*ast.SelectorExpr); ok && in.Sel.Name == "In" {
			e = in.X
		}
	}
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "msg" {
			return s.Sel.Name
		}
	}
	return ""
}

// errorTypes writes what the types of errors say of themselves.
func errorTypes(t *testing.T, out *strings.Builder) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	paths, err := filepath.Glob("../../bulk/*.go")
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(fset, files, "example.com/bulk")
	require.NoError(t, err)
	for _, typ := range p.Types {
		if !strings.HasSuffix(typ.Name, "Error") {
			continue
		}
		fmt.Fprintf(out, "### *bulk.%s\n\n%s\n\n", typ.Name, strings.TrimSpace(typ.Doc))
		for _, field := range typ.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType).Fields.List {
			if !field.Names[0].IsExported() {
				continue
			}
			names := make([]string, len(field.Names))
			for i, name := range field.Names {
				names[i] = "`" + name.Name + "`"
			}
			text := strings.Join(strings.Fields(field.Doc.Text()+field.Comment.Text()), " ")
			out.WriteString(strings.TrimSuffix("- "+strings.Join(names, ", ")+": "+text, ": ") + "\n")
		}
		out.WriteString("\n")
	}
}
