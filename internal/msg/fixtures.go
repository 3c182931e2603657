package msg

// Texts of fixtures: where a server is found.
var (
	ServerNotFound = Define(
		"no PostgreSQL server to be had. Looked at:\n%s\nAny one of these mends it:\n%s",
		"使える PostgreSQL サーバーがありません。調べた場所:\n%s\n次のいずれかで解決します:\n%s")

	FixDebian   = Define("  - Debian, Ubuntu: apt-get install %s", "  - Debian、Ubuntu の場合: apt-get install %s")
	FixRedHat   = Define("  - Red Hat, Fedora: dnf install postgresql-server", "  - Red Hat、Fedora の場合: dnf install postgresql-server")
	FixHomebrew = Define("  - macOS: brew install postgresql@%s", "  - macOS の場合: brew install postgresql@%s")
	FixURL      = Define(
		"  - a server that is there already: set %s=postgres://user:password@host:5432/postgres",
		"  - すでにあるサーバーを使う場合: %s=postgres://user:password@host:5432/postgres を設定する")

	LocationNotGiven   = Define("not given", "指定されていません")
	LocationNotSet     = Define("not set", "設定されていません")
	LocationEmptyPath  = Define("no folder in it has both initdb and postgres", "initdb と postgres の両方があるフォルダーがありません")
	LocationNoFolder   = Define("no initdb and postgres there", "initdb と postgres がありません")
	LocationNoPgConfig = Define("no such program on PATH", "PATH にそのプログラムがありません")
	ProgramsTooOld     = Define("PostgreSQL %s, but %s or newer is needed", "PostgreSQL %s です。%s 以降が必要です")
	ProgramsNoVersion  = Define("postgres --version says %q, which is no version", "postgres --version の出力 %q からバージョンを読み取れません")

	SearchGivenUp = Define("the search for a server was given up", "サーバーの探索を中止しました")

	AddressUnreadable = Define(
		"the address of the server, given by %s, can't be read: it must look like postgres://user:password@host:5432/postgres or host=… user=… dbname=…",
		"%s で指定されたサーバーのアドレスを読み取れません。postgres://user:password@host:5432/postgres または host=… user=… dbname=… の形で書いてください")
	AddressFails = Define(
		"the server at %s, given by %s, can't be used; correct the address, or take it away to have a server started from the programs on this machine",
		"%[2]s で指定されたサーバー %[1]s を使えません。アドレスを直すか、指定を外してこのマシンのプログラムからサーバーを起動させてください")
	PrivateFails = Define("the private server does not answer any more", "起動したサーバーが応答しなくなりました")
	ServerTooOld = Define(
		"the server at %s is PostgreSQL %s, but %s or newer is needed",
		"サーバー %s は PostgreSQL %s です。%s 以降が必要です")
)

