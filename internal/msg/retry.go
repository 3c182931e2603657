package msg

// Texts of package retry.
var (
	RetryWaiting  = Define("the connection was lost, trying again after a wait", "接続が失われました。しばらく待ってから再試行します")
	RetryGivenUp  = Define("given up after %d attempts", "%d 回試行しましたが、あきらめました")
	RetryEnded    = Define("attempt number %d failed, and the context ended before another one", "%d 回目の試行が失敗し、次の試行の前にコンテキストが終了しました")
	RetryAttempts = Define("WithRetry(%d): there must be one attempt at least", "WithRetry(%d): 試行回数は 1 以上にしてください")
	RetryWait     = Define("WithRetry: the wait %s must not be negative", "WithRetry: 待ち時間 %s に負の値は指定できません")
	DeadlockAgain = Define("the server ended a deadlock by giving up on this; trying again", "デッドロックの解消のためサーバーに中断されました。再試行します")
)
