package msg

// Texts of the exchange: a database is replaced by a copy of a template.
var (
	OccupantPrepared     = Define("prepared transaction %q", "準備済みトランザクション %q")
	OccupantSubscription = Define("subscription %q", "サブスクリプション %q")
	OccupantSlot         = Define("logical replication slot %q", "論理レプリケーションスロット %q")

	OccupantBubble = Define("the call comes from a bubble of testing/synctest, and the pool was opened outside", "synctest バブル内からの呼び出しですが、プールは外で開かれています")

	DatabaseNotExchanged = Define("the database %s could not be replaced by a copy", "データベース %s をコピーと入れ替えられませんでした")
	DatabaseLost         = Define(
		"the database %s was dropped, and the copy that was to take its place could not be made; the next restore makes it",
		"データベース %s は削除済みですが、代わりのコピーを作れませんでした。次の復元で作り直します")
	NoRoomForCopy = Define(
		"%s has no room for a copy of the database: %d bytes are needed, and %d are free",
		"%s にデータベースのコピーを置く空きがありません（必要 %d バイト、空き %d バイト）")
)

// Texts of snapshot: why a database is, or is not, replaced by a copy.
var (
	WhyDatabaseGone     = Define("the database was dropped, or took no connections", "データベースが削除されたか、接続できませんでした")
	NoExchangeMaker     = Define("the database is not one that fixtures.Open made as a role that may create databases", "データベースが、データベースを作れるロールで fixtures.Open が作ったものではありません")
	NoExchangeUntracked = Define("changes are not tracked", "変更を追跡していません")
	NoExchangeCheaper   = Define("to load the tables takes less time", "テーブルを読み込むほうが速く済みます")
	NoExchangeWarn      = Define("with OnSchemaMismatch(Warn) the schema stays", "OnSchemaMismatch(Warn) ではスキーマを戻しません")
	NoExchangeYet       = Define("this process has no copy of the database at this snapshot yet", "このスナップショットの時点のコピーが、このプロセスにまだありません")
	NoTemplateOccupied  = Define("the database could not be copied when it was at the snapshot, since it was in use: %s", "スナップショットの時点でデータベースが使用中だったため、コピーできませんでした: %s")
	NoTemplateFailed    = Define("the database could not be copied when it was at the snapshot: %s", "スナップショットの時点のデータベースをコピーできませんでした: %s")
	NoExchangeOccupied  = Define("the database is in use: %s", "データベースが使用中です: %s")
	NotExchanged        = Define("rows were brought back, but not the rest of the database", "行は戻しましたが、データベースのそれ以外の部分は戻していません")
	SchemaNotExchanged  = Define(
		"snapshot %q: %s, and only replacing the database by a copy brings that back, which these prevent:%s\n%s",
		"スナップショット %q: %s。元に戻すにはデータベースをコピーと入れ替える必要がありますが、次のもののためできません:%s\n%s")
	SchemaNotCopied = Define(
		"snapshot %q: the database could not be replaced by a copy, which brings its schema back: %s",
		"スナップショット %q: スキーマを元に戻すためのコピーとの入れ替えができませんでした: %s")
	WayOutOccupied = Define("End these before the restore, or use snapshot.TerminateBlockers()", "復元の前にこれらを終了するか、snapshot.TerminateBlockers() を使ってください")
	WayOutBound    = Define("Drop these before the restore; snapshot.TerminateBlockers() keeps subscriptions and slots", "復元の前にこれらを削除してください。snapshot.TerminateBlockers() はサブスクリプションとスロットを削除しません")
	WayOutBubble   = Define("Open the database inside the bubble, or restore it outside", "データベースをバブルの中で開くか、バブルの外で復元してください")
)
