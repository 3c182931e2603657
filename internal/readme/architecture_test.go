package readme_test

import (
	"go/ast"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// architecture reads docs/architecture.md.
func architecture(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/architecture.md")
	require.NoError(t, err)
	return string(page)
}

var quoted = regexp.MustCompile("`([^`]+)`")

// namesIn returns what stands between backquotes.
func namesIn(text string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// tableRows returns the cells of the rows of the table that begins with the head.
func tableRows(t *testing.T, page, head string) (rows [][]string) {
	t.Helper()
	_, table, found := strings.Cut(page, head+"\n")
	require.True(t, found, head)
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		if !strings.HasPrefix(line, "|--") {
			rows = append(rows, strings.Split(strings.Trim(line, "|"), " | "))
		}
	}
	return rows
}

// TestLayersOfSnapshot: each file of the package is in one layer, and refers to nothing
// that is declared in a layer above.
func TestLayersOfSnapshot(t *testing.T) {
	t.Parallel()
	layer, rows := map[string]int{}, tableRows(t, architecture(t), "| layer | files |")
	for i, row := range rows {
		for _, file := range namesIn(row[1]) {
			require.NotContains(t, layer, file)
			layer[file] = i
		}
	}
	c := load(t, build{system: "linux"})
	p := c.packages[slices.IndexFunc(c.packages, func(p *packages.Package) bool { return p.PkgPath == modulePath+"/snapshot" })]
	fileOf := func(n ast.Node) string { return filepath.Base(c.fset.Position(n.Pos()).Filename) }
	var climbing []string
	files := map[string]int{}
	for _, f := range p.Syntax {
		from := fileOf(f)
		files[from] = layer[from]
		require.Contains(t, layer, from, "docs/architecture.md has no layer for it")
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			o := p.TypesInfo.Uses[id]
			if o == nil || o.Pkg() != p.Types {
				return true
			}
			if v, ok := o.(*types.Var); ok && (v.IsField() || v.Parent() != p.Types.Scope()) {
				return true
			}
			if to := filepath.Base(c.fset.Position(o.Pos()).Filename); layer[to] < layer[from] {
				climbing = append(climbing, from+" -> "+to+": "+o.Name())
			}
			return true
		})
	}
	slices.Sort(climbing)
	require.Empty(t, slices.Compact(climbing))
	require.Equal(t, slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(layer)), "files that are not there")
}

// TestFoldersOfTheArchitecture are all that there are.
func TestFoldersOfTheArchitecture(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, row := range tableRows(t, architecture(t), "| folder | what belongs there |") {
		for _, folder := range namesIn(row[0]) {
			require.DirExists(t, filepath.Join("../..", folder))
			listed[folder] = true
		}
	}
	for _, p := range load(t, build{system: "linux"}).packages {
		folder := strings.TrimPrefix(p.PkgPath, modulePath+"/")
		covered := false
		for ; folder != "." && !covered; folder = filepath.Dir(folder) {
			covered = listed[folder] && (!slices.Contains([]string{"bulk", "snapshot", "fixtures"}, folder) || p.PkgPath == modulePath+"/"+folder)
		}
		require.True(t, covered, p.PkgPath)
	}
}

// TestWordsOfTheArchitecture: the code has what the glossary and the diagram name.
func TestWordsOfTheArchitecture(t *testing.T) {
	t.Parallel()
	c := load(t, build{system: "linux"})
	names := map[string]bool{} // as in "snapshot.database.baseline"
	for _, p := range c.packages {
		scope := p.Types.Scope()
		for _, name := range scope.Names() {
			o := scope.Lookup(name)
			names[p.Name+"."+name] = true
			if _, ok := o.(*types.TypeName); !ok {
				continue
			}
			named, ok := o.Type().(*types.Named)
			if !ok {
				continue
			}
			for m := range named.Methods() {
				names[p.Name+"."+name+"."+m.Name()], names[p.Name+"."+m.Name()] = true, true
			}
			if s, ok := named.Underlying().(*types.Struct); ok {
				for f := range s.Fields() {
					names[p.Name+"."+name+"."+f.Name()] = true
				}
			}
		}
	}
	has := func(name string) bool {
		if _, err := os.Stat(filepath.Join("../..", name)); err == nil {
			return true
		}
		return names[name] || names["snapshot."+name]
	}
	page := architecture(t)
	for _, row := range tableRows(t, page, "| word | what it means here | in the code |") {
		for _, name := range namesIn(row[2]) {
			if strings.HasSuffix(name, "_xid") { // a column
				schema, err := os.ReadFile("../track/sql/schema.sql")
				require.NoError(t, err)
				require.Contains(t, string(schema), name)
				continue
			}
			require.True(t, has(name), name)
		}
	}
	_, diagram, found := strings.Cut(page, "```mermaid\n")
	require.True(t, found)
	diagram, _, _ = strings.Cut(diagram, "```")
	for _, m := range regexp.MustCompile(`participant \w+ as (\w+\.go)`).FindAllStringSubmatch(diagram, -1) {
		require.FileExists(t, filepath.Join("../../snapshot", m[1]))
	}
	calls := regexp.MustCompile(`-{1,2}>>\w+: ([\w.]+)`).FindAllStringSubmatch(diagram, -1)
	require.NotEmpty(t, calls)
	for _, m := range append(calls, regexp.MustCompile(`: (retry|persist|resolving)\b`).FindAllStringSubmatch(diagram, -1)...) {
		if !slices.Contains([]string{"DELETE", "commit"}, m[1]) { // what the server is told
			require.True(t, has(m[1]), m[1])
		}
	}
}
