package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/msg"
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
	t.Setenv(msg.EnvLang, os.Getenv(msg.EnvLang)) // put back what run sets
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader("\n"), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// alone gives the program a folder for temporary files, in which nothing may be
// left at the end, and no server but its own.
func alone(t *testing.T) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "qs") // short enough for a socket
	require.NoError(t, err)
	fault.AtEnd(t, func() error { return os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky)) // as root the server runs as another user
	t.Setenv("TMPDIR", dir)
	t.Setenv(fixtures.EnvURL, "")
	fault.NoLeftovers(t, dir)
	return dir
}

// server starts one that is there already for the program. Its address has a
// password, which the server does not ask for.
func server(t *testing.T) (address string, databases func() []string) {
	t.Helper()
	s, err := fixtures.Start(t.Context())
	require.NoError(t, err)
	fault.AtEnd(t, s.Close)
	u, err := url.Parse(s.URL())
	require.NoError(t, err)
	u.User = url.UserPassword(u.User.Username(), "secret")
	return u.String(), func() []string {
		// Templates stay for as long as s is there to use them.
		const names = "SELECT datname::text FROM pg_database WHERE datname ~ 'test' AND datname !~ '^groundhog_test_[tc]_' ORDER BY 1"
		rows, err := connect(t, s.URL()).Query(t.Context(), names)
		require.NoError(t, err)
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return list
	}
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	fault.AtEnd(t, func() error { return conn.Close(context.Background()) })
	return conn
}

func TestQuickstart(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"Private PostgreSQL started", "Rows/s", "Snapshot restored", "Every table is as before"},
		"ja": {"専用の PostgreSQL を起動", "行/秒", "スナップショットを復元", "すべてのテーブルが元どおりです"},
	} {
		t.Run(lang, func(t *testing.T) {
			alone(t)
			got := start(t, t.Context(), "-offices", "3", "-lang", lang)
			require.Equal(t, exitOK, got.code, got.stderr)
			require.Empty(t, got.stderr)
			for _, text := range want {
				require.Contains(t, got.stdout, text)
			}
			// 1 creator, 3 offices, 30 staffs and 300 recipients twice, 300 cycles:
			// seeded, saved, restored.
			require.Equal(t, 3, strings.Count(got.stdout, "|  964 |"), got.stdout)
			requireAligned(t, got.stdout)
			if lang == "ja" {
				names := regexp.MustCompile(`PostgreSQL|[a-z_]+|ms`)
				require.NotRegexp(t, `[A-Za-z]`, names.ReplaceAllString(got.stdout, ""), "English is left")
			}
		})
	}
}

func TestSnapshotStaysInTheGivenFolder(t *testing.T) {
	alone(t)
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // the second run replaces the snapshot of the first
		got := start(t, t.Context(), "-offices", "1", "-lang", "en", "-dir", dir)
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, "Snapshot file: "+snapshotIn(t, dir)+"\n")
		require.NotContains(t, got.stdout, "Database:")
	}
}

func snapshotIn(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, snapshotName+"*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

func TestOnAServer(t *testing.T) {
	alone(t)
	address, databases := server(t)
	got := start(t, t.Context(), "-offices", "1", "-lang", "en", "-url", address)
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "Connected to the server")
	require.NotContains(t, got.stdout, "Private")
	require.NotContains(t, got.stdout, "secret")
	require.Empty(t, databases())
}