// Texts of fixtures: the private server.
var (
	NoPrivateServer = Define(
		"a private server can't be started on %s: set %s to a server that is there already",
		"%s ではサーバーを起動できません。既存のサーバーを %s に設定してください")
	NoServerUser = Define(
		"PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as",
		"PostgreSQL は root では動かず、代わりに使えるユーザー postgres も nobody もありません")
	CannotBecome = Define(
		"as root the server runs as user %s, and this process may not change to it (no CAP_SETUID): run the tests as an ordinary user",
		"root の場合サーバーはユーザー %s で動きますが、このプロセスはそのユーザーに切り替えられません（CAP_SETUID がありません）。一般ユーザーでテストを実行してください")
	NoServerFolder = Define(
		"no folder for the server: neither %s nor /tmp can be used by user %s with a short enough path",
		"サーバー用のフォルダーを作れません。%s も /tmp も、ユーザー %s が十分短いパスで使えません")
	NoRoomForServer = Define(
		"no folder has room for the server (about 60 MB): free some, or set TMPDIR to a folder on another disk",
		"サーバーのフォルダー（約 60 MB）を置く空きがありません。空きを作るか、TMPDIR に別のディスクのフォルダーを設定してください")
	UserUnknown = Define(
		"user id %s has no entry in the system's list of users, and PostgreSQL's initdb refuses to work for it: add one (useradd, or a line in /etc/passwd), run the tests as another user, or set GROUNDHOG_DATABASE_URL",
		"ユーザー ID %s がシステムのユーザー一覧にないため、PostgreSQL の initdb が動きません。useradd などで追加するか、別のユーザーでテストを実行するか、GROUNDHOG_DATABASE_URL を設定してください")
	FolderNotOurs = Define(
		"%s is not safe from other users of this machine, so the server is not shared with other processes",
		"%s は他のユーザーが操作できるため、サーバーを他のプロセスと共有しません")
	NotShared = Define(
		"the shared server in %s could not be used in time",
		"共有サーバー %s を時間内に使えるようになりませんでした")
	SupervisorGone = Define(
		"the shell that watches over the server in %s ended early",
		"%s のサーバーを見張るシェルが途中で終了しました")
	InitdbFailed     = Define("initdb ended with status %s:\n%s", "initdb が終了コード %s で失敗しました:\n%s")
	PostgresEnded    = Define("postgres ended with status %s; its log ends with:\n%s", "postgres が終了コード %s で終わりました。ログの末尾:\n%s")
	PostgresNotReady = Define("postgres takes no connection; its log ends with:\n%s", "postgres に接続できません。ログの末尾:\n%s")
	PostgresTooSlow  = Define("no server was made and started within %s: the machine has much else to do, or its disk is slow", "%s 以内にサーバーを作成して起動できませんでした。マシンの負荷が高いか、ディスクが遅いようです")
	ServerLeftBehind = Define(
		"the private server in %s did not end in time; end the process and remove the folder by hand",
		"%s のサーバーが時間内に終了しませんでした。プロセスを終了し、フォルダーを手で削除してください")
	ServerLog = Define("the log of the private server ends with:\n%s", "サーバーのログの末尾:\n%s")
)

