package msg

// Texts of what was changed in a database.
var (
	CantTellChanges   = Define("the changes of this database can't be told", "このデータベースの変更を調べられません")
	NoBaseline        = Define("nothing to compare the database with: %s. Call snapshot.Restore, Ensure or Create first", "比較の基準がありません：%s。先に snapshot.Restore、Ensure または Create を呼んでください")
	FileReplaced      = Define("the file %s is another one than it was", "ファイル %s は別のものに置き換えられました")
	NoSuchColumn      = Define("there is no column %q in this row; its columns are: %s", "この行に列 %q はありません。列：%s")
	NotUnchanged      = Define("the database is not as snapshot %q left it:%s", "データベースがスナップショット %q の状態から変わっています：%s")
	OtherChanges      = Define("the changes are not those that are wanted:\n%s\n\nwhat was changed:\n%s", "変更が期待と異なります：\n%s\n\n実際の変更：\n%s")
	NoChangesWanted   = Define("no changes are wanted. What was changed:\n%s", "変更がないはずですが、次の変更がありました：\n%s")
	ChangesByFile     = Define("the journal does not tell what was changed: all tables are compared with the snapshot's file, which takes longer", "ジャーナルでは変更が分からないため、すべてのテーブルをスナップショットのファイルと比較します。その分時間がかかります")
	MissingLine       = Define("  missing:    %s", "  不足：%s")
	UnexpectedLine    = Define("  unexpected: %s", "  余分：%s")
	MoreRows          = Define("  … and %d more rows", "  … ほか %d 行")
	TableNew          = Define("the table is new", "新しいテーブルです")
	TableDropped      = Define("the table was dropped", "テーブルが削除されました")
	TableAltered      = Define("the columns of the table were changed", "テーブルの列が変更されました")
	ProgressComparing = Define("comparing with snapshot %q", "スナップショット %q と比較しています")
	TestChanged       = Define("what this test changed since snapshot %q, personal data included (%s=0 or snapshot.LogChanges(false) turns this off):\n%s",
		"このテストがスナップショット %q から変更した内容です。個人情報を含む場合があります（%s=0 または snapshot.LogChanges(false) で出力を止められます）：\n%s")
	TestChangedNothing = Define("this test changed nothing since snapshot %q", "このテストはスナップショット %q から何も変更していません")
)

// Texts of copies of a database at a snapshot.
var (
	CantClone     = Define("no database of snapshot %q was made", "スナップショット %q のデータベースを作れませんでした")
	NoMaker       = Define("this database can't be copied, since package fixtures did not create it: open one with fixtures.Open in place of fixtures.Use, hand it the schema (WithSchema, WithMigrate), and connect as a role that may create databases", "このデータベースは fixtures が作成したものではないためコピーできません。fixtures.Use の代わりに fixtures.Open を使い、スキーマを渡し (WithSchema、WithMigrate)、データベースを作成できるロールで接続してください")
	CloneOfScope  = Define("snapshot %q holds only some of the rows (%s), and a database of these alone would not be the one they came from", "スナップショット %q は一部の行 (%s) だけを保存しているため、そこから元のデータベースは作れません")
	CloneAwaited  = Define("waiting for a database: as many as may be at a time are in use", "データベースの空きを待っています。同時に使える数に達しています")
	CloneBeyond   = Define("no database became free: one more than usual is made", "空きが出なかったため、通常より多くデータベースを作ります")
	CloneDropped  = Define("the test's database is not used again", "このテストのデータベースは再利用しません")
	CloneFailed   = Define("the test failed", "テストが失敗しました")
	CloneLeft     = Define("connections to it were left open", "接続が開いたままでした")
	CloneNotAhead = Define("no database could be made ahead for this test", "このテスト用のデータベースを事前に作れませんでした")
)
