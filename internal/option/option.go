// Package option has what the options of the three public packages share: an
// option changes the configuration of one call, and all faults of a call's options
// and arguments are told at once.
package option

import (
	"errors"
	"strconv"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// Faults collects what is wrong with the options and arguments of one call. The
// texts are made last, since an option may choose the language. The zero value
// has none. A copy may be added to without changing the original.
type Faults struct{ all []fault }

type fault struct {
	class error
	cause error
	text  msg.Text
	args  []any
}

// Add adds a fault of class [errs.ErrInvalidArgument].
func (f *Faults) Add(text msg.Text, args ...any) { f.add(fault{text: text, args: args}) }

// AddCause adds a fault of class [errs.ErrInvalidArgument] that wraps cause.
func (f *Faults) AddCause(cause error, text msg.Text, args ...any) {
	f.add(fault{cause: cause, text: text, args: args})
}

// AddClass adds a fault of another class.
func (f *Faults) AddClass(class error, text msg.Text, args ...any) {
	f.add(fault{class: class, text: text, args: args})
}

func (f *Faults) add(one fault) {
	if one.class == nil {
		one.class = errs.ErrInvalidArgument
	}
	f.all = append(f.all[:len(f.all):len(f.all)], one)
}

// Err returns nil if there is no fault, else an error that names each, in the order
// in which they were added, one a line. It wraps the class of each.
func (f Faults) Err(lang msg.Lang) error {
	found := make([]error, len(f.all))
	for i, one := range f.all {
		found[i] = errs.New(one.class, one.text.In(lang, one.args...), one.cause)
	}
	if len(found) == 1 {
		return found[0]
	}
	return errors.Join(found...)
}

// Each calls apply with each option. A nil option is a fault.
func Each[O any](options []O, faults *Faults, apply func(O)) {
	for i, o := range options {
		if any(o) == nil {
			faults.Add(msg.OptionNil, strconv.Itoa(i+1))
			continue
		}
		apply(o)
	}
}

// Language returns the language called name. A name of none is a fault.
func Language(name string, faults *Faults) msg.Lang {
	lang, ok := msg.Parse(name)
	if !ok {
		faults.Add(msg.UnknownLanguage, name)
	}
	return lang
}