// Texts of fixtures: options and databases.
var (
	OptionNil         = Define("option number %s is nil", "%s 番目のオプションが nil です")
	OptionEmptyURL    = Define("WithURL needs the address of a server; leave the option out to have one found", "WithURL にはサーバーのアドレスが必要です。自動で探させるにはこのオプションを外してください")
	OptionEmptySQL    = Define("WithSchema: statement text number %s is empty", "WithSchema の %s 番目の SQL が空です")
	OptionNoSQL       = Define("WithSchema needs at least one text of SQL", "WithSchema には SQL が 1 つ以上必要です")
	OptionNilArgument = Define("%s needs a value, not nil", "%s に nil は指定できません")
	OptionEmptyName   = Define("%s needs a name", "%s には名前が必要です")
	OptionBadGlob     = Define("WithSchemaFS: %q is no pattern for files", "WithSchemaFS の %q はファイルのパターンとして正しくありません")
	OptionNoFiles     = Define("WithSchemaFS: no file matches %q", "WithSchemaFS の %q に一致するファイルがありません")
	OptionUnreadable  = Define("WithSchemaFS: %s can't be read", "WithSchemaFS の %s を読めません")
	OptionNotForStart = Define("SkipIfNoServer is for Open and Main; after Start ask for errors.Is(err, fixtures.ErrNotFound)", "SkipIfNoServer は Open と Main のためのものです。Start の後は errors.Is(err, fixtures.ErrNotFound) で判定してください")

	SchemaText       = Define("WithSchema, text number %s", "WithSchema の %s 番目の SQL")
	SchemaFailed     = Define("the schema can't be made: %s", "スキーマを作れません（%s）")
	SchemaFailedLine = Define("the schema can't be made: %s, line %s", "スキーマを作れません（%s の %s 行目）")

	SchemaCommand = Define(
		"the schema can't be made: %s, line %s: %s is a command of psql, which a server does not take: %s",
		"スキーマを作れません（%s の %s 行目）。%s は psql のコマンドで、サーバーでは実行できません。%s")
	InsteadOfConnect = Define(
		"every test has a database of its own, so make the dump of one database without CREATE DATABASE (pg_dump without --create)",
		"データベースはテストごとに作られるため、CREATE DATABASE を含まないダンプを使ってください（pg_dump に --create を付けない）")
	InsteadOfInclude  = Define("give the file that it names to WithSchemaFS, which takes files in the order of their names", "読み込むファイルを WithSchemaFS に渡してください。ファイルは名前の順に実行されます")
	InsteadOfCopy     = Define("write the rows as INSERT (pg_dump --inserts), or load them in the set-up, by bulk.Insert or CopyFrom", "行は INSERT で書くか（pg_dump --inserts）、準備関数の中で bulk.Insert や CopyFrom を使って入れてください")
	InsteadOfVariable = Define("write the values themselves into the file", "変数を使わず、値をファイルに直接書いてください")
	InsteadOfExecute  = Define("write a DO block that runs EXECUTE", "EXECUTE を実行する DO ブロックを書いてください")
	InsteadOfSending  = Define("end the statement with a semicolon", "文はセミコロンで終えてください")
	InsteadOfCommand  = Define("remove it; pg_dump --schema-only writes files that need no psql", "削除してください。pg_dump --schema-only の出力は psql なしで実行できます")
	SchemaCopy        = Define(
		"the schema can't be made: %s, line %s: the rows of COPY … FROM stdin are sent by psql: write them as INSERT (pg_dump --inserts), or leave them out (pg_dump --schema-only)",
		"スキーマを作れません（%s の %s 行目）。COPY … FROM stdin の行は psql が送るものです。INSERT で書くか（pg_dump --inserts）、行を含めないでください（pg_dump --schema-only）")
	SchemaArchive = Define(
		"the schema can't be made: %s is an archive of pg_dump, not SQL: write SQL with pg_dump --format=plain, or pg_restore --file=schema.sql",
		"スキーマを作れません。%s は SQL ではなく pg_dump のアーカイブです。pg_dump --format=plain または pg_restore --file=schema.sql で SQL を出力してください")
	SchemaNoText = Define(
		"the schema can't be made: %s, line %s has a zero byte: SQL must be text in UTF-8 (the > of PowerShell may write UTF-16: use pg_dump --file=schema.sql)",
		"スキーマを作れません。%s の %s 行目にゼロバイトがあります。SQL は UTF-8 のテキストにしてください（PowerShell の > は UTF-16 で書くことがあります。pg_dump --file=schema.sql を使ってください）")
	SchemaNotEnded = Define(
		"the schema can't be made: %s begins a transaction that it does not end: add COMMIT",
		"スキーマを作れません。%s で始めたトランザクションが終了していません。COMMIT を追加してください")
	SchemaAlone = Define(
		"give the statement a text or a file of its own: several statements are run in one transaction",
		"この文だけを別の SQL かファイルにしてください。複数の文は 1 つのトランザクションで実行されます")
	SchemaLeftOut = Define(
		"%s, line %s: SET %s is left out, since PostgreSQL %s does not have that parameter",
		"%s の %s 行目の SET %s を省きました。PostgreSQL %s にこのパラメーターはありません")
	DumpWithout  = Define("pg_dump %s leaves such statements out", "pg_dump %s を使うと、このような文は出力されません")
	DumpClean    = Define("a new database has a schema public: remove the statement, or use pg_dump --clean --if-exists", "新しいデータベースには public スキーマがあります。この文を削除するか、pg_dump --clean --if-exists を使ってください")
	DumpIfExists = Define("the database is new, so there is nothing to drop: use pg_dump without --clean, or with --clean --if-exists", "データベースは新しく、削除するものがありません。pg_dump を --clean なしで、または --clean --if-exists を付けて使ってください")
	DumpEncoding = Define("SQL must be text in UTF-8: pg_dump --encoding=UTF8", "SQL は UTF-8 のテキストにしてください（pg_dump --encoding=UTF8）")

	DatabaseNotMade    = Define("database %s can't be made", "データベース %s を作れません")
	DatabaseNotOpened  = Define("database %s can't be connected to", "データベース %s に接続できません")
	DatabaseNotDropped = Define("database %s can't be dropped", "データベース %s を削除できません")
	TraitNotRepeated   = Define(
		"the template with the schema has a setting that the databases of tests lack, since this role may not repeat it: %s (%s)",
		"スキーマのテンプレートにある次の設定は、このロールでは設定できないため、テストのデータベースにはありません: %s（%s）")
	PoolNotParsed = Define("WithPoolConfig must change the configuration that it is given: pgx takes none that pgxpool.ParseConfig did not make",
		"WithPoolConfig では渡された設定を変更してください。pgx は pgxpool.ParseConfig が作った設定しか受け付けません")
	PoolLeadsAway = Define(
		"WithPoolConfig made the pool lead to database %q instead of %q; leave ConnConfig.Database as it is",
		"WithPoolConfig により接続先が %[2]q ではなくデータベース %[1]q になりました。ConnConfig.Database は変えないでください")
	DatabaseNotKept = Define("database %s of a failed test can't be kept, so it is dropped", "失敗したテストのデータベース %s を残せないため削除します")
	DatabaseKept    = Define(
		"a test failed, so its database is kept as %s:\n    %s\nIt is dropped by the next run after %s, or when %s newer ones are kept",
		"テストが失敗したため、使っていたデータベースを %s として残しました:\n    %s\n%s 経過後の次の実行時、または新しいものが %s 個残されたときに削除されます")
	DatabaseKeptHere = Define(
		"a test failed, so its database is kept as %s:\n    %s\nIts server ends %s after the last use by tests, or at once by:\n    %s",
		"テストが失敗したため、使っていたデータベースを %s として残しました:\n    %s\nサーバーはテストでの最後の使用から %s 後に終了します。すぐに終了するには:\n    %s")
	LogOfTest          = Define("the server's log of database %s:", "データベース %s に関するサーバーのログ:")
	LogOfTestCut       = Define("the server's log of database %s, the last %s of %s lines:", "データベース %s に関するサーバーのログ（%[3]s 行のうち最後の %[2]s 行）:")
	TemplateLocked     = Define("the template with the schema was not ready within %s: another process makes it, %s", "スキーマのテンプレートが %s 以内に用意できませんでした。作成中のプロセス: %s")
	TooManyConnections = Define(
		"all connections of the server are in use: close pools that tests open themselves, make pools smaller (pool_max_conns, WithPoolConfig), run fewer tests at once (go test -parallel 4 -p 2), or raise max_connections of the server",
		"サーバーの接続がすべて使用中です。テストが開いたプールを閉じる、プールを小さくする（pool_max_conns、WithPoolConfig）、同時に実行するテストを減らす（go test -parallel 4 -p 2）、サーバーの max_connections を増やす、のいずれかを行ってください")
	Session           = Define("pid %s, application %q, %s for %s: %s", "pid %s、アプリケーション %q、%s（%s）: %s")
	ConnectionsLeaked = Define(
		"%s ended with %s connections to its database still open; close what the test opened (Pool.Close, DB.Close, Conn.Close):",
		"%s の終了時、データベースへの接続が %s 本開いたままでした。テストが開いたものを閉じてください（Pool.Close、DB.Close、Conn.Close）:")
	BadIdle       = Define("%s is %q, but must be a time such as 10s, from 0s to 24h", "%s の値 %q が正しくありません。10s のような 0s から 24h までの時間にしてください")
	ServerNotMade = Define("this Server is none: make one with fixtures.Start", "この Server は使えません。fixtures.Start で作ってください")
	ServerClosed  = Define("the server is closed already", "サーバーはすでに閉じられています")
	PoolNotGiven  = Define("fixtures.Use needs a pool, not nil", "fixtures.Use に nil は指定できません")
	UseFails      = Define("the database handed to fixtures.Use does not answer", "fixtures.Use に渡されたデータベースが応答しません")
	PoolLeaked    = Define(
		"%s ended with %s of its database's connections still in use; release them (Rows.Close, Tx.Rollback, Conn.Release)",
		"%s の終了時、データベースの接続 %s 本が使用中のままでした。解放してください（Rows.Close、Tx.Rollback、Conn.Release）")
)

