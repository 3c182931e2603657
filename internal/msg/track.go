package msg

// Texts of package snapshot about how tables were brought back.
var (
	CantTrack = Define("this database's changes are not tracked, so each restore loads all tables again",
		"このデータベースの変更は追跡できないため、復元のたびにすべてのテーブルを読み込み直します")
	TableUntracked = Define("this table's rows can't be tracked, so a restore loads all of it once it was written to. The other tables are tracked",
		"このテーブルの行は追跡できないため、書き込みがあると復元時にテーブル全体を読み込み直します。ほかのテーブルは追跡します")
	TrackRights = Define("a superuser tracks them, and so does a role that was granted SET ON PARAMETER session_replication_role and CREATE on the database",
		"スーパーユーザー、または SET ON PARAMETER session_replication_role とデータベースの CREATE 権限を持つロールなら追跡できます")
	NotWatched = Define("event triggers need a superuser: without them each restore compares the catalog to find changes of the schema, which takes longer",
		"イベントトリガーにはスーパーユーザー権限が必要です。ないため、復元のたびにカタログを比較してスキーマの変更を調べます。その分時間がかかります")
	WhyTables   = Define("%d tables", "%d テーブル")
	WhyMore     = Define("%d more reasons", "ほか %d 件の理由")
	CantUntrack = Define("the tracking of changes was not removed", "変更の追跡を削除できませんでした")
	WhyRefused  = Define("its rows can't be tracked: %s", "行を追跡できません：%s")
	WhyNothing  = Define("nobody wrote to it", "書き込みがありませんでした")
	WhyUndone   = Define("the rows that were changed were put back", "変更された行を元に戻しました")
)

// WhyReloaded are the reasons to load tables again, by their names in packages track
// and snapshot.
var WhyReloaded = map[string]Text{
	"unmarked":    Define("it was not tracked", "変更が追跡されていませんでした"),
	"other":       Define("the database was last at another snapshot, or at what Ensure builds on", "データベースは直前に別のスナップショット、または Ensure の開始時点の状態にありました"),
	"version":     Define("another version of this library tracked it", "このライブラリの別のバージョンが追跡していました"),
	"damaged":     Define("the journal is damaged", "ジャーナルが壊れています"),
	"moved":       Define("the database came from another server", "データベースが別のサーバーから移されました"),
	"crash":       Define("the server crashed", "サーバーが異常終了しました"),
	"schema":      Define("the schema was changed, for a while or in what a snapshot does not compare, or something else in the catalog", "スキーマなどのカタログが変更されました"),
	"blind":       Define("rows were changed where the journal could not tell", "ジャーナルに記録できない変更がありました"),
	"objects":     Define("there are large objects", "ラージオブジェクトがあります"),
	"replication": Define("a subscription of logical replication may write to it", "論理レプリケーションのサブスクリプションが書き込む可能性があります"),
	"wraparound":  Define("the server's transaction ids are near wraparound", "サーバーのトランザクション ID が周回に近づいています"),
	"truncated":   Define("it was truncated", "TRUNCATE されました"),
	"straddled":   Define("a transaction that began before the last restore wrote to it", "前回の復元より前に始まったトランザクションが書き込みました"),
	"much":        Define("so many rows were changed that loading takes less time", "変更された行が多く、読み込み直すほうが速いためです"),
	"undecided":   Define("rows with the same key were deleted more than once", "同じキーの行が複数回削除されました"),
	"awake":       Define("a trigger or a rule that fires always would see it", "常に起動するトリガーまたはルールがあります"),
	"unseen":      Define("the extension's code may have written to it without its triggers", "拡張のコードがトリガーを通さずに書き込んだ可能性があります"),
	"hidden":      Define("row level security hides rows", "行レベルセキュリティで見えない行があります"),
	"published":   Define("a publication has it, and its replica identity does not let rows be deleted one by one", "パブリケーションに含まれており、レプリカ識別の設定では行を個別に削除できません"),
	"columns":     Define("it has too many columns: a journal has one more, and a table may have 1600", "列が多すぎます。ジャーナルには列がもう 1 つ必要ですが、テーブルの列は 1600 個までです"),
	"wide":        Define("a row did not fit into the journal", "ジャーナルに入らない行がありました"),
	"apart":       Define("it is a partition of a table that is not tracked", "追跡していないテーブルのパーティションです"),
	"scope":       WhyScope,
	"powers":      Define("this role can't track changes", "このロールは変更を追跡できません"),
	"most":        Define("most rows had to be loaded again", "大半の行を読み込み直す必要がありました"),
}

// WhyUntracked are the reasons for which changes are not tracked, by their names in
// packages track and snapshot.
var WhyUntracked = map[string]Text{
	"powers":  Define("the role may not set session_replication_role", "ロールに session_replication_role を設定する権限がありません"),
	"foreign": Define("there is a schema called groundhog that is not this library's, or belongs to another role", "groundhog という名前のスキーマがありますが、このライブラリのものではないか、別のロールが所有しています"),
	"later":   Define("a later version of this library tracks it", "このライブラリの新しいバージョンが追跡しています"),
}
