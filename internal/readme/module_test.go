package readme_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

const (
	modulePath = "github.com/groundhogdb/groundhog"
	msgPath    = modulePath + "/internal/msg"
	errsPath   = modulePath + "/internal/errs"
	optionPath = modulePath + "/internal/option"
)

// build is what a platform makes of the module.
type build struct{ system, tags string }

var linux = build{"linux", ""}

// code is the module's packages without their tests, with types.
type code struct {
	fset     *token.FileSet
	packages []*packages.Package
	root     string     // the folder of the module
	info     types.Info // of all files

	texts    map[*types.Var][2]string      // English and Japanese, of variables of the catalogue
	sources  map[types.Object][]ast.Expr   // what a variable or field is set to, or a function returns
	params   map[*types.Var]param          // of functions
	literals map[types.Object]*ast.FuncLit // functions in local variables
	unset    map[types.Object]bool         // variables that are declared without a value
	callers  map[any][]*ast.CallExpr       // by what they call
}

// param is a parameter's place: the function's object, or its literal.
type param struct {
	function any
	index    int
}

var loaded sync.Map // of build to a function

// load reads the module for a build, once.
func load(t *testing.T, b build) *code {
	t.Helper()
	once, _ := loaded.LoadOrStore(b, sync.OnceValues(func() (*code, error) { return read(b) }))
	c, err := once.(func() (*code, error))()
	require.NoError(t, err)
	return c
}

func read(b build) (*code, error) {
	c := &code{
		fset: token.NewFileSet(),
		info: types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{},
		},
		texts: map[*types.Var][2]string{}, sources: map[types.Object][]ast.Expr{}, params: map[*types.Var]param{},
		literals: map[types.Object]*ast.FuncLit{}, unset: map[types.Object]bool{}, callers: map[any][]*ast.CallExpr{},
	}
	// Where GOFLAGS names another go.mod, packages asks the command for its version with
	// a setting that excludes that.
	build, others := []string{"-tags=" + b.tags}, []string(nil)
	for flag := range strings.FieldsSeq(os.Getenv("GOFLAGS")) {
		if strings.HasPrefix(strings.TrimLeft(flag, "-"), "modfile=") {
			build = append(build, flag)
		} else {
			others = append(others, flag)
		}
	}
	var err error
	c.packages, err = packages.Load(&packages.Config{
		Mode: packages.LoadSyntax | packages.NeedModule, Fset: c.fset, Dir: "../..", BuildFlags: build,
		Env: append(os.Environ(), "GOOS="+b.system, "GOFLAGS="+strings.Join(others, " ")),
	}, modulePath+"/...")
	if err != nil {
		return nil, err
	}
	for _, p := range c.packages {
		c.root = p.Module.Dir
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s: %v", p.PkgPath, p.Errors)
		}
		maps.Copy(c.info.Types, p.TypesInfo.Types)
		maps.Copy(c.info.Defs, p.TypesInfo.Defs)
		maps.Copy(c.info.Uses, p.TypesInfo.Uses)
		maps.Copy(c.info.Selections, p.TypesInfo.Selections)
	}
	for _, p := range c.packages {
		for _, file := range p.Syntax {
			c.index(file)
		}
	}
	c.calls(func(call *ast.CallExpr) {
		if callee := c.callee(call); callee != nil {
			c.callers[callee] = append(c.callers[callee], call)
		}
	})
	return c, nil
}

