package track_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/fixtures"
	"github.com/groundhogdb/groundhog/internal/fault"
	"github.com/groundhogdb/groundhog/internal/track"
)

// TestEventTriggersThatWrite: an event trigger that a role may not disable, and that writes
// to a table when the journal is made, is found whatever it writes.
func TestEventTriggersThatWrite(t *testing.T) {
	t.Parallel()
	fault.SkipShort(t)
	const loaded = `TRUNCATE t; INSERT INTO t SELECT g, 'b' FROM generate_series(1, 10) g`
	const otherRows = `TRUNCATE public.t; INSERT INTO public.t SELECT g, 'x' FROM generate_series(1, 10) g`
	for name, c := range map[string]struct {
		writes, before string
		quiet          bool
		again          bool // the journal is there already
	}{
		"nothing":                          {writes: `PERFORM FROM public.t`, quiet: true},
		"nothing, after a load":            {writes: `PERFORM FROM public.t`, before: loaded, quiet: true},
		"INSERT":                           {writes: `INSERT INTO public.t SELECT max(id) + 1 FROM public.t`},
		"UPDATE":                           {writes: `UPDATE public.t SET v = 'x' WHERE id = 1`},
		"TRUNCATE":                         {writes: `TRUNCATE public.t`},
		"TRUNCATE, after a load":           {writes: `TRUNCATE public.t`, before: loaded},
		"as many, after a load":            {writes: otherRows, before: loaded},
		"as many, after a load, once more": {writes: otherRows, before: loaded, again: true},
		"nothing, once more":               {writes: `PERFORM FROM public.t`, before: loaded, quiet: true, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixtures.Open(t, fixtures.WithSchema(ten))
			w := &world{T: t, url: fixtures.URL(t)}
			w.giveAway()
			w.session()
			admin := connect(t, w.url)
			tag := "CREATE TRIGGER"
			if c.again {
				tag = "CREATE FUNCTION"
				w.mark()
			}
			w.sql(admin, `CREATE FUNCTION write() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
					IF tg_tag = '`+tag+`' AND current_setting('test.written', true) IS DISTINCT FROM 'yes' THEN
						PERFORM set_config('test.written', 'yes', true); `+c.writes+`;
					END IF;
				END $$; CREATE EVENT TRIGGER write ON ddl_command_end EXECUTE FUNCTION write()`)
			t.Cleanup(func() {
				_, err := connect(t, w.url).Exec(context.Background(), `DROP EVENT TRIGGER write`)
				require.NoError(t, err)
			})
			err := w.tryTx(func(tx pgx.Tx) error {
				w.read(tx)
				w.sql(tx, w.asOwner()+"; "+c.before)
				w.sql(tx, "SET LOCAL search_path = pg_catalog")
				return w.baseline(tx)
			})
			if c.quiet {
				require.NoError(t, err)
				return
			}
			var found *track.EventTriggerError
			require.ErrorAs(t, err, &found)
			require.Equal(t, "write", found.Trigger)
		})
	}
}
