package msg

// Texts of package catalog: what a snapshot can't be made of.
var (
	ForeignPartition = Define(
		"%s is a foreign table and a partition: its rows are on another server, so a snapshot can neither keep nor restore them. Detach it in the test database",
		"%s は外部テーブルかつパーティションです。行は別のサーバーにあるため、スナップショットでは保存も復元もできません。テスト用データベースでは切り離してください")
	LargeObjects = Define(
		"the database holds %d large objects, which a snapshot does not keep: restoring would lose them. Remove them (SELECT lo_unlink(oid) FROM pg_largeobject_metadata) or store the data in a bytea column",
		"データベースにはラージオブジェクトが %d 個ありますが、スナップショットには保存されません。削除する (SELECT lo_unlink(oid) FROM pg_largeobject_metadata) か、bytea 列に保存してください")
)

// Texts of package snapshot.
var (
	NilOption          = Define("an option is nil", "オプションが nil です")
	NilPool            = Define("the database is nil: pass the *pgxpool.Pool of a test database", "データベースが nil です。テスト用データベースの *pgxpool.Pool を渡してください")
	NilBuilder         = Define("the builder is nil: pass the function that fills the database", "作成関数が nil です。データベースを満たす関数を渡してください")
	BadMaxAge          = Define("MaxAge(%s): the age must be positive; for a snapshot that never ages there is Forever", "MaxAge(%s): 期間は正でなければなりません。期限のないスナップショットには Forever を使ってください")
	UnknownLanguage    = Define("language %q: there are en and ja", "言語 %q: 使えるのは en と ja です")
	BadName            = Define("%q can't name a snapshot (%s): it becomes a file name, of at most 100 bytes, without separators, control characters and names that systems reserve", "%q はスナップショット名にできません (%s)。ファイル名になるため、100 バイト以内で、区切り文字・制御文字・予約名は使えません")
	SnapshotNotFound   = Define("there is no snapshot %q in %s (there are: %s). Make it with snapshot.Ensure or snapshot.Create", "スナップショット %q は %s にありません (あるもの: %s)。snapshot.Ensure か snapshot.Create で作成してください")
	SnapshotExists     = Define("snapshot %q is there already, at %s: restore it with snapshot.Ensure, or replace it with snapshot.Replace()", "スナップショット %q は既に %s にあります。snapshot.Ensure で復元するか、snapshot.Replace() で置き換えてください")
	SnapshotCorrupt    = Define("snapshot %q is damaged; no row of it reached the database. Delete the file, or let snapshot.Ensure build it again", "スナップショット %q は壊れています。データベースには一行も入っていません。ファイルを削除するか、snapshot.Ensure で作り直してください")
	SnapshotUnreadable = Define("snapshot %q can't be read", "スナップショット %q を読めません")
	FolderUnreadable   = Define("the snapshot folder %s can't be read", "スナップショットのフォルダー %s を読めません")
	FolderUnwritable   = Define("the snapshot folder %s can't be written. Name another one with WithDir or GROUNDHOG_DIR", "スナップショットのフォルダー %s に書き込めません。WithDir か GROUNDHOG_DIR で別のフォルダーを指定してください")
	FolderElsewhere    = Define("the package's own snapshot folder can't be written, another one is used", "パッケージのスナップショットフォルダーに書き込めないため、別のフォルダーを使います")
	WaitingForBuilder  = Define("waiting for whoever writes this snapshot", "このスナップショットを書いている処理を待っています")
	BuilderTooSlow     = Define("snapshot %q has been written by somebody else for more than %s (lock file %s)", "スナップショット %q は %s 以上、他の処理が書き込み中です (ロックファイル %s)")
	CantDelete         = Define("snapshot %q can't be deleted", "スナップショット %q を削除できません")
	CantCreate         = Define("snapshot %q was not created; an earlier one stands as it was", "スナップショット %q は作成されませんでした。以前のものはそのままです")
	CantRestore        = Define("snapshot %q was not restored; the database is as it was", "スナップショット %q は復元されませんでした。データベースは元のままです")
	CantClean          = Define("the database was not cleaned; it is as it was", "データベースは空にされませんでした。元のままです")
	CantReadSchema     = Define("the schema of the database can't be read", "データベースのスキーマを読めません")
	CantReadSources    = Define("the Go files of the package under test can't be read. Name the builder's version with snapshot.Version", "テスト対象パッケージの Go ファイルを読めません。snapshot.Version で作成関数のバージョンを指定してください")
	LeftOutOfList      = Define("left out of the list", "一覧から除外しました")
	SchemaMismatch     = Define("snapshot %q is of another schema than the database:%s\nLet snapshot.Ensure build it again, or create it anew with snapshot.Replace()", "スナップショット %q のスキーマはデータベースと異なります:%s\nsnapshot.Ensure で作り直すか、snapshot.Replace() で作成し直してください")
	SnapshotLocked     = Define("waited %s for locks that others hold. End these, or give each test a database of its own:\n%s\n", "他が保持するロックを %s 待ちました。次を終了させるか、テストごとに専用のデータベースを使ってください:\n%s\n")
	Holder             = Define("pid %s, application %q, %s, transaction open for %s, holds %s, last statement: %s", "pid %s、アプリケーション %q、%s、トランザクション継続 %s、対象 %s、最後の文: %s")
	NobodyHolds        = Define("  nobody holds any now", "  現在は誰も保持していません")
	RowsMissing        = Define("%s: the snapshot has %d rows, the server took %d: something in the database drops rows that are loaded", "%s: スナップショットは %d 行ですが、サーバーが受け入れたのは %d 行です。読み込み中の行を捨てるものがデータベースにあります")
	SnapshotCreated    = Define("snapshot created", "スナップショットを作成しました")
	SnapshotRestored   = Define("snapshot restored", "スナップショットを復元しました")
	Building           = Define("building the snapshot", "スナップショットを作成しています")
	BuilderFailed      = Define("the builder of snapshot %q failed; no snapshot was made", "スナップショット %q の作成関数が失敗しました。スナップショットは作られていません")
	WhyMissing         = Define("there is none", "まだありません")
	WhyBuilder         = Define("the builder has changed", "作成関数が変わりました")
	WhyAge             = Define("it is %s old, at most %s are wanted", "作成から %s 経過しています (上限 %s)")
	WhySchema          = Define("the schema has changed", "スキーマが変わりました")
)