// Texts of fixtures: the one database of a role that may not create others.
var (
	ExternalNotTest = Define(
		"the role %s may not create databases, so tests can only use the one that the address names, but the name %q does not say that it is for tests: run ALTER ROLE %[1]s CREATEDB on the server, or give the address of a database with the word test in its name, and none like prod or live",
		"ロール %s にはデータベースを作る権限がないため、アドレスで指定されたデータベースしか使えませんが、%q はテスト用の名前ではありません。サーバーで ALTER ROLE %[1]s CREATEDB を実行するか、名前に test の語があり prod や live などの語がないデータベースのアドレスを指定してください")
	ExternalNotEmpty = Define(
		"database %s has what tests did not make and would drop, since the role %s may not create databases of their own for them (%s): empty it, give the address of another one, hand it to fixtures.Use as it is, or run ALTER ROLE %[2]s CREATEDB",
		"ロール %[2]s にはデータベースを作る権限がないため、テストはデータベース %[1]s 自体を使い、中身を削除します。しかしテストが作ったものではないものがあります（%[3]s）。空にするか、別のデータベースのアドレスを指定するか、fixtures.Use にそのまま渡すか、ALTER ROLE %[2]s CREATEDB を実行してください")
	ExternalNoSchema = Define(
		"the role %s may create neither databases nor schemas: run GRANT CREATE ON DATABASE %s TO %[1]s, or ALTER ROLE %[1]s CREATEDB",
		"ロール %s にはデータベースもスキーマも作る権限がありません。GRANT CREATE ON DATABASE %s TO %[1]s か ALTER ROLE %[1]s CREATEDB を実行してください")
	ExternalTaken = Define(
		"database %s is in use by %q, and the role %s may not create another one: use that of the enclosing test (fixtures.DB), close it first, or run ALTER ROLE %[3]s CREATEDB",
		"データベース %s は %q が使用中で、ロール %s には別のデータベースを作る権限がありません。外側のテストのもの（fixtures.DB）を使うか、先に閉じるか、ALTER ROLE %[3]s CREATEDB を実行してください")
	ExternalBusy = Define(
		"database %s did not become free within %s; it is used by %s",
		"データベース %s が %s 以内に空きませんでした。使用中: %s")
	ExternalKeeps = Define(
		"database %s did not become free within %s; it is that of %s, which may wait for this test in turn: open it after t.Parallel, and run tests with a limit that they don't reach (go test -parallel 1000)",
		"データベース %s が %s 以内に空きませんでした。使用中の %s がこのテストの終了を待っている可能性があります。t.Parallel の後で開き、同時実行数の上限に達しないように実行してください（go test -parallel 1000）")
	ExternalAwaited = Define(
		"waiting for database %s, since the role %s may not create another one: it is used by %s",
		"データベース %s が空くのを待っています。ロール %s には別のデータベースを作る権限がありません。使用中: %s")
	ExternalNotEmptied = Define("database %s can't be emptied", "データベース %s を空にできません")
	ExternalKept       = Define(
		"database %s is left as this failed test left it:\n    %s\nThe next test that uses it empties it",
		"データベース %s は失敗したこのテストが残したままの状態です:\n    %s\n次に使うテストが空にします")
	DescribeAlone = Define(
		"the role %s may not create databases, so tests use %s itself, one at a time, and empty it",
		"ロール %s にはデータベースを作る権限がないため、テストは %s 自体を一つずつ順に使い、空にします")
	AddressStandby = Define(
		"database %q is on a standby, which takes no changes: give the address of the primary server",
		"データベース %q はスタンバイにあり、変更できません。プライマリサーバーのアドレスを指定してください")
	AddressPooled = Define(
		"%s leads to a pooler in transaction mode (PgBouncer, for example), which gives one session to many clients: advisory locks and settings, by which tests are kept apart, would be lost or reach others. Give the address of PostgreSQL itself, or of a pool in session mode (pool_mode = session)",
		"%s はトランザクションモードのプーラー（PgBouncer など）に接続しています。一つのセッションを複数のクライアントが共有するため、テストを分けるためのアドバイザリロックや設定が失われたり、他に影響したりします。PostgreSQL 本体か、セッションモード（pool_mode = session）のプールのアドレスを指定してください")
)

