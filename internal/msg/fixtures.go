package msg

// Texts of fixtures: where a server is found.
var (
	ServerNotFound = Define(
		"no PostgreSQL server to be had. Looked at:\n%s\nAny one of these mends it:\n%s",
		"使える PostgreSQL サーバーがありません。調べた場所:\n%s\n次のいずれかで解決します:\n%s")

	MendDebian   = Define("  - Debian, Ubuntu: apt-get install postgresql", "  - Debian、Ubuntu の場合: apt-get install postgresql")
	MendRedHat   = Define("  - Red Hat, Fedora: dnf install postgresql-server", "  - Red Hat、Fedora の場合: dnf install postgresql-server")
	MendHomebrew = Define("  - macOS: brew install postgresql@18", "  - macOS の場合: brew install postgresql@18")
	MendURL      = Define(
		"  - a server that is there already: set %s=postgres://user:password@host:5432/postgres",
		"  - すでにあるサーバーを使う場合: %s=postgres://user:password@host:5432/postgres を設定する")

	PlaceNotGiven     = Define("not given", "指定されていません")
	PlaceNotSet       = Define("not set", "設定されていません")
	PlaceEmptyPath    = Define("no folder in it has both initdb and postgres", "initdb と postgres の両方があるフォルダーがありません")
	PlaceNoFolder     = Define("no initdb and postgres there", "initdb と postgres がありません")
	PlaceNoPgConfig   = Define("no such program on PATH", "PATH にそのプログラムがありません")
	ProgramsTooOld    = Define("PostgreSQL %s, but %s or newer is needed", "PostgreSQL %s です。%s 以降が必要です")
	ProgramsNoVersion = Define("postgres --version says %q, which is no version", "postgres --version の出力 %q からバージョンを読み取れません")

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
	SupervisorGone = Define(
		"the shell that watches over the server in %s ended early",
		"%s のサーバーを見張るシェルが途中で終了しました")
	InitdbFailed     = Define("initdb ended with status %s:\n%s", "initdb が終了コード %s で失敗しました:\n%s")
	PostgresEnded    = Define("postgres ended with status %s; its log ends with:\n%s", "postgres が終了コード %s で終わりました。ログの末尾:\n%s")
	PostgresNotReady = Define("postgres takes no connection; its log ends with:\n%s", "postgres に接続できません。ログの末尾:\n%s")
	ServerLeftBehind = Define(
		"the private server in %s did not end in time; end the process and remove the folder by hand",
		"%s のサーバーが時間内に終了しませんでした。プロセスを終了し、フォルダーを手で削除してください")
	ServerLog = Define("the log of the private server ends with:\n%s", "サーバーのログの末尾:\n%s")
)

// Texts of fixtures: options and databases.
var (
	OptionNil         = Define("option number %s is nil", "%s 番目のオプションが nil です")
	OptionEmptyURL    = Define("WithURL needs the address of a server; leave the option out to have one found", "WithURL にはサーバーのアドレスが必要です。自動で探させるにはこのオプションを外してください")
	OptionTwice       = Define("%s is given twice", "%s が 2 回指定されています")
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

	DatabaseNotMade = Define("database %s can't be made", "データベース %s を作れません")
	MayNotCreate    = Define(
		"the role %s may not create databases: run ALTER ROLE %[1]s CREATEDB on the server, or use another role",
		"ロール %s にはデータベースを作る権限がありません。サーバーで ALTER ROLE %[1]s CREATEDB を実行するか、別のロールを使ってください")
	DatabaseNotOpened  = Define("database %s can't be connected to", "データベース %s に接続できません")
	DatabaseNotDropped = Define("database %s can't be dropped", "データベース %s を削除できません")
	PoolLeadsAway      = Define(
		"WithPoolConfig made the pool lead to database %q instead of %q; leave ConnConfig.Database as it is",
		"WithPoolConfig により接続先が %[2]q ではなくデータベース %[1]q になりました。ConnConfig.Database は変えないでください")
	ServerClosed = Define("the server is closed already", "サーバーはすでに閉じられています")
	PoolNotGiven = Define("fixtures.Use needs a pool, not nil", "fixtures.Use に nil は指定できません")
	UseFails     = Define("the database handed to fixtures.Use does not answer", "fixtures.Use に渡されたデータベースが応答しません")
	PoolLeaked   = Define(
		"%s ended with %s of its database's connections still in use; release them (Rows.Close, Tx.Rollback, Conn.Release)",
		"%s の終了時、データベースの接続 %s 本が使用中のままでした。解放してください（Rows.Close、Tx.Rollback、Conn.Release）")
)

// Texts of fixtures.Main.
var (
	MainNoSetup  = Define("fixtures.Main needs a set-up function, not nil", "fixtures.Main の準備関数に nil は指定できません")
	MainFailed   = Define("the set-up of fixtures.Main failed, so no test was run", "fixtures.Main の準備に失敗したため、テストは実行されませんでした")
	MainSkipped  = Define("the set-up of fixtures.Main asked to skip, so no test was run", "fixtures.Main の準備がスキップを求めたため、テストは実行されませんでした")
	MainPanicked = Define("the set-up of fixtures.Main panicked: %v\n\n%s", "fixtures.Main の準備で panic が起きました: %v\n\n%s")
	MainTidying  = Define("%s: tidying up; once more ends at once", "%s を受信しました。後片付けをしています。もう一度送るとすぐに終了します")
	TidyFailed   = Define("tidying up after the tests failed", "テスト後の後片付けに失敗しました")
	TidyPanicked = Define("a cleanup of fixtures.Main panicked: %v\n\n%s", "fixtures.Main の後片付けで panic が起きました: %v\n\n%s")
	MainGoexit   = Define("the set-up of fixtures.Main ended by runtime.Goexit", "fixtures.Main の準備が runtime.Goexit で終了しました")
)
