package readme_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each exported function has an example of its own, where pkg.go.dev shows it. For a
// method one of its type will do that calls it.
func TestEveryFunctionHasAnExample(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bulk", "snapshot", "fixtures"} {
		fset := token.NewFileSet()
		paths, err := filepath.Glob("../../" + name + "/*.go")
		require.NoError(t, err)
		var files []*ast.File
		for _, path := range paths {
			file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			require.NoError(t, err)
			files = append(files, file)
		}
		require.Empty(t, unshown(t, fset, files), name)
	}
}

func TestUnshownFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	var files []*ast.File
	for name, code := range map[string]string{
		"p.go": `package p
			func F() {}
			func G() T { return T{} }
			func unexported() {}
			type T struct{}
			func (T) Called() {}
			func (*T) Own() {}
			func (T) Missing() {}
			type U struct{}
			func (U) Missing() {}`,
		"p_test.go": `package p_test
			func ExampleF() {}
			func ExampleT() { var t p.T; t.Called() }
			func ExampleT_Own() {}
			func ExampleG_second() { p.G().Missing() }`,
	} {
		file, err := parser.ParseFile(fset, name, code, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	require.Equal(t, []string{"T.Missing", "U.Missing"}, unshown(t, fset, files))
}

// unshown lists the exported functions and methods that no example shows.
func unshown(t *testing.T, fset *token.FileSet, files []*ast.File) (missing []string) {
	t.Helper()
	p, err := doc.NewFromFiles(fset, files, "example.com/p")
	require.NoError(t, err)
	functions := p.Funcs
	for _, typ := range p.Types {
		functions = append(functions, typ.Funcs...)
		called := calls(typ.Examples)
		for _, m := range typ.Methods {
			if len(m.Examples) == 0 && !called[m.Name] {
				missing = append(missing, typ.Name+"."+m.Name)
			}
		}
	}
	for _, f := range functions {
		if len(f.Examples) == 0 {
			missing = append(missing, f.Name)
		}
	}
	slices.Sort(missing)
	return missing
}

// calls tells the names of what examples select: those of methods that they call are among them.
func calls(examples []*doc.Example) map[string]bool {
	names := map[string]bool{}
	for _, e := range examples {
		for n := range ast.Preorder(e.Code) {
			if s, ok := n.(*ast.SelectorExpr); ok {
				names[s.Sel.Name] = true
			}
		}
	}
	return names
}
