package msg

// OutsideOf are the reasons why an extension's relation is no part of a snapshot, by
// their names in package catalog. They name the extension.
var OutsideOf = map[string]Text{
	"extension": Define("extension %s names none of its rows as the user's", "拡張 %s が利用者の行として指定していません"),
	"system":    Define("extension %s has it in a schema of the system", "拡張 %s がシステムのスキーマに置いています"),
	"condition": Define("the condition that extension %s gives for its rows can't be used", "拡張 %s が行に対して指定した条件を使用できません"),
	"rights":    Define("of extension %s; the role does not own it", "拡張 %s のもので、ロールが所有していません"),
}

// OutsideWhy are the reasons of other relations.
var OutsideWhy = map[string]Text{
	"foreign":     Define("its rows are on another server", "行が別のサーバーにあります"),
	"groundhog":   Define("it is in a schema called groundhog", "groundhog という名前のスキーマにあります"),
	"unpopulated": Define("it was not populated", "データが投入されていません"),
	"migration":   Define("a migration tool keeps its state in it", "マイグレーションツールの管理テーブルです"),
}
