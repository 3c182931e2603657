package msg

// Texts of package progress.
var (
	ProgressRows    = Define("rows", "行")
	ProgressLine    = Define("%s: %d of %d rows, %d rows/s, about %s left", "%s: %d / %d 行、%d 行/秒、残り約 %s")
	ProgressOpen    = Define("%s: %d rows, %d rows/s", "%s: %d 行、%d 行/秒")
	ProgressWaiting = Define("%s: %d of %d rows after %s", "%s: %d / %d 行、経過時間 %s")
	ProgressDone    = Define("%s: %d rows in %s", "%s: %d 行、所要時間 %s")
)
