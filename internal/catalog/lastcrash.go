package catalog

import "context"

// LastCrash is another text after each crash of the server, which empties the unlogged tables
// of all databases. It may be another one at other times too: it tells when the statistics
// of the server were last discarded, as a crash does.
func LastCrash(ctx context.Context, q Querier) (text string, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(pg_catalog.to_char(pg_catalog.pg_stat_get_bgwriter_stat_reset_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '')`).Scan(&text)
	return text, err
}
