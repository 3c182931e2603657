package msg

// Texts of package bulk: arguments.
var (
	BulkNilDB      = Define("db is nil: hand in a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx", "db が nil です。*pgxpool.Pool、*pgx.Conn、pgx.Tx のいずれかを渡してください")
	BulkNilOption  = Define("an option of With is nil", "With に渡されたオプションが nil です")
	BulkLanguage   = Define("Language(%q): there is only \"en\" and \"ja\"", "Language(%q): 使えるのは \"en\" と \"ja\" だけです")
	BulkNilSeq     = Define("rows is nil: hand in a sequence, an empty one for no rows", "rows が nil です。行がない場合は空のシーケンスを渡してください")
	BulkEmptyTable = Define("table is empty: name the table as in SQL, \"users\" or \"app.users\"", "table が空です。SQL と同じように \"users\" や \"app.users\" と指定してください")
	BulkTableName  = Define("table %s is not a table's name: write it as in SQL, \"users\", \"app.users\" or `app.\"Users\"`", "table %s はテーブル名ではありません。SQL と同じように \"users\"、\"app.users\"、`app.\"Users\"` と書いてください")
	BulkNegative   = Define("%s is %d: it must not be negative", "%s が %d です。負の数は指定できません")
	BulkNilEdit    = Define("edit function %s is nil", "編集関数 %s が nil です")
	BulkZeroID     = Define("%s has no ID: hand in rows that a factory returned, or that were read from the database", "%s に ID がありません。ファクトリが返した行か、データベースから読んだ行を渡してください")
	BulkNoOfficeID = Define("%s has no OfficeID any more: an edit function must leave it or set another office's", "%s の OfficeID がなくなっています。編集関数では残すか、別の事業所の ID を設定してください")
	BulkTooFar     = Define("%d more rows can't be numbered: a row of %s already has the number %s. Delete or rename it", "あと %d 行に番号を付けられません。%s には番号 %s の行がすでにあります。その行を削除するか名前を変えてください")
)

// Texts of package bulk: a struct that does not fit its table.
var (
	BulkNoTable       = Define("there is no table %q. The tables are: %s", "テーブル %q はありません。存在するテーブル: %s")
	BulkNotATable     = Define("%s is not a table: rows can only be loaded into a table", "%s はテーブルではありません。行を入れられるのはテーブルだけです")
	BulkNotAStruct    = Define("rows are of type %s: it must be a struct whose fields stand for columns", "行の型が %s です。フィールドが列に対応する構造体にしてください")
	BulkMisfit        = Define("%s does not fit %s: %s. Fields: %s. Columns: %s", "%s は %s に合いません: %s。フィールド: %s。列: %s")
	BulkNoColumn      = Define("field %s stands for column %q, which is not there", "フィールド %s に対応する列 %q がありません")
	BulkColumnTwice   = Define("fields %s and %s stand for the same column %s", "フィールド %s と %s が同じ列 %s に対応しています")
	BulkColumnMissing = Define("column %s %s must not be null, has no default, and no field stands for it", "列 %s %s は NULL にできず、既定値もないのに、対応するフィールドがありません")
	BulkNoDefault     = Define("field %s is tagged default, but column %s has none and must not be null", "フィールド %s には default のタグがありますが、列 %s には既定値がなく、NULL にもできません")
	BulkNoColumns     = Define("no field stands for a column", "列に対応するフィールドがありません")
)

// Texts of package bulk: loading.
var (
	BulkBegin      = Define("begin a transaction", "トランザクションを開始できません")
	BulkCommit     = Define("commit; nothing was stored", "コミットできません。何も保存されていません")
	BulkCommitLost = Define("the connection was lost during the commit: the rows may be stored or not. Look for them before loading them again", "コミット中に接続が失われました。行は保存されたかもしれません。もう一度入れる前に確認してください")
	BulkLook       = Define("read the catalog; nothing was stored", "カタログを読めません。何も保存されていません")
	BulkLock       = Define("wait for other calls that make rows; nothing was stored", "行を作っている他の呼び出しを待てません。何も保存されていません")
	BulkNumbers    = Define("look up the rows of %s; nothing was stored", "%s の行を調べられません。何も保存されていません")
	BulkDraw       = Define("%s: let the server make values of column %s for field %s; nothing was stored", "%s: 列 %s の値をサーバーに作らせてフィールド %s に入れられません。何も保存されていません")
	BulkSequence   = Define("%s: put the sequence of column %s past the values that were given; nothing was stored", "%s: 列 %s のシーケンスを指定された値の先に進められません。何も保存されていません")
	BulkCopy       = Define("load rows into %s; nothing was stored", "%s に行を入れられません。何も保存されていません")
	BulkRefused    = Define("%s was refused: %s; nothing was stored", "%s は拒否されました: %s。何も保存されていません")
	BulkRow        = Define("%s, row %s", "%s の行 %s")
	BulkValue      = Define("%s, row %s, column %s %s: field %s holds a %s that can't be stored there; nothing was stored", "%s の行 %s、列 %s %s: フィールド %s の %s 型の値は保存できません。何も保存されていません")
	BulkNoOffice   = Define("%s: no office_welfare_recipients row tells its office. Set OfficeID, or join it to an office first", "%s: 事業所を示す office_welfare_recipients の行がありません。OfficeID を設定するか、先に事業所に登録してください")
	BulkOffices    = Define("%s belongs to %d offices: set its OfficeID to the one that is meant", "%s は %d か所の事業所に登録されています。対象の事業所を OfficeID に設定してください")
)
