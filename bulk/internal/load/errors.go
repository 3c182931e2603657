package load

import (
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// refuse returns an error on an argument.
func refuse(lang msg.Lang, text msg.Text, args ...any) error {
	return errs.New(errs.ErrInvalidArgument, text.In(lang, args...), nil)
}

// failed wraps an error that the server, the connection or the context gave, and has the
// class of it.
func failed(text string, err error) error { return errs.New(errs.Class(err), text, err) }