// index notes what flows where in a file.
func (c *code) index(file *ast.File) {
	var stack []ast.Node // of functions
	var visit func(n ast.Node) bool
	function := func(n ast.Node, of any, signature *ast.FuncType, body *ast.BlockStmt) {
		i := 0
		for _, field := range signature.Params.List {
			for _, name := range field.Names {
				if v, ok := c.info.Defs[name].(*types.Var); ok {
					c.params[v] = param{of, i}
				}
				i++
			}
			i += 1 - min(len(field.Names), 1) // one without a name
		}
		stack = append(stack, n)
		if body != nil {
			ast.Inspect(body, visit)
		}
		stack = stack[:len(stack)-1]
	}
	set := func(to types.Object, value ast.Expr) {
		if to == nil {
			return
		}
		c.sources[to] = append(c.sources[to], value)
		if lit, ok := value.(*ast.FuncLit); ok {
			c.literals[to] = lit
		}
	}
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			function(n, c.info.Defs[n.Name], n.Type, n.Body)
			return false
		case *ast.FuncLit:
			function(n, n, n.Type, n.Body)
			return false
		case *ast.ReturnStmt:
			if decl, ok := stack[len(stack)-1].(*ast.FuncDecl); ok {
				for _, value := range n.Results {
					set(c.info.Defs[decl.Name], value)
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if len(n.Values) > i {
					set(c.info.Defs[name], n.Values[i])
				} else if len(n.Values) == 0 {
					c.unset[c.info.Defs[name]] = true
				}
			}
			c.define(n)
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if i < len(n.Rhs) { // of "v, ok := m[k]" too
					set(c.object(to), n.Rhs[i])
				}
			}
		case *ast.CompositeLit:
			c.fields(n, set)
		}
		return true
	}
	ast.Inspect(file, visit)
}

// fields notes what the fields of a struct are set to.
func (c *code) fields(lit *ast.CompositeLit, set func(types.Object, ast.Expr)) {
	typ := c.info.Types[lit].Type
	if pointer, ok := typ.Underlying().(*types.Pointer); ok {
		typ = pointer.Elem()
	}
	fields, ok := typ.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, value := range lit.Elts {
		if pair, ok := value.(*ast.KeyValueExpr); ok {
			set(c.info.Uses[pair.Key.(*ast.Ident)], pair.Value)
		} else {
			set(fields.Field(i), value)
		}
	}
}

// define notes the texts of variables of the catalogue.
func (c *code) define(spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		v, ok := c.info.Defs[name].(*types.Var)
		if !ok || len(spec.Values) <= i {
			continue
		}
		if text, ok := c.defined(spec.Values[i]); ok {
			c.texts[v] = text
		}
	}
}

// defined returns the texts of a call of msg.Define.
func (c *code) defined(e ast.Expr) (text [2]string, ok bool) {
	call, ok := e.(*ast.CallExpr)
	if !ok || !isFunc(c.callee(call), msgPath, "Define") {
		return text, false
	}
	for i := range text {
		text[i] = constant.StringVal(c.info.Types[call.Args[i]].Value)
	}
	return text, true
}

// object is what a name or a selector stands for.
func (c *code) object(e ast.Expr) types.Object {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return c.object(e.X)
	case *ast.Ident:
		if o := c.info.Defs[e]; o != nil {
			return o
		}
		return c.info.Uses[e]
	case *ast.SelectorExpr:
		return c.info.Uses[e.Sel]
	case *ast.IndexExpr: // a function with type arguments
		return c.object(e.X)
	}
	return nil
}

// callee is the function, method or variable that is called, or the literal.
func (c *code) callee(call *ast.CallExpr) any {
	if lit, ok := call.Fun.(*ast.FuncLit); ok {
		return lit
	}
	o := c.object(call.Fun)
	if lit := c.literals[o]; lit != nil {
		return lit
	}
	if f, ok := o.(*types.Func); ok {
		return f.Origin()
	}
	return nil
}

// isFunc reports whether a callee is the function, or the method of any type, of that
// name.
func isFunc(callee any, pkg, name string) bool {
	f, ok := callee.(*types.Func)
	return ok && f.Pkg() != nil && f.Pkg().Path() == pkg && f.Name() == name
}

// calls calls f with each call in the module.
func (c *code) calls(f func(call *ast.CallExpr)) {
	for _, p := range c.packages {
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					f(call)
				}
				return true
			})
		}
	}
}

