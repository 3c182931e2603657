// Package msg is the catalogue of every text that groundhog shows to a person:
// errors, log lines and progress, each in English and in Japanese.
//
// A text is declared once, next to its neighbours, with [Define]; it is fixed
// in one language when it is made ([Text.In]). Types and sentinel errors never
// depend on the language.
package msg

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Lang is a language that the catalogue is complete in.
type Lang string

// The languages. The zero value stands for "not chosen": see [Lang.Or].
const (
	English  Lang = "en"
	Japanese Lang = "ja"
)

// EnvLang names the environment variable that chooses the language where no
// option does.
const EnvLang = "GROUNDHOG_LANG"

// Parse reads a language as people write it: "ja", "JA", "ja_JP.UTF-8".
func Parse(s string) (Lang, bool) {
	tag, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ".")
	tag, _, _ = strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	switch l := Lang(tag); l {
	case English, Japanese:
		return l, true
	}
	return "", false
}

// Or returns l, or when none was chosen the language of [EnvLang], or English.
func (l Lang) Or() Lang {
	if l != "" {
		return l
	}
	if fromEnv, ok := Parse(os.Getenv(EnvLang)); ok {
		return fromEnv
	}
	return English
}

// Text is one entry of the catalogue: a format in each language, with the verbs
// %s, %q, %v and %d of package fmt; %d gets a [Count]. Where a translation needs
// another order of its arguments, it numbers them ("%[2]s"). A test in
// internal/readme compares the arguments of each use with the verbs.
type Text struct{ en, ja string }

var all []Text

// Define adds a text to the catalogue.
func Define(en, ja string) Text {
	t := Text{en: en, ja: ja}
	all = append(all, t)
	return t
}

// In returns the text in language l with its arguments in place. A quantity is passed
// as a [Count]; a number that names something (a process id, a port, a line) as a
// string.
func (t Text) In(l Lang, args ...any) string {
	if l.Or() == Japanese {
		return fmt.Sprintf(t.ja, args...)
	}
	return fmt.Sprintf(t.en, args...)
}

// Count is a quantity in a text: its digits are grouped by thousands ("32,101").
type Count int64

// Format implements [fmt.Formatter] for %d.
func (c Count) Format(f fmt.State, _ rune) {
	digits := strconv.FormatInt(int64(c), 10)
	sign := len(digits) - len(strings.TrimPrefix(digits, "-"))
	for at := len(digits) - 3; at > sign; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	fmt.Fprint(f, digits)
}
