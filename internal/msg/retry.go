package msg

// Texts of package retry.
var (
	RetryWaiting = Define("the connection was lost, trying again after a wait", "接続が失われました。しばらく待ってから再試行します")
	RetryGivenUp = Define("given up after %d attempts", "%d 回試行しましたが、あきらめました")
	RetryEnded   = Define("attempt number %d failed, and the context ended before another one", "%d 回目の試行が失敗し、次の試行の前にコンテキストが終了しました")
)
