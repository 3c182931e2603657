package guard

import (
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
