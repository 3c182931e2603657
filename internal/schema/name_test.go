package schema_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// TestToldNames: ordinary names are told as they are, and no two names alike.
func TestToldNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"offices": "offices", "Order Lines": "Order Lines", "a/b-c": "a/b-c", "100%": "100%", "$groundhog$": "$groundhog$", "列": "列", `a\b`: `a\b`, "it's": "it's", "(x)": "(x)",
		"": `""`, "a.b": `"a.b"`, "a, b": `"a, b"`, `a"b`: `"a""b"`, "+": `"+"`, "- x": `"- x"`, "a +1": `"a +1"`, "a - b": "a - b",
		"two\nlines": `U&"two\000Alines"`, " a": `U&"\0020a"`, "a  b": `U&"a \0020b"`, "a ": `U&"a\0020"`, "a=b": `U&"a\003Db"`, "a:b": `U&"a\003Ab"`, "a→b": `U&"a\2192b"`,
		"\n\"\\": `U&"\000A""\\"`, "\U000E0001": `U&"\+0E0001"`, "\u00a0": `U&"\00A0"`,
	} {
		require.Equal(t, want, schema.Told(name), "%q", name)
	}
	require.Equal(t, "public.offices", n("offices").String())
	require.NotEqual(t, schema.Name{Schema: "a.b", Name: "c"}.String(), schema.Name{Schema: "a", Name: "b.c"}.String())
	require.Equal(t, schema.Name{Schema: "a.b", Name: "c"}.Plain(), schema.Name{Schema: "a", Name: "b.c"}.Plain())
	require.Equal(t, `a\nb "c"`, schema.Line("a\nb \"c\""))
}

// FuzzTold: what is told is one line, without what would be misread, and is read back.
func FuzzTold(f *testing.F) {
	for _, s := range []string{"a", "a.b", "a\nb", `a"\`, " x ", "+1", "=", "\U0001F9AB"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.ToValidUTF8(a, "?"), strings.ToValidUTF8(b, "?")
		told := schema.Told(a)
		require.Equal(t, strings.Join(strings.Fields(told), " "), told)
		require.NotContains(t, told, "=")
		require.Equal(t, a == b, schema.Told(a) == schema.Told(b))
		x, y := schema.Name{Schema: a, Name: b}, schema.Name{Schema: b, Name: a}
		require.Equal(t, x == y, x.String() == y.String())
	})
}

// TestKeysOfOneText: they are two all the same.
func TestKeysOfOneText(t *testing.T) {
	t.Parallel()
	of := func(keys ...schema.Key) string {
		return schema.Schema{Tables: []schema.Table{{Name: n("t"), Keys: keys}}}.Fingerprint()
	}
	one, two := schema.Key{Columns: []string{"a, b"}}, schema.Key{Columns: []string{"a", "b"}}
	require.NotEqual(t, of(one), of(one, two))
	require.Equal(t, of(two, one), of(one, two))
}
