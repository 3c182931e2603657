package track

import (
	"strconv"
	"strings"
)

// quoted quotes the body of a function in dollars, with a tag that the body, and so
// no name in it, holds.
func quoted(body string) string {
	tag := "groundhog"
	for n := 1; strings.Contains(body, "$"+tag); n++ {
		tag = "groundhog" + strconv.Itoa(n)
	}
	return "$" + tag + "$" + body + "$" + tag + "$"
}

// literal quotes a text so that it means the same whatever
// standard_conforming_strings is in the session that reads it.
func literal(s string) string {
	quotes := strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return "E'" + strings.ReplaceAll(quotes, `\`, `\\`) + "'"
	}
	return "'" + quotes + "'"
}
