// Package memory knows how a private server whose data lies in memory is recognised, and
// what to say when that is used up.
package memory

import (
	"os"
	"path/filepath"
	"regexp"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

const (
	// Root is the folder of a file system in memory that Linux has.
	Root = "/dev/shm"

	// Env is the environment variable that says whether data may lie there.
	Env = "GROUNDHOG_MEMORY"
)

// folderName is that of a folder with the data of a server.
var folderName = regexp.MustCompile(`^groundhog-memory-[0-9a-f]{16}$`)

// FolderOf is the folder in memory that has the data of the private server in the folder
// server; empty where there is none. The entry "data" of such a server is a link. It goes by
// the name only.
func FolderOf(server string) string {
	if !filepath.IsAbs(server) {
		return ""
	}
	target, err := os.Readlink(filepath.Join(server, "data"))
	if err != nil {
		return ""
	}
	folder := filepath.Dir(target)
	if target != filepath.Join(folder, "data") || filepath.Dir(folder) != Root || !folderName.MatchString(filepath.Base(folder)) {
		return ""
	}
	return folder
}

// Explain has an error that the server at the host gave since its disk is full say that its
// data lies in memory, and how to have it on disk, where that is so. The host is as pgx
// knows it: that of a private server is its folder.
func Explain(err error, lang msg.Lang, host string) {
	const diskFull = "53100"
	if !errs.HasCode(err, diskFull) {
		return
	}
	if folder := FolderOf(host); folder != "" {
		errs.Hint(err, diskFull, msg.MemoryFull.In(lang, folder, Env))
	}
}