func TestKeepOnAServer(t *testing.T) {
	for _, way := range []string{"flag", "environment"} {
		t.Run(way, func(t *testing.T) {
			alone(t)
			address, databases := server(t)
			args := []string{"-offices", "1", "-lang", "en", "-keep", "-dir", t.TempDir()}
			if way == "flag" {
				args = append(args, "-url", address)
			} else {
				t.Setenv(fixtures.EnvURL, address)
			}
			got := start(t, t.Context(), args...)
			require.Equal(t, exitOK, got.code, got.stderr)
			require.NotContains(t, got.stdout, "secret")

			// The next user of the server leaves the database alone.
			next, err := fixtures.Start(t.Context(), fixtures.WithURL(address))
			require.NoError(t, err)
			require.NoError(t, next.Close())
			names := databases()
			require.Len(t, names, 1)
			require.Contains(t, got.stdout, "Database: psql -d "+names[0]+" -h ")
			require.Contains(t, got.stdout, "Drop it with: dropdb "+names[0]+" -h ")
			config, err := pgx.ParseConfig(address)
			require.NoError(t, err)
			config.Database = names[0]
			conn, err := pgx.ConnectConfig(t.Context(), config)
			require.NoError(t, err)
			var rows int
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM support_plan_cycles").Scan(&rows))
			require.NoError(t, conn.Close(t.Context()))
			require.Equal(t, recipientsPerOffice, rows)
		})
	}
}

func TestKeepUnattended(t *testing.T) {
	alone(t)
	dir := t.TempDir()
	got := start(t, t.Context(), "-offices", "1", "-lang", "en", "-dir", dir, "-keep")
	require.Equal(t, exitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "Snapshot file: "+snapshotIn(t, dir))
	require.Contains(t, got.stdout, "The database went with its private server")
}

// attend runs the program as in a terminal, at which nobody has pressed Enter
// yet, and waits until it asks for that.
func attend(t *testing.T, ctx context.Context, dir string) (enter io.WriteCloser, ended <-chan error, asked string) {
	t.Helper()
	stdin, enter := io.Pipe()
	shown, stdout := io.Pipe()
	t.Cleanup(func() { _, _ = enter.Close(), shown.Close() })
	d := &demo{options: options{offices: 1, dir: dir, keep: true}, say: english, stdin: stdin, attended: true, out: stdout, report: newReport(english)}
	end := make(chan error, 1)
	go func() {
		err := d.run(ctx)
		_ = stdout.Close()
		end <- err
	}()
	var all strings.Builder
	for !strings.Contains(all.String(), english.pressEnter) {
		part := make([]byte, 4096)
		n, err := shown.Read(part)
		all.Write(part[:n])
		require.NoError(t, err, all.String())
	}
	return enter, end, all.String()
}

func TestKeepInATerminal(t *testing.T) {
	temp := alone(t)
	enter, ended, asked := attend(t, t.Context(), t.TempDir())
	require.Regexp(t, `Database: psql -d groundhog_test_\S+ -h `+temp, asked)
	require.NotEmpty(t, fault.Processes(temp), "the server runs until Enter is pressed")
	_, err := enter.Write([]byte("\n"))
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.Empty(t, fault.Processes(temp))
}

func TestKeepInATerminalThatGoesAway(t *testing.T) {
	alone(t)
	enter, ended, _ := attend(t, t.Context(), t.TempDir())
	require.NoError(t, enter.Close())
	require.NoError(t, <-ended)
}

func TestKeepInATerminalIsInterrupted(t *testing.T) {
	alone(t)
	ctx, interrupt := context.WithCancel(t.Context())
	_, ended, _ := attend(t, ctx, t.TempDir())
	interrupt()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestOnlyATerminalIsAttended(t *testing.T) {
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	require.False(t, isTerminal(null))
	require.False(t, isTerminal(strings.NewReader("\n")))
	if terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err == nil {
		defer terminal.Close()
		require.True(t, isTerminal(terminal))
	}
}

func TestInterrupted(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := alone(t)
			t.Setenv(msg.EnvLang, "")
			p := fault.Child(t, "main", "-offices", "500")
			require.Eventually(t, func() bool { return len(fault.Processes(dir)) > 0 }, 20*time.Second, 5*time.Millisecond, "the server starts")
			p.Signal(sig)
			exit := p.Wait()
			require.Equal(t, exitInterrupted, exit.Code, "%s", exit)
			require.Equal(t, "quickstart: interrupted; nothing was left running\n", exit.Stderr)
		})
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	dir := alone(t)
	runs := 6
	if testing.Short() {
		runs = 2
	}
	fault.KillAtRandom(t, runs, func() *fault.Process { return fault.Child(t, "main", "-offices", "3") }, func(int, fault.Exit) {
		require.Eventually(t, func() bool {
			left, err := os.ReadDir(dir)
			return err == nil && len(left) == 0 && len(fault.Processes(dir)) == 0
		}, 20*time.Second, 5*time.Millisecond)
	})
}

