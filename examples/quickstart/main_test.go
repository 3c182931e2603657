package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
)

func init() {
	fault.Register("main", func([]string) error { main(); return nil })
}

// The tests are not parallel: the program sets the language of its process.

// outcome is what a run of the program came to.
type outcome struct {
	code           int
	stdout, stderr string
}

func start(t *testing.T, ctx context.Context, args ...string) outcome {
	t.Helper()
	t.Setenv(envLang, os.Getenv(envLang)) // put back what run sets
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader("\n"), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// ownTemp gives the program a folder for temporary files, which must be empty
// at the end.
func ownTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qs") // short enough for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711)) // as root the server runs as another user
	t.Setenv("TMPDIR", dir)
	fault.NoLeftovers(t, dir)
	return dir
}

func TestQuickstart(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"Private PostgreSQL started", "Rows/s", "Snapshot restored", "Every table is as before"},
		"ja": {"専用の PostgreSQL を起動", "行/秒", "スナップショットを復元", "すべてのテーブルが元どおりです"},
	} {
		t.Run(lang, func(t *testing.T) {
			t.Setenv("GROUNDHOG_DATABASE_URL", "")
			ownTemp(t)
			got := start(t, t.Context(), "-offices", "2", "-lang", lang)
			require.Equal(t, exitOK, got.code, got.stderr)
			require.Empty(t, got.stderr)
			for _, text := range want {
				require.Contains(t, got.stdout, text)
			}
			// 1 creator, 2 offices, 20 staffs and 200 recipients twice, 200 cycles
			require.Contains(t, got.stdout, " 643 |")
			requireAligned(t, got.stdout)
		})
	}
}

func TestQuickstartOnAServer(t *testing.T) {
	server, err := fixtures.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	got := start(t, t.Context(), "-offices", "1", "-lang", "en", "-url", server.URL())
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "Connected to the server")
	require.NotContains(t, got.stdout, "Private")
}

func TestQuickstartKeeps(t *testing.T) {
	temp := ownTemp(t)
	dir := t.TempDir()
	for range 2 { // the second run replaces the snapshot of the first
		got := start(t, t.Context(), "-offices", "1", "-lang", "en", "-dir", dir, "-keep")
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, "Snapshot file: "+dir)
		require.Contains(t, got.stdout, "Database: psql 'postgres")
		require.Contains(t, got.stdout, "Press Enter")
	}
	files, err := filepath.Glob(filepath.Join(dir, snapshotName+"*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	require.NotEqual(t, temp, dir)
}

func TestQuickstartIsInterrupted(t *testing.T) {
	ownTemp(t)
	p := fault.Child(t, "main", "-offices", "1", "-lang", "en", "-keep", "-dir", t.TempDir())
	p.Line("Press Enter")
	p.Signal(os.Interrupt)
	exit := p.Wait()
	require.Equal(t, exitInterrupted, exit.Code, "%s", exit)
	require.Equal(t, "quickstart: interrupted; nothing was left running\n", exit.Stderr)
}

func TestQuickstartIsInterruptedAtWork(t *testing.T) {
	ownTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := start(t, ctx, "-offices", "1", "-lang", "en")
	require.Equal(t, exitInterrupted, got.code, got.stderr)
	require.Equal(t, "quickstart: interrupted; nothing was left running\n", got.stderr)
}

func TestBadFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"negative offices":       {[]string{"-offices", "-1"}, "-offices -1 is out of range: 1 to 2000"},
		"no offices":             {[]string{"-offices", "0"}, "-offices 0 is out of range"},
		"too many offices":       {[]string{"-offices", "2001"}, "-offices 2001 is out of range"},
		"no number":              {[]string{"-offices", "many"}, `invalid value "many" for flag -offices`},
		"unknown language":       {[]string{"-lang", "fr"}, `-lang "fr" is not a language`},
		"empty language":         {[]string{"-lang", ""}, `-lang "" is not a language`},
		"unknown flag":           {[]string{"-speed", "9"}, "-speed"},
		"stray argument":         {[]string{"-offices", "1", "now"}, `"now" is not expected`},
		"no value":               {[]string{"-dir"}, "-dir"},
		"the chosen language":    {[]string{"-lang", "ja", "-offices", "-1"}, "-offices -1 は範囲外です"},
		"flag error in Japanese": {[]string{"-lang", "ja", "-speed", "9"}, "フラグが正しくありません"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envLang, "")
			got := start(t, t.Context(), tc.args...)
			require.Equal(t, exitUsage, got.code)
			require.Contains(t, got.stderr, tc.want)
			require.Equal(t, 1, strings.Count(got.stderr, "\n"), got.stderr)
			require.Empty(t, got.stdout)
		})
	}
	t.Run("exit code of the program", func(t *testing.T) {
		exit := fault.Child(t, "main", "-offices", "-1").Wait()
		require.Equal(t, exitUsage, exit.Code)
		require.Empty(t, exit.Stdout)
	})
}

