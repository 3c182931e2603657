package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// dataVersion is the version of the rows that this library's factories make. A
// release that makes other rows raises it, so that Ensure builds again.
const dataVersion = 1

// builderKey tells builders apart: by the version that the caller gave them,
// else by the Go files of the package under test, else, where no sources are,
// by the program itself.
func builderKey(version string) (string, error) {
	if version != "" {
		return fmt.Sprintf("%d version %s", dataVersion, version), nil
	}
	sum, err := programSum()
	return fmt.Sprintf("%d %s", dataVersion, sum), err
}

var programSum = sync.OnceValues(func() (string, error) {
	sources, tests := goFiles(workDir)
	if testing.Testing() && tests {
		sum, err := sumFiles(sources)
		return "sources " + sum, err
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	sum, err := sumFiles([]string{program})
	return "program " + sum, err
})

// goFiles lists the Go files of a folder in order, and reports whether tests are
// among them.
func goFiles(dir string) (paths []string, tests bool) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".go" {
			paths = append(paths, filepath.Join(dir, e.Name()))
			tests = tests || strings.HasSuffix(e.Name(), "_test.go")
		}
	}
	return paths, tests
}

func sumFiles(paths []string) (string, error) {
	sum := sha256.New()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s\n", filepath.Base(path))
		n, err := io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "\n%d\n", n)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
