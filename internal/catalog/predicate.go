package catalog

import (
	"slices"
	"strings"
)

// predicate makes a boolean expression of what an extension gave
// pg_extension_config_dump. pg_dump puts that behind the name of the table, so it may
// be anything that can stand there; only conditions on single rows can be used.
// The empty predicate is true of all rows.
func predicate(condition string) (where string, ok bool) {
	rest, ok := skipSpace(condition)
	switch {
	case !ok:
		return "", false
	case rest == "":
		return "", true
	}
	word := keyword(rest)
	if word != "WHERE" {
		return "", false
	}
	rest, ok = skipSpace(rest[len(word):])
	if !ok || rest == "" || !single(rest) {
		return "", false
	}
	return "(" + rest + "\n) IS TRUE", true // the newline ends a comment in it
}

// beyond are the reserved words that end a condition.
var beyond = []string{"ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "GROUP", "HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT"}

// single reports whether the text is one expression, as far as can be told without its
// grammar: what it opens it closes, and nothing in it ends a condition.
func single(text string) bool {
	depth := 0
	for text != "" {
		var ok bool
		if text, ok = skipSpace(text); !ok {
			return false
		}
		if text == "" {
			break
		}
		switch text[0] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return false
			}
		case ';':
			return false
		case '\'', '"', '$':
			n := quotedLength(text, false)
			if n == 0 {
				return false
			}
			text = text[n:]
			continue
		default:
			if word := keyword(text); word != "" {
				if depth == 0 && slices.Contains(beyond, word) {
					return false
				}
				text = text[len(word):]
				if word == "E" && strings.HasPrefix(text, "'") {
					n := quotedLength(text, true)
					if n == 0 {
						return false
					}
					text = text[n:]
				}
				continue
			}
		}
		text = text[1:]
	}
	return depth == 0
}

// skipSpace leaves out blanks and comments.
func skipSpace(text string) (rest string, ok bool) {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v")
		switch {
		case strings.HasPrefix(text, "--"):
			end := strings.IndexAny(text, "\r\n")
			if end < 0 {
				return "", true
			}
			text = text[end:]
		case strings.HasPrefix(text, "/*"):
			depth, i := 1, 2
			for ; depth > 0 && i < len(text); i++ {
				switch {
				case strings.HasPrefix(text[i:], "/*"):
					depth, i = depth+1, i+1
				case strings.HasPrefix(text[i:], "*/"):
					depth, i = depth-1, i+1
				}
			}
			if depth > 0 {
				return "", false
			}
			text = text[i:]
		default:
			return text, true
		}
	}
}

func inWord(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// keyword returns the word that the text begins with, in upper case.
func keyword(text string) string {
	n := 0
	for n < len(text) && (inWord(text[n]) || n > 0 && text[n] == '$') {
		n++
	}
	return strings.ToUpper(text[:n])
}

// quotedLength returns the length of the quoted text at the beginning, 0 when it has no end.
func quotedLength(text string, escapes bool) int {
	if text[0] == '$' {
		end := 1
		for end < len(text) && inWord(text[end]) {
			end++
		}
		if end == len(text) || text[end] != '$' {
			return 1 // a parameter, or an operator: the server will say
		}
		tag := text[:end+1]
		length := strings.Index(text[len(tag):], tag)
		if length < 0 {
			return 0
		}
		return len(tag) + length + len(tag)
	}
	for i := 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == text[0] && i+1 < len(text) && text[i+1] == text[0]: // doubled
			i++
		case text[i] == text[0]:
			return i + 1
		}
	}
	return 0
}
