package msg

// Texts about bubbles of testing/synctest.
var (
	NoWayOut = Define(
		"this can't be done in a bubble of testing/synctest here: call it before synctest.Test",
		"ここでは testing/synctest のバブル内で実行できません。synctest.Test の前に呼び出してください")
	NotOfBubble = Define(
		"%s needs the t of the synctest bubble that it is called in, since its pool must be closed there: pass the *testing.T that synctest.Test hands to its function, or call it before synctest.Test",
		"%s には呼び出し元の synctest バブルの t が必要です。プールをバブル内で閉じる必要があるためです。synctest.Test が関数に渡す *testing.T を使うか、synctest.Test の前に呼び出してください")
)
