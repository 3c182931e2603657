package msg

// Texts of fixtures: containers.
var (
	EngineMissing = Define(
		"no Docker engine answers at %s; start one (Docker Desktop, or systemctl start docker), or set DOCKER_HOST to one that runs",
		"%s で Docker エンジンが応答しません。起動する（Docker Desktop または systemctl start docker）か、動いているものを DOCKER_HOST に設定してください")
	EngineForbidden = Define(
		"the Docker engine at %s may not be used by this user; join its group (sudo usermod -aG docker $USER) and log in again",
		"Docker エンジン %s を使う権限がありません。グループに加わり（sudo usermod -aG docker $USER）、ログインし直してください")
	EngineRefuses = Define(
		"the Docker engine at %s refuses; docker info shows whether it works at all",
		"Docker エンジン %s に拒否されました。動作は docker info で確かめられます")
	ImagePulled = Define(
		"pulling the image %s, once for this Docker engine",
		"イメージ %s を取得しています（この Docker エンジンにつき一度だけ）")
	ImageMissing = Define(
		"the image %[1]s is not there and can't be pulled; load it (docker pull %[1]s, or docker load), or name another one with GROUNDHOG_IMAGE",
		"イメージ %[1]s がなく、取得もできません。読み込む（docker pull %[1]s または docker load）か、GROUNDHOG_IMAGE で別のイメージを指定してください")
	ContainerFailed  = Define("the image %s can't be run", "イメージ %s を実行できません")
	ContainerMute    = Define("PostgreSQL in the image %s takes no connection; the container wrote:\n%s\n", "イメージ %s の PostgreSQL に接続できません。コンテナの出力:\n%s\n")
	ContainerAddress = Define("the address of the container can't be read", "コンテナのアドレスを読み取れません")
	ContainerLeft    = Define(
		"the container %[1]s could not be removed; remove it by hand (docker rm --force --volumes %[1]s)",
		"コンテナ %[1]s を削除できませんでした。手で削除してください（docker rm --force --volumes %[1]s）")
	DescribeContainer = Define(
		"started PostgreSQL %s in a container of %s (%s), for this process; kept on disk: the image",
		"このプロセス用に PostgreSQL %s を %s のコンテナで起動しました（%s）。ディスクに残るもの: イメージ")
	DescribeContainerShared = Define(
		"PostgreSQL %s in a container of %s (%s), shared with other processes; it ends %s after its last user; kept on disk: the image",
		"PostgreSQL %s（%s のコンテナ、%s）を他のプロセスと共有しています。最後の利用者から %s 後に終了します。ディスクに残るもの: イメージ")
	ContainerLog = Define("the container wrote at last:\n%s", "コンテナの出力の末尾:\n%s")
)

// Texts of fixtures: the ways to a server.
var (
	SourcePrograms = Define("programs on this machine", "このマシンのプログラム")
	SourceCache    = Define("programs downloaded earlier", "以前にダウンロードしたプログラム")
	SourceDocker   = Define("Docker", "Docker コンテナ")
	SourceDownload = Define("download", "ダウンロード")

	LocationNotPicked = Define("not tried, since %s picks %s", "%s で %s が選ばれているため試していません")
	ServerKindUnknown = Define("%s: there is no kind of server %q; there are url, local, docker and download", "%s: %q という種類のサーバーはありません。url、local、docker、download のいずれかです")
	ServerKindClash   = Define("WithURL and WithServer(%q) exclude each other", "WithURL と WithServer(%q) は同時に指定できません")
	VersionUnknown    = Define("WithVersion(%q): a major version of PostgreSQL is wanted, such as \"17\", and %s at least", "WithVersion(%q): PostgreSQL のメジャーバージョン（\"17\" など、%s 以降）を指定してください")
	ProgramsOther     = Define("PostgreSQL %s, but version %s is asked for", "PostgreSQL %s です。指定されたバージョンは %s です")
	ServerOther       = Define(
		"the server at %s is PostgreSQL %s, but WithVersion asks for %s",
		"サーバー %s は PostgreSQL %s ですが、WithVersion では %s が指定されています")

	FixDocker   = Define("  - Docker: systemctl start docker (or open -a Docker), then docker pull %s", "  - Docker を使う場合: systemctl start docker（または open -a Docker）の後に docker pull %s")
	FixDownload = Define(
		"  - a download: unset %s, and where no repository is reached name a mirror of Maven's: %s=https://host/maven2",
		"  - ダウンロードする場合: %s を解除し、リポジトリに接続できなければ Maven のミラーを指定する: %s=https://host/maven2")

	LeftOut = Define("this binary was built with the tag %s, which leaves it out", "このバイナリはタグ %s でビルドされており、この機能は含まれていません")
)

