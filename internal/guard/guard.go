// Package guard decides whether a database may be changed: only test databases
// may, and a name is all that tells one. There is no switch that turns the
// guard off.
package guard

import (
	"slices"
	"strings"
	"unicode"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

var (
	testWords = []string{"test", "tests", "testing", "testdb", "dbtest"}
	liveWords = []string{"prod", "production", "live", "staging"}
)

// Check returns nil when the database called name may be changed: a word of its
// name says that it is for tests, or allowed holds exactly that name. A word
// that says otherwise (prod, production, live, staging) refuses it whatever
// else is there. The error is of class [errs.ErrUnsafeDatabase].
func Check(name string, allowed []string, lang msg.Lang) error {
	for _, split := range []func(string) []string{camelWords, lowerUpperWords, caseRuns} {
		for _, word := range split(name) {
			if slices.Contains(liveWords, word) {
				return errs.New(errs.ErrUnsafeDatabase, msg.GuardLooksLive.In(lang, name, word), nil)
			}
		}
	}
	if slices.Contains(allowed, name) {
		return nil
	}
	for _, split := range []func(string) []string{camelWords, lowerUpperWords} {
		if slices.ContainsFunc(split(name), func(word string) bool { return slices.Contains(testWords, word) }) {
			return nil
		}
	}
	return errs.New(errs.ErrUnsafeDatabase, msg.GuardNotTest.In(lang, name), nil)
}

// A name like APPTest or testPRODdb can be cut at its case changes in more than
// one way. The three below are all looked at for a word that refuses, and the
// two that people read names by for a word that allows: when in doubt, refuse.

// camelWords cuts before a capital that follows a small letter, and before the
// last capital of a run: APITest is api, test.
func camelWords(name string) []string {
	return words(name, func(prev, cur, next rune) bool {
		return unicode.IsUpper(cur) && (unicode.IsLower(prev) || unicode.IsUpper(prev) && unicode.IsLower(next))
	})
}

// lowerUpperWords cuts only before a capital that follows a small letter:
// myTESTdb is my, testdb.
func lowerUpperWords(name string) []string {
	return words(name, func(prev, cur, _ rune) bool { return unicode.IsUpper(cur) && unicode.IsLower(prev) })
}

// caseRuns cuts at every change of case but that of a capitalised word:
// testPRODdb is test, prod, db.
func caseRuns(name string) []string {
	var prevprev rune
	return words(name, func(prev, cur, _ rune) bool {
		cut := unicode.IsUpper(cur) && unicode.IsLower(prev) ||
			unicode.IsLower(cur) && unicode.IsUpper(prev) && unicode.IsUpper(prevprev)
		prevprev = prev
		return cut
	})
}

// words cuts name at every rune that is no letter, and before each letter that
// cut says; the words come back in small letters.
func words(name string, cut func(prev, cur, next rune) bool) []string {
	var out []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			out = append(out, strings.ToLower(word.String()))
			word.Reset()
		}
	}
	runes := []rune(name)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return 0
		}
		return runes[i]
	}
	for i, r := range runes {
		// cut sees every rune, letters or not, since it may keep state.
		if cut(at(i-1), r, at(i+1)) || !unicode.IsLetter(r) {
			flush()
		}
		if unicode.IsLetter(r) {
			word.WriteRune(r)
		}
	}
	flush()
	return out
}
