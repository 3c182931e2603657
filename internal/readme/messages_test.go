package readme_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestArgumentsOfMessages: what a text of the catalogue is given fits its verbs in both
// languages. vet knows no formats that are not at the call.
func TestArgumentsOfMessages(t *testing.T) {
	t.Parallel()
	builds := []build{linux}
	if !testing.Short() { // the others are compiled for this only
		builds = append(builds, build{"windows", ""}, build{"linux", "groundhog_lean"})
	}
	named := map[string]bool{}
	for _, b := range builds {
		c := load(t, b)
		m := messages{code: c, done: map[string]bool{}, named: named}
		c.calls(func(call *ast.CallExpr) {
			if u, ok := m.use(call); ok {
				m.check(u)
			}
		})
		require.Empty(t, m.wrong, "%v", b)
		require.Greater(t, len(m.done), 300, "%v: so many texts are used", b)
	}
	for v := range load(t, linux).texts {
		if testing.Short() {
			break // some are of other builds
		}
		require.True(t, named[v.Name()], "nothing uses the text %s", v.Name())
	}
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"100 %":               "",
		"%% %s %q":            "0s 1q",
		"%[2]s, %[1]d and %s": "1s 0d 1s",
		"%+5.1f of %-3d %x":   "0f 1d 2x",
	} {
		var got []string
		for _, v := range verbsOf(format) {
			got = append(got, strconv.Itoa(v.argument)+string(v.letter))
		}
		require.Equal(t, want, strings.Join(got, " "), format)
	}
	i, s, e := types.Typ[types.Int64], types.Typ[types.String], types.Universe.Lookup("error").Type()
	n := types.NewNamed(types.NewTypeName(token.NoPos, types.NewPackage(msgPath, "msg"), "Count", nil), i, nil)
	for _, c := range []struct {
		format, want string
		args         []types.Type
	}{
		{"%s %d", "", []types.Type{s, n}},
		{"%[2]d %[1]s", "", []types.Type{s, n}},
		{"%v %q", "", []types.Type{i, e}},
		{"%d", "%d gets a string", []types.Type{s}},
		{"%d", "%d gets a int64: a quantity is a msg.Count, and a number that names something a string", []types.Type{i}},
		{"%s", "%s gets a int64", []types.Type{i}},
		{"%s %s", "%s gets no argument 2", []types.Type{s}},
		{"%s", "argument 2 is unused", []types.Type{s, s}},
		{"%[2]s", "argument 1 is unused", []types.Type{s, s}},
		{"%t", "%t is a verb that no text has", []types.Type{types.Typ[types.Bool]}},
	} {
		require.Equal(t, c.want, misfit(c.format, c.args), c.format)
	}
}

// messages looks at all uses of texts.
type messages struct {
	*code
	named map[string]bool // the texts of the catalogue that were found
	done  map[string]bool
	wrong []string
}

// use is a text with the arguments that are put into it.
type use struct {
	at     ast.Node
	text   ast.Expr
	args   []ast.Expr
	spread bool // the last one is a slice of arguments
}

// use returns what a call of Text.In or of a method of option.Faults puts together.
func (m *messages) use(call *ast.CallExpr) (use, bool) {
	u := use{at: call, spread: call.Ellipsis != token.NoPos}
	switch f := m.callee(call); {
	case isFunc(f, msgPath, "In"):
		u.text, u.args = call.Fun.(*ast.SelectorExpr).X, call.Args[1:]
	case isFunc(f, optionPath, "Add"):
		u.text, u.args = call.Args[0], call.Args[1:]
	case isFunc(f, optionPath, "AddCause"), isFunc(f, optionPath, "AddClass"):
		u.text, u.args = call.Args[1], call.Args[2:]
	default:
		return use{}, false
	}
	if u.spread && strings.HasPrefix(m.at(call), "internal/option/") { // it puts in what its methods were given
		return use{}, false
	}
	return u, true
}

func (m *messages) fail(n ast.Node, format string, args ...any) {
	m.wrong = append(m.wrong, m.at(n)+": "+fmt.Sprintf(format, args...))
}

