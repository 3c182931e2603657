package guard

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/errs"
	"github.com/groundhogdb/groundhog/internal/msg"
)

func TestNames(t *testing.T) {
	for _, name := range []string{
		"test", "tests", "testing", "testdb", "dbtest", "TEST", "app_test", "test-app", "app.tests.1",
		"appTest", "TestApp", "APITest", "myTESTdb", "app_TestDB", "test1", "app1test2", "テスト_test",
		"groundhog_test_00ff_1", "deliver_test", "product_test", "alive_test", "test productions",
	} {
		require.NoError(t, Check(name, nil, msg.English), name)
	}
	for _, name := range []string{
		"", "app", "postgres", "latest", "contest", "attestation", "testimony", "protest", "testapp", "tested",
		"テスト", "t_e_s_t", "te1st", "APPTESTIMONY",
		"prod_test", "test_prod", "testProd", "TESTprod", "test_PRODUCTION", "liveTest", "test live", "staging_test",
		"test2staging", "testLIVEdb", "ProdTest", "test-production-copy", "prod1test", "LIVEtest_test",
	} {
		require.ErrorIs(t, Check(name, nil, msg.English), errs.ErrUnsafeDatabase, name)
	}
}

// TestNamesMadeToFoolIt builds names of a word for tests and one that forbids it, in
// every order, case and company, and of what only looks like a word for tests.
func TestNamesMadeToFoolIt(t *testing.T) {
	refused := map[string]bool{}
	cases := []func(string) string{strings.ToLower, strings.ToUpper, func(w string) string { return strings.ToUpper(w[:1]) + w[1:] }}
	for _, live := range liveWords {
		for _, test := range testWords {
			for i, one := range cases {
				for _, between := range []string{"_", "-", ".", " ", "1", "__", "_x_", "/", "\u00a0", "の"} {
					refused[one(live)+between+cases[(i+1)%3](test)] = true
					refused[one(test)+between+cases[(i+2)%3](live)] = true
				}
			}
			refused[live+strings.ToUpper(test[:1])+test[1:]] = true // prodTest
			refused[test+strings.ToUpper(live[:1])+live[1:]] = true
			refused["my_"+test+"_copy_of_"+live+"_2026"] = true
		}
	}
	for _, word := range []string{
		"tеst", "ｔｅｓｔ", "ᴛest", "te\u200bst", "tést", "teſt", "t3st", "tset", "tesт", "TEЅT", // letters that look like them, and none between
		"latest", "fastest", "contests", "attest", "detesting", "testament", "testify", "tester", "testable", "pretest", "untested", "testdata", "testbed",
		"greatest_hits", "protest2026", "contest-entries", "testosterone", "latestdb", "mytestdbs", "dbtests", "test_data"[4:], "tes_t", "t-est", "TesT1ng",
		"postgres", "template0", "template1", "rdsadmin", "azure_maintenance", "cloudsqladmin", "defaultdb", "main", "master", "primary", "db", "shop", "users",
	} {
		refused[word] = true
	}
	for name := range refused {
		require.ErrorIs(t, Check(name, nil, msg.English), errs.ErrUnsafeDatabase, "%q", name)
		if !slices.ContainsFunc(liveWords, func(w string) bool { return strings.Contains(strings.ToLower(name), w) }) {
			require.NoError(t, Check(name, []string{name}, msg.English), "%q is allowed by name", name)
		}
	}
	t.Logf("fault: %d tried", len(refused))
}

func TestAllowedByName(t *testing.T) {
	require.NoError(t, Check("shop", []string{"shop"}, msg.English))
	require.ErrorIs(t, Check("Shop", []string{"shop"}, msg.English), errs.ErrUnsafeDatabase, "another database")
	require.ErrorIs(t, Check("shop_prod", []string{"shop_prod"}, msg.English), errs.ErrUnsafeDatabase, "never")
}

func TestTextsNameTheWayOut(t *testing.T) {
	require.ErrorContains(t, Check("shop", nil, msg.English), `AllowDatabase("shop")`)
	require.ErrorContains(t, Check("shop", nil, msg.Japanese), `AllowDatabase("shop")`)
	require.ErrorContains(t, Check("shop_live", nil, msg.English), `the word "live"`)
}
