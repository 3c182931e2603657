package readme_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	{"ErrDiskSpace", "A disk is full, or has not the room that is needed: the snapshots' folder, the cache, or the server's disk. What was there before is as it was.", "Make room, or name another folder (`WithDir`, `GROUNDHOG_DIR`, `TMPDIR`). Where the data of a private server lies in memory, `GROUNDHOG_MEMORY=0` has it on disk."},
	{"ErrLocked", "Somebody else holds what is needed, for longer than the limit. The text names them: process, application, state, statement, since when.", "End what is in the way, close transactions before the test ends, or use `TerminateBlockers()`; tests that run at the same time need a `Clone` each."},
	{"ErrConnection", "The server does not answer, or the connection was lost and could not be made again.", "See whether the server runs and has free connections. Passwords are never in the text."},
	{"ErrPermission", "The role lacks a privilege, or the process may not read or write a file.", "Grant what the text names, or connect as another role. groundhog needs no superuser."},
	{"ErrConflict", "What is in the database does not go together with what would be written: rows outside the scope reference rows that the snapshot lacks, or triggers change or drop rows while they are loaded. Nothing was changed.", "Widen the scope, disable what the text names in the test database, or begin with a new database."},
	{"ErrUnsupported", "The database has something that a snapshot cannot hold.", "Remove it in the test database, as the text says."},
	{"ErrSetup", "What the caller gave to set up a database failed: a builder, a migration, or the SQL of a schema. The cause stands after the text, and `errors.Is` finds it.", "Correct the function or the SQL."},
	{"ErrCommitUnknown", "The connection was lost in the middle of a COMMIT, and nobody can tell whether the rows are stored.", "Look at the table, or begin with a new database."},
}

// In place of a class: texts around an error that the server, the connection or the file
// system gave, whose class is [errs.Class]'s; texts that stand within those of other
// errors; and texts of errors that have no class, though they should.
const (
	ofTheCause = "the cause's"
	reason     = "a reason"
	missing    = "none"
)

// reasons are the packages below fixtures that say why a server can't be used. What they
// return stands within the text of the error that fixtures returns.
var reasons = []string{"fixtures/internal/cluster", "fixtures/internal/docker", "fixtures/internal/download"}

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

// TestEveryErrorHasAClass: an error has a class, or is the server's own.
func TestEveryErrorHasAClass(t *testing.T) {
	t.Parallel()
	require.Empty(t, slices.Collect(maps.Keys(errorTexts(t)[missing])))
}