// check compares each text that a use may have with its arguments.
func (m *messages) check(u use) {
	found, whole := m.textsOf(u.text)
	if !whole {
		m.fail(u.at, "it cannot be seen which texts %s may be", types.ExprString(u.text))
	}
	for _, text := range found {
		if text.param != nil {
			m.handOn(u, text.param)
			continue
		}
		key := fmt.Sprint(m.at(u.at), text.words)
		if m.done[key] {
			continue
		}
		m.done[key], m.named[text.name] = true, true
		if u.spread {
			m.fail(u.at, "it cannot be seen what %s has", types.ExprString(u.args[len(u.args)-1]))
			continue
		}
		var given []types.Type
		for _, arg := range u.args {
			given = append(given, m.info.Types[arg].Type)
		}
		for _, format := range text.words {
			if why := misfit(format, given); why != "" {
				m.fail(u.at, "%s in %q", why, format)
			}
		}
	}
}

// handOn looks at the calls of a function that gets the text, and with it the
// arguments, if those are not its own.
func (m *messages) handOn(u use, text *types.Var) {
	place := m.params[text]
	if len(m.callers[place.function]) == 0 {
		m.fail(u.at, "nothing calls the function that gets the text %s", text.Name())
	}
	for _, call := range m.callers[place.function] {
		if place.index >= len(call.Args) {
			m.fail(call, "it cannot be seen which text it gives")
			continue
		}
		next := use{at: call, text: call.Args[place.index], args: u.args}
		if u.spread {
			rest, _ := m.object(u.args[len(u.args)-1]).(*types.Var)
			from, isParam := m.params[rest]
			if !isParam || from.function != place.function || len(u.args) > 1 {
				m.fail(u.at, "it cannot be seen what %s has", types.ExprString(u.args[len(u.args)-1]))
				continue
			}
			next.args, next.spread = call.Args[min(from.index, len(call.Args)):], call.Ellipsis != token.NoPos
		}
		m.check(next)
	}
}

// verb is a verb of a format with the number of its argument, from 0.
type verb struct {
	argument int
	letter   byte
}

var verbs = regexp.MustCompile(`%[-+# 0]*[0-9]*(?:\.[0-9]+)?(?:\[([0-9]+)\])?([a-zA-Z%])`)

func verbsOf(format string) (out []verb) {
	next := 0
	for _, found := range verbs.FindAllStringSubmatch(format, -1) {
		if found[2] == "%" {
			continue
		}
		if found[1] != "" {
			next, _ = strconv.Atoi(found[1])
			next--
		}
		out = append(out, verb{next, found[2][0]})
		next++
	}
	return out
}

// misfit says which argument does not fit its verb, or returns "".
func misfit(format string, args []types.Type) string {
	var used []int
	for _, v := range verbsOf(format) {
		name := "%" + string(v.letter)
		if v.argument >= len(args) {
			return fmt.Sprintf("%s gets no argument %d", name, v.argument+1)
		}
		used = append(used, v.argument)
		arg := args[v.argument]
		basic, _ := arg.Underlying().(*types.Basic)
		fits := false
		switch v.letter {
		case 'v':
			fits = true
		case 's', 'q':
			fits = basic != nil && basic.Info()&types.IsString != 0 || types.Identical(arg, types.NewSlice(types.Typ[types.Byte])) || says(arg, "Error") || says(arg, "String")
		case 'd':
			fits = types.TypeString(arg, nil) == msgPath+".Count"
			if !fits && basic != nil && basic.Info()&types.IsNumeric != 0 {
				return fmt.Sprintf("%%d gets a %s: a quantity is a msg.Count, and a number that names something a string", arg)
			}
		default:
			return name + " is a verb that no text has"
		}
		if !fits {
			return fmt.Sprintf("%s gets a %s", name, types.TypeString(arg, (*types.Package).Name))
		}
	}
	for i := range args {
		if !slices.Contains(used, i) {
			return fmt.Sprintf("argument %d is unused", i+1)
		}
	}
	return ""
}

// says reports whether a type has a method without arguments that returns a text.
func says(t types.Type, method string) bool {
	o, _, _ := types.LookupFieldOrMethod(t, true, nil, method)
	f, ok := o.(*types.Func)
	if !ok {
		return false
	}
	s := f.Signature()
	return s.Params().Len() == 0 && s.Results().Len() == 1 && types.Identical(s.Results().At(0).Type(), types.Typ[types.String])
}
