package snapshot

import (
	"context"
	_ "embed"
	"strings"
	"sync"
	"text/template"

	"github.com/jackc/pgx/v5"

	"github.com/groundhogdb/groundhog/internal/catalog"
	"github.com/groundhogdb/groundhog/internal/schema"
)

//go:embed extension.sql
var extensionSQL string

// extensionTemplate parses it, once and when it is needed.
var extensionTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"ident": catalog.Ident, "literal": catalog.Literal}).Parse(extensionSQL))
})

// extensionTriggers is what the template is filled with.
type extensionTriggers struct {
	Tables     []schema.Name
	Resets     []catalog.CacheReset
	Replica    bool // the session is in replica role: triggers are to fire as in one of the database's users
	Afterwards bool
}

// fireExtensions makes extensions' own triggers for statements fire on their tables,
// since what they keep in memory of these is not what is there any more. before
// everything is replaced they may write where they want; afterwards, what they
// wrote into the snapshot's tables is taken back, but for sequences.
func fireExtensions(ctx context.Context, l *layout, afterwards bool) (fired bool, err error) {
	fire := extensionTriggers{Replica: l.privileges.Replica, Afterwards: afterwards}
	for _, t := range l.sel.Tables {
		fire.Tables = append(fire.Tables, t.Name)
		reset := t.CacheReset()
		if len(reset.Statements) == 0 || len(reset.DisableTriggers) > 0 && !l.privileges.Replica && !afterwards {
			continue // or event triggers, which see ALTER TABLE, might write too
		}
		fire.Resets = append(fire.Resets, reset)
	}
	if len(fire.Resets) == 0 {
		return false, nil
	}
	var body strings.Builder
	if err := extensionTemplate().Execute(&body, fire); err != nil {
		return false, err
	}
	_, err = l.tx.Exec(ctx, "DO "+catalog.Literal(body.String()), pgx.QueryExecModeSimpleProtocol)
	return true, err
}