func TestInterruptedBeforeItBegins(t *testing.T) {
	alone(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := start(t, ctx, "-offices", "1", "-lang", "ja", "-keep")
	require.Equal(t, exitInterrupted, got.code, got.stderr)
	require.Equal(t, "quickstart: "+japanese.interrupted+"\n", got.stderr)
}

func TestBadFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, tc := range map[string]struct {
		args   []string
		en, ja string
	}{
		"negative offices": {[]string{"-offices", "-1"}, `a whole number from 1 to 10000, not "-1"`, `1 から 10000 までの整数を指定してください。"-1"`},
		"no offices":       {[]string{"-offices", "0"}, `not "0"`, `"0"`},
		"too many offices": {[]string{"-offices=10001"}, `not "10001"`, `"10001"`},
		"endless offices":  {[]string{"-offices=99999999999999999999"}, "-offices must be", "-offices には"},
		"no number":        {[]string{"-offices", "many\nof them"}, `not "many\nof them"`, `"many\nof them"`},
		"half an office":   {[]string{"-offices", "1.5"}, `not "1.5"`, `"1.5"`},
		"unknown language": {[]string{"-lang", "fr"}, `-lang must be en or ja, not "fr"`, ""},
		"empty language":   {[]string{"-lang="}, `-lang must be en or ja, not ""`, ""},
		"unknown flag":     {[]string{"-speed", "9"}, `there is no flag "-speed"`, `"-speed" というフラグはありません`},
		"odd flag":         {[]string{"---offices", "9"}, `"---offices" is not expected`, `"---offices" は余分な引数`},
		"stray argument":   {[]string{"-offices", "1", "now"}, `"now" is not expected`, `"now" は余分な引数`},
		"keep what":        {[]string{"-keep=forever"}, "-keep takes no value", "-keep に指定できる値"},
		"folder is a file": {[]string{"-dir", file}, "-dir must be a folder", "-dir には書き込めるフォルダー"},
		"below a file":     {[]string{"-dir", filepath.Join(file, "x")}, "-dir must be a folder", "-dir には書き込めるフォルダー"},
		"closed folder":    {[]string{"-dir", "/proc/quickstart"}, "-dir must be a folder that can be written", "-dir には書き込めるフォルダー"},
		"empty folder":     {[]string{"-dir="}, `-dir must be a folder that can be written, not ""`, "-dir には書き込めるフォルダー"},
		"empty address":    {[]string{"-url="}, "-url must be an address", "-url には"},
		"bad address":      {[]string{"-url", "postgres://u:secret@h:port/x"}, "-url must be an address", "-url には"},
		"no address":       {[]string{"-url", "secret"}, "-url must be an address", "-url には"},
		"other database":   {[]string{"-url", "mysql://u:secret@h/db?a=b"}, "-url must be an address", "-url には"},
		"no value":         {[]string{"-dir"}, "the flag -dir needs a value", "フラグ -dir には値が必要です"},
	} {
		for lang, want := range map[string]string{"en": tc.en, "ja": tc.ja} {
			if want == "" {
				continue
			}
			t.Run(name+"/"+lang, func(t *testing.T) {
				t.Setenv(msg.EnvLang, lang)
				got := start(t, t.Context(), tc.args...)
				require.Equal(t, exitUsage, got.code)
				require.Contains(t, got.stderr, want)
				require.Equal(t, 1, strings.Count(got.stderr, "\n"), got.stderr)
				require.NotContains(t, got.stderr, "secret")
				require.Empty(t, got.stdout)
			})
		}
	}
	t.Run("exit code of the program", func(t *testing.T) {
		t.Setenv(msg.EnvLang, "en")
		exit := fault.Child(t, "main", "-offices", "-1").Wait()
		require.Equal(t, exitUsage, exit.Code)
		require.Empty(t, exit.Stdout)
	})
}

