package readme_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w+)\(`)
	testName = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)[A-Z]\w*$`)
)

// TestTestsThatPagesName: a test that a page names is there.
func TestTestsThatPagesName(t *testing.T) {
	t.Parallel()
	there, pages := map[string]bool{}, []string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(source), -1) {
			there[m[1]] = true
		}
		return err
	})
	require.NoError(t, err)
	named := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) { // a fence of code is an odd number of backquotes
			for _, name := range namesIn(line) {
				if testName.MatchString(name) {
					named++
					require.True(t, there[name], "%s: there is no %s", page, name)
				}
			}
		}
	}
	require.Greater(t, named, 20)
}