func TestLanguageOfTheEnvironment(t *testing.T) {
	for value, want := range map[string]string{"": "en", "ja": "ja", "ja_JP.UTF-8": "ja", "JA": "ja", "fr": "en", "j": "en"} {
		t.Setenv(envLang, value)
		require.Equal(t, want, envLanguage(), value)
	}
}

func TestHelp(t *testing.T) {
	for lang, want := range map[string]string{"en": "the snapshot file", "ja": "スナップショットファイル"} {
		got := start(t, t.Context(), "-lang", lang, "-help")
		require.Equal(t, exitOK, got.code)
		require.Contains(t, got.stdout, want)
		for _, name := range []string{"-offices", "-dir", "-url", "-lang", "-keep"} {
			require.Contains(t, got.stdout, name)
		}
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	got := start(t, t.Context(), "-offices", "1", "-url", "postgres://nobody:secret@127.0.0.1:1/postgres?connect_timeout=2")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.stderr, "quickstart: ")
	require.NotContains(t, got.stderr, "secret")
}

func TestProve(t *testing.T) {
	before := []tableState{{"a", 2, "11"}, {"b", 1, "7"}}
	changed := []tableState{{"a", 3, "12"}, {"b", 1, "8"}}
	for name, tc := range map[string]struct {
		changed, after []tableState
		want           string
	}{
		"as before":          {changed, before, ""},
		"another count":      {changed, []tableState{{"a", 3, "11"}, {"b", 1, "7"}}, english.notProved},
		"other content":      {changed, []tableState{{"a", 2, "11"}, {"b", 1, "8"}}, english.notProved},
		"a table is missing": {changed, before[:1], english.notProved},
		"a table too many":   {changed, append(before[:2:2], tableState{"c", 0, "0"}), english.notProved},
		"nothing changed":    {before, before, english.nothingChanged},
	} {
		t.Run(name, func(t *testing.T) {
			err := prove(io.Discard, english, before, tc.changed, tc.after)
			if tc.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, tc.want)
			}
		})
	}
}

func TestTextsAreComplete(t *testing.T) {
	for _, say := range []texts{english, japanese} {
		v := reflect.ValueOf(say)
		for i := range v.NumField() {
			require.NotEmpty(t, v.Field(i).String(), v.Type().Field(i).Name)
			require.Equal(t, verbs(reflect.ValueOf(english).Field(i).String()), verbs(v.Field(i).String()), v.Type().Field(i).Name)
		}
	}
}

func verbs(format string) string {
	var found strings.Builder
	for i := range len(format) - 1 {
		if format[i] == '%' {
			found.WriteByte(format[i+1])
		}
	}
	return found.String()
}

// requireAligned sees that the lines of each table are equally wide on a
// terminal, where Japanese characters take two columns.
func requireAligned(t *testing.T, out string) {
	t.Helper()
	width := 0
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "+"):
			width = len(line)
		case strings.HasPrefix(line, "|"):
			wide := 0
			for _, r := range line {
				wide++
				if r > 0x7f {
					wide++
				}
			}
			require.Equal(t, width, wide, line)
		}
	}
	require.Positive(t, width)
}