// Texts of fixtures: the line that says which server is used.
var (
	DescribeExternal = Define("PostgreSQL %s at %s, given by %s (%s); kept on disk: nothing", "PostgreSQL %s、%s（%s で指定、%s）。ディスクに残るもの: なし")
	DescribeAttached = Define("attached to the shared PostgreSQL %s in %s (%s), which ends %s after its last user", "%[2]s の共有 PostgreSQL %[1]s に接続しました（%[3]s）。最後の利用者から %[4]s 後に終了します")
	DescribeShared   = Define("started PostgreSQL %s in %s (%s), shared with other processes; it ends %s after its last user", "PostgreSQL %s を %s で起動しました（%s）。他のプロセスと共有し、最後の利用者から %s 後に終了します")
	DescribeOwn      = Define("started PostgreSQL %s in %s (%s), for this process", "このプロセス用に PostgreSQL %s を %s で起動しました（%s）")
	DescribeCache    = Define("kept on disk: data folders in %s", "ディスクに残るもの: %s のデータフォルダー")
	PassedOver       = Define("passed over on the way to a server: %s: %s", "サーバーの探索で使えなかった場所: %s: %s")
	CopiedByLog      = Define("databases are copied through the write-ahead log, which takes longer, since copying their files failed: %s", "ファイルのコピーに失敗したため、時間のかかる WAL 経由でデータベースをコピーします: %s")
	CacheNotOurs     = Define("the user's cache folder %s can't be used: it is another user's, or no absolute path", "ユーザーのキャッシュフォルダー %s は、別のユーザーのものか絶対パスではないため使えません")
	TemplateAwaited  = Define("the context ended while another call was making the template with the schema", "別の呼び出しがスキーマのテンプレートを作成している間に、コンテキストが終了しました")
	TemplateGone     = Define("the template with the schema was dropped by another process, so it is made again", "スキーマのテンプレートが別のプロセスに削除されたため、作り直します")
	DescribeNoCache  = Define("kept on disk: nothing", "ディスクに残るもの: なし")
)

