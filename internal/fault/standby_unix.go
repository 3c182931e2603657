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
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, connString)
	if err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	defer conn.Close(ctx)
	var data, programs string
	err = conn.QueryRow(ctx, `SELECT current_setting('data_directory'), setting FROM pg_config WHERE name = 'BINDIR'`).Scan(&data, &programs)
	if err == nil {
		_, err = conn.Exec(ctx, "CHECKPOINT")
	}
	if err != nil {
		t.Skipf("fault: no standby: %v", err)
	}
	info, err := os.Stat(data)
	if err != nil {
		t.Skipf("fault: no standby: the server's folder is not here: %v", err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	dir, err := os.MkdirTemp(TempDir(), "standby*")
	if err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	AtEnd(t, func() error { return os.RemoveAll(dir) })
	copied := filepath.Join(dir, "d")
	if err := copyServer(data, copied, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	config := conn.Config()
	there := fmt.Sprintf("host=%s port=%d user=%s dbname=%s", dir, config.Port, config.User, config.Database)
	begin := func() *Process {
		cmd := exec.Command(filepath.Join(programs, "postgres"), "-D", copied, "-k", dir, "-p", fmt.Sprint(config.Port),
			"-c", "wal_level=replica", "-c", "hot_standby=on", "-c", "listen_addresses=", "-c", "logging_collector=off", "-c", "log_destination=stderr")
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		}
		p := Start(t, cmd)
		for {
			conn, err := pgx.Connect(ctx, there)
			if err == nil {
				_ = conn.Close(ctx)
				return p
			}
			if ctx.Err() != nil || !p.alive() {
				t.Fatalf("fault: no standby: %v\n%s", err, p.Kill())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	// A first start as what it was makes it log what a standby needs.
	once := begin()
	once.Signal(os.Interrupt)
	once.Wait()
	signal := filepath.Join(copied, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	if err := os.Chown(signal, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatalf("fault: no standby: %v", err)
	}
	standby := begin()
	AtEnd(t, func() error {
		standby.Signal(syscall.SIGQUIT) // before its folder goes
		standby.Wait()
		return nil
	})
	return there
}

// alive tells whether the process has not ended.
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
