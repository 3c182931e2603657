package readme_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLinkedModules: what a user of a package links of other modules is listed here,
// so that a new one is a decision, and what only tests and examples need stays out.
func TestLinkedModules(t *testing.T) {
	t.Parallel()
	pgx := []string{
		"github.com/jackc/pgx/v5", "github.com/jackc/pgpassfile", "github.com/jackc/pgservicefile", "github.com/jackc/puddle/v2",
		"golang.org/x/crypto", "golang.org/x/sync", "golang.org/x/text",
	}
	retries := []string{"github.com/avast/retry-go/v4"}
	progress := []string{"github.com/schollz/progressbar/v3", "github.com/mitchellh/colorstring", "github.com/rivo/uniseg", "golang.org/x/term", "golang.org/x/sys"}
	locks := []string{"github.com/gofrs/flock", "golang.org/x/sys"}
	allowed := map[string][]string{
		"bulk": slices.Concat(pgx, retries, progress, locks, []string{"github.com/google/uuid", "github.com/agnivade/levenshtein"}),
		"snapshot": slices.Concat(pgx, retries, progress, locks, []string{"github.com/google/uuid", "github.com/klauspost/compress",
			"github.com/mattn/go-runewidth", "github.com/clipperhouse/uax29/v2"}),
		"lean": slices.Concat(pgx, retries, locks, []string{"golang.org/x/sys"}),
	}
	linked := map[string][]string{
		"bulk": modulesOf(t, "", "bulk"), "snapshot": modulesOf(t, "", "snapshot"),
		"lean": modulesOf(t, "-tags=groundhog_lean", "fixtures"), "fixtures": modulesOf(t, "", "fixtures"),
	}
	for name, list := range allowed {
		for _, module := range linked[name] {
			require.Contains(t, list, module, "%s links it", name)
		}
	}
	// What testcontainers-go links is its own choice: testify among others.
	for _, module := range []string{
		"github.com/creack/pty", "github.com/jedib0t/go-pretty/v6", "go.uber.org/goleak", "golang.org/x/tools", "github.com/lib/pq",
		"github.com/fergusstrange/embedded-postgres", "github.com/xi2/xz", "github.com/schollz/progressbar/v3",
	} {
		require.NotContains(t, linked["fixtures"], module)
	}
	require.Contains(t, linked["fixtures"], "github.com/testcontainers/testcontainers-go")
}

// modulesOf lists the other modules that a package links.
func modulesOf(t *testing.T, tags, pkg string) []string {
	t.Helper()
	args := []string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}
	if tags != "" {
		args = append(args, tags)
	}
	list := exec.Command("go", append(args, modulePath+"/"+pkg)...)
	list.Dir = "../.."
	out, err := list.Output()
	require.NoError(t, err)
	modules := slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(out)))))
	require.Contains(t, modules, modulePath)
	return slices.DeleteFunc(modules, func(m string) bool { return m == modulePath })
}
