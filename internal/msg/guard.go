package msg

// Texts of package guard.
var (
	GuardNotTest = Define(
		"database %q is not a test database: no word of its name is test, tests, testing, testdb or dbtest. Rename it, let fixtures.Open make one, or allow this one by name in code with AllowDatabase(%[1]q)",
		"データベース %q はテスト用ではありません。名前に test、tests、testing、testdb、dbtest のいずれの語もありません。名前を変えるか、fixtures.Open に作らせるか、コードで AllowDatabase(%[1]q) と名指しで許可してください")
	GuardLooksLive = Define(
		"database %q is refused: the word %q in its name says that it is not a test database, and that can't be overridden. Use a database with another name",
		"データベース %q は拒否されました。名前に含まれる語 %q はテスト用ではないことを示しており、この判定は解除できません。別の名前のデータベースを使ってください")
)

// Texts of package testdb.
var (
	NoDatabase = Define(
		"%s has no database: call fixtures.Open or fixtures.Use first, in the test itself, in an enclosing test, or in the set-up of fixtures.Main",
		"%s にはデータベースがありません。先に fixtures.Open か fixtures.Use を、テスト自身、外側のテスト、または fixtures.Main の準備関数で呼んでください")
	HeldByOther = Define(
		"%s can't use this database: %s restored it and has not ended yet. Tests that run side by side each need a database of their own: call snapshot.Clone, or fixtures.Open, in each of them",
		"%s はこのデータベースを使えません。%s が復元して使用中です。並行するテストにはそれぞれ専用のデータベースが必要です。それぞれのテストで snapshot.Clone か fixtures.Open を呼んでください")
)
