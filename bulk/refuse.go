package bulk

import (
	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

// refuse returns an error on an argument.
func refuse(lang msg.Lang, text msg.Text, args ...any) error {
	return errs.New(errs.ErrInvalidArgument, text.In(lang, args...), nil)
}
