//go:build unix

package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Extra is what a server of [Server] has that others have not.
type Extra struct {
	Settings map[string]string
	Files    map[string]string // in the folder of extensions, by their names
}

// Server starts a server of the programs that the private server behind a connection
// string has, and returns the string of its database postgres. It ends with t. The
// role must be a superuser on this machine, else t is skipped.
//
// A server looks for extensions where its own program lies, so with files of ours it
// runs from a copy of it, in a tree that leads to everything else.
func Server(t testing.TB, connString string, extra Extra) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, connString)
	if err != nil {
		t.Fatalf("fault: no server: %v", err)
	}
	defer conn.Close(ctx)
	at := map[string]string{}
	rows, err := conn.Query(ctx, `SELECT name, setting FROM pg_config WHERE name IN ('BINDIR', 'SHAREDIR', 'PKGLIBDIR', 'LIBDIR')
		UNION ALL SELECT 'data', current_setting('data_directory') UNION ALL SELECT 'user', current_user`)
	if err == nil {
		var name, value string
		_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { at[name] = value; return nil })
	}
	if err != nil {
		t.Skipf("fault: no server: %v", err)
	}
	info, err := os.Stat(at["data"])
	if err != nil {
		t.Skipf("fault: no server: that one's folder is not here: %v", err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	as := func(cmd *exec.Cmd) *exec.Cmd {
		cmd.Dir = "/"
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		}
		return cmd
	}
	dir, err := os.MkdirTemp(TempDir(), "server*")
	if err != nil {
		t.Fatalf("fault: no server: %v", err)
	}
	AtEnd(t, func() error { return os.RemoveAll(dir) })
	program := filepath.Join(at["BINDIR"], "postgres")
	if len(extra.Files) > 0 {
		program, err = tree(filepath.Join(dir, "p"), at, extra.Files)
	}
	if err == nil {
		err = os.Chown(dir, int(owner.Uid), int(owner.Gid))
	}
	if err != nil {
		t.Fatalf("fault: no server: %v", err)
	}
	data := filepath.Join(dir, "d")
	out, err := as(exec.Command(filepath.Join(at["BINDIR"], "initdb"), "-D", data, "-U", at["user"], "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")).CombinedOutput()
	if err != nil {
		t.Fatalf("fault: no server: initdb: %v\n%s", err, out)
	}
	const port = "5432"
	args := []string{"-D", data, "-k", dir, "-p", port, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
		"-c", "shared_buffers=32MB", "-c", "max_connections=200", "-c", "logging_collector=off", "-c", "log_destination=stderr"}
	for name, value := range extra.Settings {
		args = append(args, "-c", name+"="+value)
	}
	p := startServer(t, as(exec.Command(program, args...)), dir) // it ends before its folder goes
	there := fmt.Sprintf("host=%s port=%s user=%s dbname=postgres", dir, port, at["user"])
	for {
		conn, err := pgx.Connect(ctx, there)
		if err == nil {
			_ = conn.Close(ctx)
			break
		}
		if ctx.Err() != nil || !p.alive() {
			t.Fatalf("fault: no server: %v\n%s", err, p.Kill())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return there
}

// tree makes a tree of links to a server's programs and files in which the folder of
// extensions has more files, and returns the program to start.
func tree(root string, at map[string]string, files map[string]string) (program string, err error) {
	top := at["BINDIR"]
	for _, dir := range []string{at["SHAREDIR"], at["PKGLIBDIR"], at["LIBDIR"]} {
		for !strings.HasPrefix(dir+"/", strings.TrimSuffix(top, "/")+"/") {
			top = filepath.Dir(top)
		}
	}
	to := func(path string) string { return filepath.Join(root, strings.TrimPrefix(path, top)) }
	link := func(path string) error {
		target := to(path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		err := os.Symlink(path, target)
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		return err
	}
	within := func(dir string, but ...string) error {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if err == nil && !slices.Contains(but, e.Name()) {
				err = link(filepath.Join(dir, e.Name()))
			}
		}
		return err
	}
	extensions := filepath.Join(at["SHAREDIR"], "extension")
	for _, do := range []func() error{
		func() error { return within(at["SHAREDIR"], "extension") },
		func() error { return within(extensions) },
		func() error { return within(at["BINDIR"], "postgres") },
		func() error { return link(at["PKGLIBDIR"]) },
		func() error {
			if strings.HasPrefix(at["PKGLIBDIR"]+"/", at["LIBDIR"]+"/") {
				return within(at["LIBDIR"], filepath.Base(at["PKGLIBDIR"]))
			}
			return link(at["LIBDIR"])
		},
	} {
		if err := do(); err != nil {
			return "", err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(to(extensions), name), []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	program = to(filepath.Join(at["BINDIR"], "postgres"))
	content, err := os.ReadFile(filepath.Join(at["BINDIR"], "postgres"))
	if err == nil {
		err = os.WriteFile(program, content, 0o755)
	}
	return program, err
}