func TestLanguage(t *testing.T) {
	for _, tc := range []struct {
		environment string
		args        []string
		want        msg.Lang
	}{
		{"", nil, msg.English},
		{"ja_JP.UTF-8", nil, msg.Japanese},
		{"fr", nil, msg.English},
		{"ja", []string{"-lang", "en"}, msg.English},
		{"", []string{"--lang=ja"}, msg.Japanese},
		{"", []string{"-what", "-lang", "ja"}, msg.Japanese}, // an error comes in it too
		{"ja", []string{"-lang", "fr"}, msg.Japanese},
		{"", []string{"lang", "ja"}, msg.English},
		{"", []string{"-lang"}, msg.English},
	} {
		t.Setenv(msg.EnvLang, tc.environment)
		require.Equal(t, tc.want, languageOf(tc.args), "%q %q", tc.environment, tc.args)
	}
}

func TestHelp(t *testing.T) {
	for lang, want := range map[string]string{"en": "the snapshot file", "ja": "スナップショットファイル"} {
		for _, help := range []string{"-h", "-help", "--help"} {
			got := start(t, t.Context(), help, "-lang", lang)
			require.Equal(t, exitOK, got.code)
			require.Empty(t, got.stderr)
			require.Contains(t, got.stdout, want)
			for _, name := range []string{"-offices ", "-dir ", "-url ", "-lang ", "-keep\n"} {
				require.Contains(t, got.stdout, "\n  "+name)
			}
		}
	}
}

func TestWhatFailsIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"a server that is not there": {[]string{"-url", "postgres://nobody:secret@127.0.0.1:1/postgres?connect_timeout=2"}, "127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t)
			got := start(t, t.Context(), append(tc.args, "-offices", "1", "-lang", "en", "-keep")...)
			require.Equal(t, exitFailed, got.code)
			require.True(t, strings.HasPrefix(got.stderr, "quickstart: "), got.stderr)
			require.Contains(t, got.stderr, tc.want)
			require.NotContains(t, got.stderr, "secret")
			require.Empty(t, got.stdout)
		})
	}
	t.Run("no temporary folder", func(t *testing.T) {
		t.Setenv("TMPDIR", "/nowhere")
		got := start(t, t.Context(), "-offices", "1", "-lang", "en")
		require.Equal(t, exitFailed, got.code)
		require.Contains(t, got.stderr, "/nowhere")
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	alone(t)
	t.Setenv(msg.EnvLang, "en")
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"-offices", "1"}, strings.NewReader(""), broken{}, &stderr)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "no space left")
}

func TestTextsAreComplete(t *testing.T) {
	en, ja := reflect.ValueOf(english), reflect.ValueOf(japanese)
	for i := range en.NumField() {
		name := en.Type().Field(i).Name
		require.NotEmpty(t, en.Field(i).String(), name)
		require.NotEmpty(t, ja.Field(i).String(), name)
		require.Equal(t, arguments(en.Field(i).String()), arguments(ja.Field(i).String()), name)
		require.NotEqual(t, len(ja.Field(i).String()), utf8.RuneCountInString(ja.Field(i).String()), "no Japanese for %s", name)
	}
}

// arguments lists the verbs of a format by their numbers.
func arguments(format string) map[string]bool {
	found := map[string]bool{}
	for i, verb := range regexp.MustCompile(`%(\[\d\])?[a-z]`).FindAllStringSubmatch(format, -1) {
		if verb[1] == "" {
			verb[0] = fmt.Sprintf("%%[%d]%s", i+1, verb[0][1:])
		}
		found[verb[0]] = true
	}
	return found
}

// requireAligned sees that the lines of each table are equally wide on a
// terminal, where Japanese characters take two columns, and fit into 80.
func requireAligned(t *testing.T, out string) {
	t.Helper()
	width := 0
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "+"):
			width = len(line)
			require.LessOrEqual(t, width, 80)
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
