package main

import "github.com/groundhogdb/groundhog/internal/msg"

// texts are all that the program says, in one language.
type texts struct {
	usage, seeHelp, interrupted, noFolder string

	flagOffices, flagDir, flagURL, flagLang, flagKeep           string
	badOffices, badDir, badURL, badLang, badKeep                string
	unknownFlag, noValue, strayArgument                         string
	step, rows, time, rate                                      string
	started, connected, schema                                  string
	seedOffices, seedStaffs, seedRecipients, seedCycles, seeded string
	created, updated, deleted, inserted, restored               string
	table, before, changed, after, hash                         string
	same, differs                                               string
	proved, notProved, nothingChanged                           string
	snapshotFile, database, dropIt, pressEnter, unattended      string
}

func textsIn(lang msg.Lang) texts {
	if lang == msg.Japanese {
		return japanese
	}
	return english
}

var english = texts{
	usage:       "quickstart fills a PostgreSQL, creates a snapshot, changes rows, restores, and proves that all is as before.",
	seeHelp:     "(-help lists the flags)",
	interrupted: "interrupted; nothing was left running",
	noFolder:    "no folder for the snapshot can be made (name one with -dir, or correct TMPDIR): %w",

	flagOffices: "`number` of offices, from 1 to %d; each has 10 staffs and 100 recipients with a plan cycle each (default 100)",
	flagDir:     "`folder` for the snapshot \"quickstart\", which stays there and replaces an earlier one (default: a temporary folder, removed at the end)",
	flagURL:     "`address` of a PostgreSQL server to make the database on (default: that of GROUNDHOG_DATABASE_URL, else a private server is started)",
	flagLang:    "`language`: en or ja (default: that of GROUNDHOG_LANG, else en)",
	flagKeep:    "keep the snapshot file, and the database too: for good on a server that was there already, on a private one until Enter is pressed in a terminal",

	badOffices:    "-offices must be a whole number from 1 to %[2]d, not %[1]q",
	badDir:        "-dir must be a folder that can be written, not %q",
	badURL:        "-url must be an address like postgres://user:password@host:5432/postgres or host=… user=… dbname=…",
	badLang:       "-lang must be en or ja, not %q",
	badKeep:       "-keep takes no value but true or false",
	unknownFlag:   "there is no flag %q",
	noValue:       "the flag %s needs a value",
	strayArgument: "%q is not expected: there are flags only",

	step: "Step", rows: "Rows", time: "Time", rate: "Rows/s",
	started: "Private PostgreSQL started", connected: "Connected to the server", schema: "Database made with its schema",
	seedOffices: "  Offices and their creator", seedStaffs: "  Staffs, joined to offices", seedRecipients: "  Recipients, joined to offices",
	seedCycles: "  Support plan cycles", seeded: "Dataset seeded",
	created: "Snapshot created", updated: "Rows updated", deleted: "Rows deleted", inserted: "Rows inserted", restored: "Snapshot restored",

	table: "Table", before: "Before", changed: "Changed", after: "Restored", hash: "Hash",
	same: "same", differs: "differs",
	proved:         "Every table is as before: the same number of rows, the same hash of their content.",
	notProved:      "the database is not as before; these tables differ: %s",
	nothingChanged: "nothing is proved, since no change showed before the restore in these tables: %s",

	snapshotFile: "Snapshot file: %s",
	database:     "Database: %s",
	dropIt:       "Drop it with: %s",
	pressEnter:   "Press Enter to drop the database and end.",
	unattended:   "The database went with its private server. To look at it, use -keep in a terminal or with -url.",
}

var japanese = texts{
	usage:       "quickstart は PostgreSQL にデータを入れ、スナップショットを作り、行を変更し、復元して、すべてが元どおりであることを証明します。",
	seeHelp:     "(-help でフラグの一覧を表示)",
	interrupted: "中断しました。動いているものは残っていません",
	noFolder:    "スナップショット用のフォルダーを作れません (-dir で指定するか、TMPDIR を直してください): %w",

	flagOffices: "事業所の`数` (1〜%d)。1 事業所につき職員 10 名、利用者 100 名とその計画サイクル (既定値: 100)",
	flagDir:     "スナップショット quickstart を置く`フォルダー`。実行後も残り、以前のものは置き換えます (既定値: 一時フォルダー。最後に削除)",
	flagURL:     "データベースを作る PostgreSQL サーバーの`アドレス` (既定値: GROUNDHOG_DATABASE_URL、なければ専用サーバーを起動)",
	flagLang:    "`言語`。en または ja (既定値: GROUNDHOG_LANG、なければ en)",
	flagKeep:    "スナップショットファイルとデータベースを残す。既存のサーバーではそのまま残り、専用サーバーでは端末で Enter が押されるまで残る",

	badOffices:    "-offices には 1 から %[2]d までの整数を指定してください。%[1]q は使えません",
	badDir:        "-dir には書き込めるフォルダーを指定してください。%q は使えません",
	badURL:        "-url には postgres://user:password@host:5432/postgres または host=… user=… dbname=… の形のアドレスを指定してください",
	badLang:       "-lang には en か ja を指定してください。%q は使えません",
	badKeep:       "-keep に指定できる値は true か false だけです",
	unknownFlag:   "%q というフラグはありません",
	noValue:       "フラグ %s には値が必要です",
	strayArgument: "%q は余分な引数です。指定できるのはフラグだけです",

	step: "手順", rows: "行数", time: "時間", rate: "行/秒",
	started: "専用の PostgreSQL を起動", connected: "サーバーに接続", schema: "スキーマ付きのデータベースを作成",
	seedOffices: "  事業所と作成者", seedStaffs: "  職員と事業所への所属", seedRecipients: "  利用者と事業所への所属",
	seedCycles: "  個別支援計画サイクル", seeded: "データの投入",
	created: "スナップショットを作成", updated: "行を更新", deleted: "行を削除", inserted: "行を追加", restored: "スナップショットを復元",

	table: "テーブル", before: "変更前", changed: "変更後", after: "復元後", hash: "ハッシュ",
	same: "一致", differs: "相違",
	proved:         "すべてのテーブルが元どおりです。行数も内容のハッシュも一致しました。",
	notProved:      "データベースが元どおりではありません。異なるテーブル: %s",
	nothingChanged: "次のテーブルでは復元前に変更が現れなかったため、何も証明できませんでした: %s",

	snapshotFile: "スナップショットファイル: %s",
	database:     "データベース: %s",
	dropIt:       "削除するには: %s",
	pressEnter:   "Enter を押すとデータベースを削除して終了します。",
	unattended:   "データベースは専用サーバーとともに終了しました。中を見るには、-keep を端末で使うか -url と一緒に使ってください。",
}
