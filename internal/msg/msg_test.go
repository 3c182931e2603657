package msg

import (
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