// Texts of fixtures: downloads.
var (
	DownloadForbidden = Define("forbidden by %s", "%s により禁止されています")
	DownloadBegins    = Define(
		"downloading PostgreSQL %s from %s into %s (10 to 20 MB), once for this user",
		"PostgreSQL %s を %s から %s にダウンロードしています（10〜20 MB）。このユーザーにつき一度だけです")
	DownloadUnknown = Define("no build of PostgreSQL %s is known", "PostgreSQL %s のビルドは知られていません")
	DownloadFailed  = Define("PostgreSQL %s could not be had from %s", "PostgreSQL %s を %s から取得できませんでした")
	DownloadBroken  = Define(
		"what came from %s does not work on this machine, and was not kept",
		"%s から取得したものはこのマシンで動かないため、保存していません")
	DownloadNoRoom = Define(
		"%s has %s MB free, and about %s MB are needed; free some, or set XDG_CACHE_HOME to a folder on another disk",
		"%s の空きは %s MB ですが、約 %s MB が必要です。空きを作るか、XDG_CACHE_HOME に別のディスクのフォルダーを設定してください")
	DownloadMissing    = Define("the repository has no %s", "リポジトリに %s がありません")
	DownloadStatus     = Define("the repository answers the request for %s with %s", "リポジトリが %s の要求に %s を返しました")
	DownloadNoChecksum = Define("%s in the repository is not a SHA-256", "リポジトリの %s は SHA-256 ではありません")
	DownloadChecksum   = Define("checksums do not match: the archive's SHA-256 is %s, and the repository has %s", "チェックサムが一致しません。アーカイブの SHA-256 は %s、リポジトリの値は %s です")
	DownloadTooLarge   = Define("the archive, or what it holds, is larger than %s MB", "アーカイブまたはその内容が %s MB を超えています")
	DownloadDamaged    = Define("the archive is damaged: %s", "アーカイブが壊れています: %s")
	DownloadNoPrograms = Define("the archive holds no file *.txz", "アーカイブに *.txz ファイルがありません")
	DownloadLeaves     = Define("the archive's entry %q leads out of its folder", "アーカイブの %q はフォルダーの外を指しています")
	DownloadOddEntry   = Define("the archive's entry %q can't be unpacked", "アーカイブの %q を展開できません")

	DownloadWaits  = Define("another process downloads PostgreSQL into %s, and did not end in time", "別のプロセスが %s に PostgreSQL をダウンロード中で、時間内に終わりませんでした")
	NoCacheFolder  = Define("there is no folder for it: the user has no cache folder of its own that the server could be started from; set XDG_CACHE_HOME", "保存先のフォルダーがありません。サーバーを起動できるキャッシュフォルダーがないため、XDG_CACHE_HOME を設定してください")
	DownloadFolder = Define("%s can't be used for downloads", "%s をダウンロードに使えません")
)

// Texts of fixtures: migrations.
var (
	MigrationsUnreadable = Define("WithMigrate: the files of migrations can't be read", "WithMigrate: マイグレーションのファイルを読めません")
	MigrationsMissing    = Define(
		"WithMigrate: there is no file of a migration; check the folder, and the pattern of go:embed",
		"WithMigrate: マイグレーションのファイルがありません。フォルダーと go:embed のパターンを確かめてください")
)

// Texts of fixtures: a server whose data lies in memory.
var (
	MemoryMissing   = Define("there is no folder %s", "フォルダー %s がありません")
	MemoryIsNone    = Define("%s is no file system in memory", "%s はメモリー上のファイルシステムではありません")
	MemoryUnsafe    = Define("%s is not safe from other users of this machine", "%s は他のユーザーが操作できます")
	MemoryClosed    = Define("user %[2]s can't make a folder in %[1]s", "ユーザー %[2]s は %[1]s にフォルダーを作れません")
	MemoryRoomSmall = Define("%s has %s MB free, and %s MB are needed", "%s の空きは %s MB です。%s MB 必要です")
	MemoryFilesFew  = Define("%s has room for %d files, and %d are needed", "%s に作れるファイルは %d 個です。%d 個必要です")
	MemoryScarce    = Define("%s MB of memory are available, and %s MB are needed", "使えるメモリーは %s MB です。%s MB 必要です")
	MemoryFilled    = Define("%s became full meanwhile", "途中で %s の空きがなくなりました")

	DescribeMemory    = Define("its data lies in memory, in %s", "データはメモリー上の %s にあります")
	DescribeDisk      = Define("its data lies in that folder", "データはそのフォルダーにあります")
	DescribeDiskSince = Define("its data lies in that folder, not in memory: %s", "データはメモリー上ではなくそのフォルダーにあります（%s）")

	DescribeTmpfs     = Define("its data lies in memory", "データはメモリー上にあります")
	MemoryOfContainer = Define("a tmpfs of its container", "コンテナの tmpfs")

	BadMemory   = Define("%s is %q, but must be 1, for a server whose data lies in memory, or 0", "%s の値 %q が正しくありません。サーバーのデータをメモリー上に置く場合は 1、置かない場合は 0 にしてください")
	MemoryFull  = Define("the data of the server lies in memory, in %s, which is used up: set %s=0 to have it on disk", "サーバーのデータはメモリー上の %s にあり、空きがなくなりました。ディスクに置くには %s=0 を設定してください")
	MemoryEnded = Define("the data of the server lies in memory, in %s, and the system may have ended the server since memory is used up: set %s=0 to have it on disk", "サーバーのデータはメモリー上の %s にあり、メモリー不足のためシステムがサーバーを終了させた可能性があります。ディスクに置くには %s=0 を設定してください")
)
