package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// fileExtension ends the name of a snapshot file.
const fileExtension = ".groundhog"

// badName returns what is wrong with a name, as a word that all languages read.
func badName(name string) string {
	const most = 100 // with extension, prefix and suffix below the 255 bytes of file systems
	switch {
	case name == "":
		return `""`
	case len(name) > most:
		return fmt.Sprintf("%d > %d bytes", len(name), most)
	case strings.ToValidUTF8(name, "") != name:
		return "UTF-8"
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "-"), strings.HasPrefix(name, " "):
		return fmt.Sprintf("%q…", name[:1])
	case strings.HasSuffix(name, "."), strings.HasSuffix(name, " "):
		return fmt.Sprintf("…%q", name[len(name)-1:])
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) {
			return fmt.Sprintf("%q", r)
		}
	}
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	stem = strings.TrimRight(stem, " ")
	device, number := strings.TrimRight(stem, "0123456789¹²³"), 0
	if device != stem {
		number = utf8.RuneCountInString(stem[len(device):])
	}
	if slices.Contains([]string{"con", "prn", "aux", "nul", "conin$", "conout$"}, stem) || number == 1 && (device == "com" || device == "lpt") {
		return stem
	}
	return ""
}
