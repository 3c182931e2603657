package msg

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func TestCatalogueIsCompleteInBothLanguages(t *testing.T) {
	require.NotEmpty(t, all)
	for _, text := range all {
		require.NotEmpty(t, text.en)
		require.True(t, strings.ContainsFunc(text.ja, func(r rune) bool {
			return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)
		}), "no Japanese text for %q", text.en)
		require.Equal(t, verbs(text.en), verbs(text.ja), "other arguments in Japanese than in %q", text.en)
	}
}

var verb = regexp.MustCompile(`%(\[\d+\])?[+#]?[0-9.]*([a-zA-Z%])`)

// verbs lists "argument:verb" pairs in a canonical order, so that a translation
// may use them in another order but not leave one out.
func verbs(format string) []string {
	var out []string
	next := 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[2] == "%" {
			continue
		}
		if m[1] != "" {
			next, _ = strconv.Atoi(strings.Trim(m[1], "[]"))
		}
		out = append(out, strconv.Itoa(next)+":"+m[2])
		next++
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var publicName = regexp.MustCompile(`\b(bulk|fixtures|snapshot)\.([A-Z]\w*)`)

// TestTextsNameOnlyWhatThereIs: what a person is told to call can be called.
func TestTextsNameOnlyWhatThereIs(t *testing.T) {
	declared := map[string]bool{}
	for _, pkg := range []string{"bulk", "fixtures", "snapshot"} {
		files, err := filepath.Glob("../../" + pkg + "/*.go")
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, d := range file.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					declared[pkg+"."+d.Name.Name] = true
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						if v, ok := spec.(*ast.ValueSpec); ok {
							declared[pkg+"."+v.Names[0].Name] = true
						}
					}
				}
			}
		}
	}
	named := 0
	for _, text := range all {
		for _, m := range publicName.FindAllString(text.en+" "+text.ja, -1) {
			named++
			require.True(t, declared[m], "there is no %s: %q", m, text.en)
		}
	}
	require.NotZero(t, named)
}

func TestLanguageIsChosenByOptionThenEnvironmentThenEnglish(t *testing.T) {
	t.Setenv(EnvLang, "")
	require.Equal(t, English, Lang("").Or())
	t.Setenv(EnvLang, "ja_JP.UTF-8")
	require.Equal(t, Japanese, Lang("").Or())
	require.Equal(t, English, English.Or())
	t.Setenv(EnvLang, "klingon")
	require.Equal(t, English, Lang("").Or())
}

func TestTextsInBothLanguages(t *testing.T) {
	require.Contains(t, GuardNotTest.In(English, "shop"), `database "shop" is not a test database`)
	require.Contains(t, GuardNotTest.In(Japanese, "shop"), `データベース "shop" はテスト用ではありません`)
}

func TestCountsAreGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[Count]string{
		0: "0", 999: "999", 1000: "1,000", 32101: "32,101", 1234567: "1,234,567", -5: "-5", -999: "-999", -1000: "-1,000",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		require.Equal(t, want, fmt.Sprintf("%d", n))
	}
}
