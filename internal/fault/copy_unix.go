//go:build unix

package fault

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a hot standby of the private server behind a connection string, as
// that is now, and returns the string of the same database there. It never follows:
// it is a copy of the server's folder that waits for more. Nobody may write meanwhile,
// and the role must be a superuser, else t is skipped.
func Standby(t testing.TB, connString string) string {
	t.Helper()
	c := copyOf(t, connString)
	settings := []string{"wal_level=replica", "hot_standby=on"}
	// A first start as what it was makes it log what a standby needs.
	once := c.start(t, settings)
	once.Signal(os.Interrupt)
	once.Wait()
	signal := filepath.Join(c.folder, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	if err := os.Chown(signal, int(c.uid), int(c.gid)); err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	c.start(t, settings)
	return c.url
}

// Logical starts a copy of the private server behind a connection string, as that is
// now, with wal_level = logical, and returns the string of the same database there.
// Nobody may write meanwhile, and the role must be a superuser, else t is skipped.
func Logical(t testing.TB, connString string) string {
	t.Helper()
	c := copyOf(t, connString)
	c.start(t, []string{"wal_level=logical", "max_wal_senders=10", "max_replication_slots=10", "max_worker_processes=20"})
	return c.url
}

// copied is the folder of a server, as another one had it.
type copied struct {
	dir, folder string // the latter is in the former
	uid, gid    uint32
	programs    string
	port        uint16
	url         string
}

// copyOf copies the folder of the private server behind a connection string.
func copyOf(t testing.TB, connString string) copied {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, connString)
	if err != nil {
		t.Fatalf("fault: no copy of the server: %v", err)
	}
	defer conn.Close(ctx)
	var c copied
	var data string
	err = conn.QueryRow(ctx, `SELECT current_setting('data_directory'), setting FROM pg_config WHERE name = 'BINDIR'`).Scan(&data, &c.programs)
	if err == nil {
		_, err = conn.Exec(ctx, "CHECKPOINT")
	}
	if err != nil {
		t.Skipf("fault: no copy of the server: %v", err)
	}
	info, err := os.Stat(data)
	if err != nil {
		t.Skipf("fault: no copy of the server: its folder is not here: %v", err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	c.uid, c.gid = owner.Uid, owner.Gid
	if c.dir, err = os.MkdirTemp(TempDir(), "copy*"); err != nil {
		t.Fatalf("fault: no copy of the server: %v", err)
	}
	AtEnd(t, func() error { return os.RemoveAll(c.dir) })
	c.folder = filepath.Join(c.dir, "d")
	err = copyServer(data, c.folder, int(c.uid), int(c.gid))
	if err == nil {
		err = os.Chown(c.dir, int(c.uid), int(c.gid))
	}
	if err != nil {
		t.Fatalf("fault: no copy of the server: %v", err)
	}
	config := conn.Config()
	c.port = config.Port
	c.url = fmt.Sprintf("host=%s port=%d user=%s dbname=%s", c.dir, config.Port, config.User, config.Database)
	return c
}

// start starts a server on the folder, and waits until it answers. It ends before its
// folder goes.
func (c copied) start(t testing.TB, settings []string) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := []string{"-D", c.folder, "-k", c.dir, "-p", fmt.Sprint(c.port)}
	for _, s := range append(settings, "listen_addresses=", "logging_collector=off", "log_destination=stderr") {
		args = append(args, "-c", s)
	}
	cmd := exec.Command(filepath.Join(c.programs, "postgres"), args...)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.gid}}
	}
	p := startServer(t, cmd, c.dir)
	for {
		conn, err := pgx.Connect(ctx, c.url)
		if err == nil {
			_ = conn.Close(ctx)
			return p
		}
		if ctx.Err() != nil || !p.alive() {
			t.Fatalf("fault: no copy of the server: %v\n%s", err, p.Kill())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive reports whether the process has not ended.
func (p *Process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// copyServer copies the folder of a server that runs.
func copyServer(from, to string, uid, gid int) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case d.IsDir():
			if err := os.Mkdir(target, 0o700); err != nil {
				return err
			}
		case !d.Type().IsRegular(), name == "postmaster.pid", strings.HasPrefix(name, "pg_dynshmem"):
			return nil
		default:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(target, content, 0o600); err != nil {
				return err
			}
		}
		return os.Chown(target, uid, gid)
	})
}