// Texts of fixtures.Main.
var (
	MainNoSetup  = Define("fixtures.Main needs a set-up function, not nil", "fixtures.Main の準備関数に nil は指定できません")
	MainFailed   = Define("the set-up of fixtures.Main failed, so no test was run", "fixtures.Main の準備に失敗したため、テストは実行されませんでした")
	MainSkipped  = Define("the set-up of fixtures.Main asked to skip, so no test was run", "fixtures.Main の準備がスキップを求めたため、テストは実行されませんでした")
	MainPanicked = Define("the set-up of fixtures.Main panicked: %v\n\n%s", "fixtures.Main の準備で panic が起きました: %v\n\n%s")
	Restores     = Define("tables by the way in which restores brought them back: %s", "復元方法ごとのテーブル数: %s")
	RestoresBy   = Define("%s: %d (by restores: %d, %s)", "%s: %d (復元 %d 回、%s)")
	Reloads      = Define("why tables were loaded, or exchanged with the database: %s", "テーブルを読み込み直した、またはデータベースごと入れ替えた理由: %s")
	ClonesLent   = Define("databases of snapshot.Clone: %d made, %d used again, %d not used again afterwards", "snapshot.Clone のデータベース: 作成 %d、再利用 %d、再利用されなかったもの %d")
	TidyFailed   = Define("tidying up after the tests failed", "テスト後の後片付けに失敗しました")
	TidyPanicked = Define("a cleanup of fixtures.Main panicked: %v\n\n%s", "fixtures.Main の後片付けで panic が起きました: %v\n\n%s")
	MainGoexit   = Define("the set-up of fixtures.Main ended by runtime.Goexit", "fixtures.Main の準備が runtime.Goexit で終了しました")
)
