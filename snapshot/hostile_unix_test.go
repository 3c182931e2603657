//go:build unix

package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/snapshot"
)

// TestFilesThatAreNoFiles stand where a snapshot is looked for: none of them is
// waited for.
func TestFilesThatAreNoFiles(t *testing.T) {
	t.Parallel()
	b := setupSmall(t)
	ctx := t.Context()
	_, err := b.store.Create(ctx, "a")
	require.NoError(t, err)
	path := func(name string) string { return filepath.Join(b.dir, name+".groundhog") }
	require.NoError(t, syscall.Mkfifo(path("fifo"), 0o600))
	require.NoError(t, os.Symlink("/dev/zero", path("device")))
	require.NoError(t, os.Symlink(path("loop"), path("loop")))
	require.NoError(t, os.Symlink(path("a"), path("link")))
	require.NoError(t, os.Symlink(path("nothing"), path("dangling")))
	list, err := b.store.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, name := range []string{"fifo", "device"} {
		_, err := b.store.Verify(ctx, name)
		require.ErrorIs(t, err, snapshot.ErrCorrupt, name)
		require.ErrorContains(t, err, "a regular file")
	}
	_, err = b.store.Verify(ctx, "loop")
	require.Error(t, err)
	_, err = b.store.Verify(ctx, "dangling")
	require.ErrorIs(t, err, snapshot.ErrNotFound)
	info, err := b.store.Verify(ctx, "link")
	require.NoError(t, err)
	require.Equal(t, "link", info.Name)
}

// TestAFolderThatMayOnlyBeRead is good for all that makes no snapshot: say, one
// that a build server mounts.
func TestAFolderThatMayOnlyBeRead(t *testing.T) {
	t.Parallel()
	b := &builder{bundle: setupSmall(t)}
	several(t, b.pool)
	var err error
	b.dir, err = os.MkdirTemp("", "groundhog-test-*") // t.TempDir is for its owner only
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, os.Chmod(b.dir, 0o755))
		require.NoError(t, os.RemoveAll(b.dir))
	})
	b.store, err = snapshot.NewStore(b.pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	b.ensure(t, "shared", snapshot.Version("1"))
	require.NoError(t, os.Chmod(b.dir, 0o555))
	other := setupSmall(t)
	exit := fault.Child(t, "read only", fault.Postgres(t, fixtures.URL(t)).URL(), b.dir).Wait()
	require.Zero(t, exit.Code, exit)
	require.Contains(t, exit.Stdout, "ensured reloaded")
	require.Contains(t, exit.Stderr, "can't be kept")
	require.Contains(t, exit.Stdout, "listed 1")
	require.Contains(t, exit.Stdout, "not created: groundhog: the snapshot folder "+b.dir+" can't be written")
	require.Contains(t, exit.Stdout, "not built: groundhog: the snapshot folder "+b.dir+" can't be written")
	require.Equal(t, `("made by the schema") (built)`, text(t, other.pool, `SELECT name FROM author`))
}

// TestAFileOfAnotherUser in a folder that all may write to, but where nobody may
// replace what is another's: it is used as far as it may be read, and told about where
// it may not.
func TestAFileOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can be two users")
	}
	b := &builder{bundle: setupSmall(t)}
	several(t, b.pool)
	var err error
	b.dir, err = os.MkdirTemp("", "groundhog-test-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(b.dir)) })
	require.NoError(t, os.Chmod(b.dir, os.ModeSticky|0o777))
	b.store, err = snapshot.NewStore(b.pool, snapshot.WithDir(b.dir))
	require.NoError(t, err)
	b.ensure(t, "shared", snapshot.Version("1"))
	b.ensure(t, "secret", snapshot.Version("1"))
	path := func(name string) string { return filepath.Join(b.dir, name+".groundhog") }
	require.NoError(t, os.Chmod(path("shared"), 0o644))
	require.NoError(t, os.Chmod(path("secret"), 0o600))
	before, err := os.ReadFile(path("shared"))
	require.NoError(t, err)
	other := setupSmall(t)
	exit := fault.Child(t, "another user", fault.Postgres(t, fixtures.URL(t)).URL(), b.dir).Wait()
	require.Zero(t, exit.Code, exit)
	for what, want := range map[string]string{
		"shared, as it is": "true <nil>",
		"shared, anew":     "an earlier one stands as it was: rename",
		"shared, replaced": "an earlier one stands as it was: rename",
		"shared, deleted":  `snapshot "shared" can't be deleted: remove`,
		"secret, verified": `snapshot "secret" can't be read: open`,
		"secret, restored": `snapshot "secret" can't be read: open`,
		"secret, ensured":  `snapshot "secret" can't be read: open`,
		"listed":           "1 <nil>",
		"own":              "<nil>",
	} {
		_, told, ok := strings.Cut(exit.Stdout, what)
		told, _, _ = strings.Cut(told, "\n")
		require.True(t, ok, what)
		require.Contains(t, told, want, what)
	}
	strays, err := filepath.Glob(filepath.Join(b.dir, ".*.tmp"))
	require.NoError(t, err)
	require.Empty(t, strays)
	after, err := os.ReadFile(path("shared"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	_, err = b.store.Verify(t.Context(), "secret")
	require.NoError(t, err)
	require.NotEmpty(t, text(t, other.pool, `SELECT name FROM author`))
}

// becomeNobody, since root may read and write anything.
func becomeNobody() error {
	if os.Getuid() != 0 {
		return nil
	}
	return errors.Join(syscall.Setgid(65534), syscall.Setuid(65534))
}

func init() {
	fault.Register("another user", func(args []string) error {
		if err := becomeNobody(); err != nil {
			return err
		}
		return inChild(args, func(ctx context.Context, s *snapshot.Store, _ *pgxpool.Pool) error {
			build := func(context.Context) error { fmt.Println("build"); return nil }
			restored, err := s.Ensure(ctx, "shared", build, snapshot.Version("1"))
			fmt.Println("shared, as it is:", len(restored.Methods) > 0, err)
			_, err = s.Ensure(ctx, "shared", build, snapshot.Version("2"))
			fmt.Println("shared, anew:", err)
			_, err = s.Create(ctx, "shared", snapshot.Replace())
			fmt.Println("shared, replaced:", err)
			fmt.Println("shared, deleted:", s.Delete(ctx, "shared"))
			_, err = s.Verify(ctx, "secret")
			fmt.Println("secret, verified:", err)
			_, err = s.Restore(ctx, "secret")
			fmt.Println("secret, restored:", err)
			_, err = s.Ensure(ctx, "secret", build, snapshot.Version("1"))
			fmt.Println("secret, ensured:", err)
			list, err := s.List(ctx)
			fmt.Println("listed", len(list), err)
			_, err = s.Create(ctx, "own")
			fmt.Println("own:", err)
			return nil
		})
	})
	fault.Register("read only", func(args []string) error {
		if err := becomeNobody(); err != nil {
			return err
		}
		return inChild(args, func(ctx context.Context, s *snapshot.Store, _ *pgxpool.Pool) error {
			build := func(context.Context) error { return errors.New("built") }
			restored, err := s.Ensure(ctx, "shared", build, snapshot.Version("1"))
			if err != nil {
				return err
			}
			fmt.Println("ensured", restored.Methods[0].Method)
			list, err := s.List(ctx)
			fmt.Println("listed", len(list), err)
			_, err = s.Create(ctx, "new")
			fmt.Println("not created:", err)
			_, err = s.Ensure(ctx, "shared", build, snapshot.Version("2"))
			fmt.Println("not built:", err)
			return nil
		})
	})
}
