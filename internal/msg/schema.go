package msg

// Texts of package schema: how a live schema departs from a snapshot's.
var (
	DiffTableRemoved       = Define("%s: the table is gone; the snapshot has rows or a place for them", "%s: テーブルがなくなりました。スナップショットには含まれています")
	DiffTableAdded         = Define("%s: the table was added; the snapshot knows nothing of it", "%s: テーブルが追加されました。スナップショットには含まれていません")
	DiffTableChanged       = Define("%s: was %s, is now %s", "%s: 以前は %s、現在は %s です")
	DiffColumnRemoved      = Define("%s: column %s is gone; the snapshot has values for it", "%s: 列 %s がなくなりました。スナップショットには値があります")
	DiffColumnAdded        = Define("%s: column %s was added; the snapshot has no value for it", "%s: 列 %s が追加されました。スナップショットには値がありません")
	DiffColumnAddedNoValue = Define("%s: column %s was added; the snapshot has no value for it and there is no default", "%s: 列 %s が追加されました。スナップショットには値がなく、既定値もありません")
	DiffColumnChanged      = Define("%s: column %s is now %s", "%s: 列 %s は現在 %s です")
	DiffKeyRemoved         = Define("%s: %s is gone", "%s: %s がなくなりました")
	DiffKeyAdded           = Define("%s: %s was added", "%s: %s が追加されました")
	DiffTypeRemoved        = Define("type: %s %s is gone", "型: %s %s がなくなりました")
	DiffTypeAdded          = Define("type: %s %s was added", "型: %s %s が追加されました")
	DiffTypeChanged        = Define("type %s: was %s, is now %s", "型 %s: 以前は %s、現在は %s です")
	DiffSequenceRemoved    = Define("sequence %s is gone", "シーケンス %s がなくなりました")
	DiffSequenceAdded      = Define("sequence %s was added", "シーケンス %s が追加されました")
)
