package main

// texts are all that the program says, in one language.
type texts struct {
	usage, seeHelp, interrupted string

	flagOffices, flagDir, flagURL, flagLang, flagKeep string
	badFlag, badLang, badOffices, strayArgument       string

	step, rows, time, rate                          string
	table, before, changed, after, proof            string
	same, different                                 string
	started, connected, schema                      string
	seedOffices, seedStaffs, seedRecipients, cycles string
	created, updated, deleted, inserted, restored   string

	proved, notProved, nothingChanged   string
	snapshotKept, databaseKept, pressIt string
}

func textsIn(lang string) texts {
	if lang == "ja" {
		return japanese
	}
	return english
}

var english = texts{
	usage:       "quickstart fills a PostgreSQL, creates a snapshot, changes rows, restores, and proves that all is as before.",
	seeHelp:     "(-help lists the flags)",
	interrupted: "interrupted; nothing was left running",

	flagOffices:   "`number` of offices, 1 to %d; each has 10 staffs, 100 recipients and their plan cycles",
	flagDir:       "`folder` for the snapshot, where it stays (default: a temporary one, removed at the end)",
	flagURL:       "`URL` of a PostgreSQL server to make the database on (default: a private server is started)",
	flagLang:      "`language`: en or ja",
	flagKeep:      "keep the snapshot file, and the database until Enter is pressed",
	badFlag:       "%w",
	badLang:       "-lang %q is not a language that it speaks: en or ja",
	badOffices:    "-offices %d is out of range: 1 to %d",
	strayArgument: "%q is not expected: there are flags only",

	step: "Step", rows: "Rows", time: "Time", rate: "Rows/s",
	table: "Table", before: "Before", changed: "Changed", after: "Restored", proof: "Content",
	same: "same", different: "DIFFERENT",
	started: "Private PostgreSQL started", connected: "Connected to the server", schema: "Database made with its schema",
	seedOffices: "Offices and their creator", seedStaffs: "Staffs", seedRecipients: "Welfare recipients", cycles: "Support plan cycles",
	created: "Snapshot created", updated: "Rows updated", deleted: "Rows deleted", inserted: "Rows inserted", restored: "Snapshot restored",

	proved:         "Every table is as before: the same rows, the same content.",
	notProved:      "the database is not as before: see the tables marked DIFFERENT",
	nothingChanged: "the changes between snapshot and restore did not show, so nothing was proved",
	snapshotKept:   "Snapshot file: %s",
	databaseKept:   "Database: psql '%s'",
	pressIt:        "Press Enter to drop the database and end.",
}

var japanese = texts{
	usage:       "quickstart は PostgreSQL にデータを入れ、スナップショットを作り、行を変更し、復元して、すべてが元どおりであることを証明します。",
	seeHelp:     "(-help でフラグの一覧を表示)",
	interrupted: "中断しました。動いているものは残っていません",

	flagOffices:   "事業所の`数`(1〜%d)。1 事業所につき職員 10、利用者 100 とその計画サイクル",
	flagDir:       "スナップショットを残す`フォルダー` (省略時は一時フォルダーを使い、最後に削除)",
	flagURL:       "データベースを作る PostgreSQL サーバーの `URL` (省略時は専用サーバーを起動)",
	flagLang:      "`言語`: en または ja",
	flagKeep:      "スナップショットファイルを残し、Enter が押されるまでデータベースも残す",
	badFlag:       "フラグが正しくありません: %w",
	badLang:       "-lang %q は使えない言語です。en か ja を指定してください",
	badOffices:    "-offices %d は範囲外です。1〜%d で指定してください",
	strayArgument: "%q は余分な引数です。指定できるのはフラグだけです",

	step: "手順", rows: "行数", time: "時間", rate: "行/秒",
	table: "テーブル", before: "変更前", changed: "変更後", after: "復元後", proof: "内容",
	same: "一致", different: "不一致",
	started: "専用の PostgreSQL を起動", connected: "サーバーに接続", schema: "スキーマ付きのデータベースを作成",
	seedOffices: "事業所と作成者", seedStaffs: "職員", seedRecipients: "利用者", cycles: "個別支援計画サイクル",
	created: "スナップショットを作成", updated: "行を更新", deleted: "行を削除", inserted: "行を追加", restored: "スナップショットを復元",

	proved:         "すべてのテーブルが元どおりです。行数も内容も一致しました。",
	notProved:      "データベースが元どおりではありません。「不一致」のテーブルを見てください",
	nothingChanged: "作成と復元の間の変更が現れなかったため、何も証明できませんでした",
	snapshotKept:   "スナップショットファイル: %s",
	databaseKept:   "データベース: psql '%s'",
	pressIt:        "Enter を押すとデータベースを削除して終了します。",
}
