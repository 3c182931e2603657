package bulk_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

// BenchmarkSeed compares the factories with the server's own limit: COPY of the same bytes,
// which are ready, by one client that has no keys checked. "x-welfare" is the data set made
// by one call, at most 1.15; "x-factories" that made by four, one after the other, each of
// which has to look at and to lock what the former ones left. The ways have their turns in
// one run, and the figures are medians. The larger sizes take GROUNDHOG_BENCH_LARGE=1.
func BenchmarkSeed(b *testing.B) {
	for _, scale := range []bulk.Scale{bulk.Medium, bulk.Large, 3200} {
		b.Run(fmt.Sprintf("rows=%d", 321*int(scale)+1), func(b *testing.B) {
			if scale > bulk.Medium && os.Getenv("GROUNDHOG_BENCH_LARGE") == "" {
				b.Skip("takes minutes: set GROUNDHOG_BENCH_LARGE=1")
			}
			db := welfare(b)
			bulk.Welfare(b, db, scale)
			want := counts(b, db)
			ways := []way{
				{"welfare", func() { bulk.Welfare(b, db, scale) }},
				{"factories", func() {
					offices := bulk.Offices(b, db, int(scale))
					bulk.Staffs(b, db, offices, 10)
					bulk.SupportPlanCycles(b, db, bulk.WelfareRecipients(b, db, offices, 100))
				}},
				{"limit", serverLimit(b, db)},
			}
			took := map[string][]time.Duration{}
			for turn := 0; b.Loop(); turn++ {
				for i := range ways {
					w := ways[(turn+i)%len(ways)]
					execSQL(b, db, emptied)
					began := time.Now()
					w.do()
					took[w.name] = append(took[w.name], time.Since(began))
					require.Equal(b, want, counts(b, db), w.name)
				}
			}
			limit := middle(took["limit"])
			for _, w := range ways {
				of := middle(took[w.name])
				b.ReportMetric(of.Seconds()*1000, "ms-"+w.name)
				if w.name != "limit" {
					b.ReportMetric(of.Seconds()/limit.Seconds(), "x-"+w.name)
				}
			}
		})
	}
}

func middle(of []time.Duration) time.Duration { return slices.Sorted(slices.Values(of))[len(of)/2] }