// text is what an expression of type msg.Text may be: a text of the catalogue, or a
// parameter of a function.
type text struct {
	name  string
	words [2]string
	param *types.Var
}

// textsOf returns what an expression of type msg.Text may be, or the texts that a string
// is made of. whole is false where that cannot be seen.
func (c *code) textsOf(e ast.Expr) (found []text, whole bool) {
	return c.follow(e, map[types.Object]bool{})
}

func (c *code) follow(e ast.Expr, seen map[types.Object]bool) (found []text, whole bool) {
	if words, ok := c.defined(e); ok {
		return []text{{words: words}}, true
	}
	if typ := c.typeOf(e); typ == nil || !isText(typ) {
		return nil, false
	}
	all := func(parts ...ast.Expr) {
		whole = true
		for _, part := range parts {
			more, ok := c.follow(part, seen)
			found, whole = append(found, more...), whole && ok
		}
	}
	switch x := e.(type) {
	case *ast.BasicLit:
		return nil, true
	case *ast.ParenExpr:
		return c.follow(x.X, seen)
	case *ast.BinaryExpr:
		all(x.X, x.Y)
		return found, whole
	case *ast.CompositeLit: // a map of texts
		if _, ok := c.info.Types[x].Type.Underlying().(*types.Map); !ok {
			return nil, false
		}
		for _, pair := range x.Elts {
			all(pair.(*ast.KeyValueExpr).Value)
		}
		return found, whole
	case *ast.IndexExpr:
		return c.follow(x.X, seen)
	case *ast.CallExpr:
		f, _ := c.callee(x).(*types.Func)
		switch {
		case f == nil || f.Pkg() == nil || f.Pkg().Path() == errsPath: // the text of an error: of another one
			return nil, false
		case isFunc(f, msgPath, "In"):
			return c.follow(x.Fun.(*ast.SelectorExpr).X, seen)
		}
		return c.followObject(f, seen)
	}
	o := c.object(e)
	if o == nil {
		return nil, false
	}
	return c.followObject(o, seen)
}

func (c *code) typeOf(e ast.Expr) types.Type {
	if typ := c.info.Types[e].Type; typ != nil {
		return typ
	}
	if o := c.object(e); o != nil {
		return o.Type()
	}
	return nil
}

// isText reports whether a type has texts: msg.Text, a string, or what holds them.
func isText(typ types.Type) bool {
	if named, ok := typ.(*types.Named); ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == msgPath {
		return named.Obj().Name() == "Text"
	}
	switch t := typ.Underlying().(type) {
	case *types.Basic:
		return t.Info()&types.IsString != 0
	case *types.Map:
		return isText(t.Elem())
	case *types.Tuple: // of "v, ok := m[k]"
		return t.Len() > 0 && isText(t.At(0).Type())
	}
	return false
}

func (c *code) followObject(o types.Object, seen map[types.Object]bool) (found []text, whole bool) {
	if seen[o] {
		return nil, true
	}
	seen[o] = true
	if v, ok := o.(*types.Var); ok {
		if words, ok := c.texts[v]; ok {
			return []text{{name: v.Name(), words: words}}, true
		}
		if _, ok := c.params[v]; ok {
			return []text{{param: v}}, true
		}
	}
	whole = len(c.sources[o]) > 0
	for _, source := range c.sources[o] {
		more, ok := c.follow(source, seen)
		found, whole = append(found, more...), whole && ok
	}
	return found, whole
}

// file is the path of the file that has an expression, from the module's root.
func (c *code) file(n ast.Node) string {
	path, err := filepath.Rel(c.root, c.fset.Position(n.Pos()).Filename)
	if err != nil {
		return c.fset.Position(n.Pos()).Filename
	}
	return filepath.ToSlash(path)
}

// at is where an expression is, for people.
func (c *code) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", c.file(n), c.fset.Position(n.Pos()).Line)
}