func errorsPage(t *testing.T) string {
	t.Helper()
	c := load(t, linux)
	catalogue := map[string][2]string{}
	for v, words := range c.texts {
		catalogue[v.Name()] = words
	}
	used := errorTexts(t)
	list := func(out *strings.Builder, class string) {
		texts := slices.Collect(maps.Keys(used[class]))
		slices.SortFunc(texts, func(a, b string) int { return strings.Compare(catalogue[a][0], catalogue[b][0]) })
		if len(texts) > 0 {
			out.WriteString("\n| English | 日本語 |\n|---|---|\n")
		}
		for _, name := range texts {
			fmt.Fprintf(out, "| %s | %s |\n", cell(catalogue[name][0]), cell(catalogue[name][1]))
		}
		out.WriteString("\n")
	}
	exported := map[string][]string{} // by class, the packages that export it
	var shown strings.Builder
	for _, root := range []string{"bulk", "snapshot", "fixtures"} {
		for _, file := range sources(t, "../../"+root) {
			for _, name := range declared(file, "Err") {
				if !slices.Contains(exported[name], root) {
					exported[name] = append(exported[name], root)
				}
			}
		}
		if root == "bulk" {
			errorTypes(t, &shown, list)
		}
	}
	known := 0
	for _, file := range sources(t, "../errs") {
		for _, name := range declared(file, "Err") {
			known++
			require.True(t, slices.ContainsFunc(classes, func(c class) bool { return c.name == name }), "%s has no entry in this page", name)
			require.NotEmpty(t, exported[name], "no package exports %s", name)
		}
	}
	require.Len(t, classes, known)

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
	out.WriteString("\n## Types\n\n" + shown.String())
	for _, c := range classes {
		fmt.Fprintf(&out, "## %s\n\n%s\n\n**What to do.** %s\n", c.name, c.means, c.do)
		list(&out, c.name)
	}
	out.WriteString(`## The server's own errors

These texts say what was done. What the server, the connection or the file system said follows, and decides the class: ` + "`ErrConnection`, `ErrLocked`, `ErrDiskSpace`\nor `ErrPermission`" + `.
An error of another kind has no class. It is the server's own (` + "`errors.As` finds the `*pgconn.PgError`), the file system's (`*fs.PathError`), or that of a context that\nended (`context.Canceled`, `context.DeadlineExceeded`" + `).
`)
	list(&out, ofTheCause)
	out.WriteString("## Reasons\n\nThese texts stand within the text of another error, such as why a place has no server that can be used. The class is that error's.\n")
	list(&out, reason)
	if len(used[missing]) > 0 {
		out.WriteString("## Without a class\n\nThe text says all.\n")
		list(&out, missing)
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

// errorTexts returns the names of the texts that the module makes errors of, by class.
func errorTexts(t *testing.T) map[string]map[string]bool {
	t.Helper()
	e := errorCalls{code: load(t, linux), found: map[string]map[string]bool{}, done: map[string]bool{}}
	e.calls(func(call *ast.CallExpr) {
		switch f := e.callee(call); {
		case isFunc(f, errsPath, "New"):
			e.add(call.Args[0], call.Args[1])
		case isFunc(f, optionPath, "Add"):
			e.note("ErrInvalidArgument", call.Args[0])
		case isFunc(f, optionPath, "AddCause"):
			e.note("ErrInvalidArgument", call.Args[1])
		case isFunc(f, optionPath, "AddClass"):
			e.add(call.Args[0], call.Args[1])
		case isFunc(f, "errors", "New"), isFunc(f, "fmt", "Errorf"):
			says := slices.ContainsFunc(reasons, func(pkg string) bool { return strings.HasPrefix(e.file(call), pkg+"/") })
			format := e.info.Types[call.Args[0]].Value
			adds := format != nil && strings.HasPrefix(constant.StringVal(format), "%w") // to the text of an error
			for _, arg := range call.Args {
				if says || adds {
					e.note(reason, arg)
				} else {
					e.note(missing, arg)
				}
			}
		}
	})
	for _, p := range e.packages {
		for _, name := range p.Types.Scope().Names() {
			o := p.Types.Scope().Lookup(name)
			fields, ok := o.Type().Underlying().(*types.Struct)
			if _, isType := o.(*types.TypeName); !ok || !isType || !o.Exported() || !strings.HasSuffix(name, "Error") {
				continue
			}
			for field := range fields.Fields() {
				for _, source := range e.code.sources[field] {
					if field.Name() == "text" {
						e.note(name, source)
					}
				}
			}
		}
	}
	return e.found
}

// errorCalls are the calls that make errors.
type errorCalls struct {
	*code
	found map[string]map[string]bool
	done  map[string]bool
}

// add notes the texts of an error that is made of a class and a text.
func (e *errorCalls) add(class, text ast.Expr) {
	for _, name := range e.classesOf(class, map[types.Object]bool{}) {
		e.note(name, text)
	}
}

// note notes the texts that an expression may be. Parameters are followed to the calls.
// What is added to a text is a reason.
func (e *errorCalls) note(class string, from ast.Expr) {
	for sum, ok := from.(*ast.BinaryExpr); ok; sum, ok = from.(*ast.BinaryExpr) {
		e.note(reason, sum.Y)
		from = sum.X
	}
	texts, _ := e.textsOf(from)
	for _, text := range texts {
		switch {
		case text.param != nil:
			place := e.params[text.param]
			key := fmt.Sprint(class, e.at(from), text.param.Name())
			if e.done[key] {
				continue
			}
			e.done[key] = true
			for _, caller := range e.callers[place.function] {
				if place.index < len(caller.Args) {
					e.note(class, caller.Args[place.index])
				}
			}
		case text.name != "":
			if e.found[class] == nil {
				e.found[class] = map[string]bool{}
			}
			e.found[class][text.name] = true
		}
	}
}

// classesOf returns the names of the classes that an expression may be.
func (e *errorCalls) classesOf(class ast.Expr, seen map[types.Object]bool) (names []string) {
	if call, ok := class.(*ast.CallExpr); ok && isFunc(e.callee(call), errsPath, "Class") {
		return []string{ofTheCause}
	}
	o := e.object(class)
	switch {
	case o == nil || o == types.Universe.Lookup("nil"):
		return []string{missing}
	case o.Pkg() != nil && o.Pkg().Path() == errsPath:
		return []string{o.Name()}
	case seen[o]:
		return nil
	}
	seen[o] = true
	if e.unset[o] {
		names = append(names, ofTheCause)
	}
	if v, ok := o.(*types.Var); ok {
		place := e.params[v]
		for _, caller := range e.callers[place.function] {
			names = append(names, e.classesOf(caller.Args[place.index], seen)...)
		}
	}
	for _, source := range e.code.sources[o] {
		names = append(names, e.classesOf(source, seen)...)
	}
	return names
}

// errorTypes writes what the types of errors say of themselves.
func errorTypes(t *testing.T, out *strings.Builder, list func(out *strings.Builder, class string)) {
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
		list(out, typ.Name)
	}
}
