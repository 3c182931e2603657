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
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
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

// Text is one entry of the catalogue: a format in each language, with the
// verbs of package fmt. Where a translation needs another order of its
// arguments, it numbers them ("%[2]s").
type Text struct{ en, ja string }

var (
	all      []Text
	texts    = catalog.NewBuilder(catalog.Fallback(language.English))
	printers = map[Lang]*message.Printer{
		English:  message.NewPrinter(language.English, message.Catalog(texts)),
		Japanese: message.NewPrinter(language.Japanese, message.Catalog(texts)),
	}
)

// Define adds a text to the catalogue. It is called while packages are
// initialised, so a text that the catalogue refuses is a programming error.
func Define(en, ja string) Text {
	if err := texts.SetString(language.English, en, en); err != nil {
		panic(fmt.Sprintf("msg: %q: %v", en, err))
	}
	if err := texts.SetString(language.Japanese, en, ja); err != nil {
		panic(fmt.Sprintf("msg: %q: %v", ja, err))
	}
	t := Text{en: en, ja: ja}
	all = append(all, t)
	return t
}

// In returns the text in language l with its arguments in place. Integers are
// grouped by thousands ("32,101"): a number that names something (a process
// id, a port) is passed as a string.
func (t Text) In(l Lang, args ...any) string {
	return printers[l.Or()].Sprintf(t.en, args...)
}
