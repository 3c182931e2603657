package msg

// Texts of package snapshot about how tables were brought back.
var (
	CantTrack = Define("this database's changes are not tracked, so each restore loads all tables again",
		"このデータベースの変更は追跡できないため、復元のたびにすべてのテーブルを読み込み直します")
	TableUntracked = Define("this table's rows can't be tracked, so a restore loads all of it once it was written to. The other tables are tracked",
		"このテーブルの行は追跡できないため、書き込みがあると復元時にテーブル全体を読み込み直します。ほかのテーブルは追跡します")
	TrackRights = Define("a role that owns the tables and may create schemas tracks them: %s",
		"テーブルを所有し、スキーマを作成できるロールなら追跡できます：%s")
	RoleGoesWithout = Define("this role is no superuser, and restores go without what takes one",
		"このロールはスーパーユーザーではないため、復元では次の機能を使えません")
	WithoutReplica = Define("triggers and foreign keys stay on during a restore, which takes up to three times as long after small changes (%s turns them off)",
		"復元中もトリガーと外部キーが有効なため、小さな変更の復元に最大 3 倍の時間がかかります（%s で無効にできます）")
	WithoutCopies = Define("the database is not copied, which is quicker after large changes, brings a changed schema back, and is what Clone does (%s allows it)",
		"データベースを複製できません。複製できれば、大きな変更の復元が速くなり、スキーマの変更も元に戻せ、Clone も使えます（%s で可能になります）")
	WithoutEventTriggers = Define("each restore compares the catalog to find changes of the schema, which takes about 1 ms for 44 tables (only a superuser has event triggers)",
		"復元のたびにカタログを比較してスキーマの変更を調べます。44 テーブルで約 1 ミリ秒かかります（イベントトリガーを作成できるのはスーパーユーザーだけです）")
	WhyTables   = Define("%d tables", "%d テーブル")
	WhyMore     = Define("%d more reasons", "ほか %d 件の理由")
	CantUntrack = Define("the tracking of changes was not removed", "変更の追跡を削除できませんでした")
	WhyRefused  = Define("its rows can't be tracked: %s", "行を追跡できません：%s")
	WhyNothing  = Define("nobody wrote to it", "書き込みがありませんでした")
	WhyUndone   = Define("the rows that were changed were put back", "変更された行を元に戻しました")
)

// Texts of the reasons for which tables are loaded again: see track.Reason.
var (
	WhyNoBaseline      = Define("it was not tracked", "変更が追跡されていませんでした")
	WhyOtherBaseline   = Define("the database was last at another snapshot, or at what Ensure builds on", "データベースは直前に別のスナップショット、または Ensure の開始時点の状態にありました")
	WhyOtherVersion    = Define("another version of this library tracked it", "このライブラリの別のバージョンが追跡していました")
	WhyDamaged         = Define("the journal is damaged", "ジャーナルが壊れています")
	WhyForeignServer   = Define("the database came from another server", "データベースが別のサーバーから移されました")
	WhyCrash           = Define("the server crashed", "サーバーが異常終了しました")
	WhySchemaChanged   = Define("the schema was changed, for a while or in what a snapshot does not compare, or something else in the catalog", "スキーマなどのカタログが変更されました")
	WhyUntrackedWrite  = Define("rows were changed where the journal could not tell", "ジャーナルに記録できない変更がありました")
	WhyLargeObjects    = Define("there are large objects", "ラージオブジェクトがあります")
	WhySubscription    = Define("a subscription of logical replication may write to it", "論理レプリケーションのサブスクリプションが書き込む可能性があります")
	WhyWraparound      = Define("the server's transaction ids are near wraparound", "サーバーのトランザクション ID が周回に近づいています")
	WhyDatabaseAltered = Define("settings or rights of the database were changed", "データベースの設定または権限が変更されました")
	WhyCostly          = Define("copying the database takes less time", "データベースを複製するほうが速いためです")
	WhyInUse           = Define("a session is connected to the database, or it has a prepared transaction or a replication slot", "データベースに接続しているセッション、準備済みトランザクション、またはレプリケーションスロットがあります")
	WhyUnwatched       = Define("its schema, or a table that no snapshot holds, was changed", "スキーマ、またはスナップショットに含まれないテーブルが変更されました")
	WhyTruncated       = Define("it was truncated", "TRUNCATE されました")
	WhyOverlappingTx   = Define("a transaction that began before the last restore wrote to it", "前回の復元より前に始まったトランザクションが書き込みました")
	WhyTooManyChanges  = Define("so many rows were changed that loading takes less time", "変更された行が多く、読み込み直すほうが速いためです")
	WhyUndecided       = Define("rows with the same key were deleted more than once", "同じキーの行が複数回削除されました")
	WhyConstraint      = Define("a constraint does not let the rows be put back one by one: %s", "制約により、行を個別に元へ戻せません：%s")
	WhySideEffect      = Define("a foreign key or a trigger would change other rows meanwhile", "その間に外部キーまたはトリガーが別の行を変更してしまいます")
	WhyUnindexedKey    = Define("a foreign key without an index would have to be checked for many rows", "インデックスのない外部キーを多数の行について検査する必要があります")
	WhyFixedIdentity   = Define("UPDATE can't set an identity that is always generated", "GENERATED ALWAYS の ID 列は UPDATE で設定できません")
	WhyExtensionCache  = Define("an extension keeps in memory what its tables hold", "拡張がテーブルの内容をメモリに保持しています")
	WhyNotCounted      = Define("track_counts is off, so what triggers write would not be seen", "track_counts が無効なため、トリガーによる書き込みを検出できません")
	WhyAlwaysTrigger   = Define("a trigger or a rule that fires always would see it", "常に起動するトリガーまたはルールがあります")
	WhyUnseenWrite     = Define("the extension's code may have written to it without its triggers", "拡張のコードがトリガーを通さずに書き込んだ可能性があります")
	WhyRowSecurity     = Define("row level security hides rows", "行レベルセキュリティで見えない行があります")
	WhyPublished       = Define("a publication has it, and its replica identity does not let rows be deleted one by one", "パブリケーションに含まれており、レプリカ識別の設定では行を個別に削除できません")
	WhyTooManyColumns  = Define("it has too many columns: a journal has one more, and a table may have 1600", "列が多すぎます。ジャーナルには列がもう 1 つ必要ですが、テーブルの列は 1600 個までです")
	WhyRowTooLong      = Define("a row did not fit into the journal", "ジャーナルに入らない行がありました")
	WhyLonePartition   = Define("it is a partition of a table that is not tracked", "追跡していないテーブルのパーティションです")
	WhyNoPrivileges    = Define("the role may not set session_replication_role any more", "ロールが session_replication_role を設定できなくなりました")
	WhyMostRows        = Define("most rows had to be loaded again", "大半の行を読み込み直す必要がありました")
)

// Texts of the reasons for which changes are not tracked.
var (
	CantTrackForeignSchema = Define("there is a schema called groundhog that is not this library's, or belongs to another role", "groundhog という名前のスキーマがありますが、このライブラリのものではないか、別のロールが所有しています")
	CantTrackLaterVersion  = Define("a later version of this library tracks it", "このライブラリの新しいバージョンが追跡しています")
)
