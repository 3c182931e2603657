package bulk

import (
	"strings"
	"sync"
)

// name is a name and how it is read.
type name struct{ kanji, kana string }

func names(text string) func() []name {
	return sync.OnceValue(func() []name {
		var out []name
		for pair := range strings.FieldsSeq(text) {
			kanji, kana, _ := strings.Cut(pair, "/")
			out = append(out, name{kanji, kana})
		}
		return out
	})
}

var (
	familyNames = names(`佐藤/サトウ 鈴木/スズキ 高橋/タカハシ 田中/タナカ 伊藤/イトウ 渡辺/ワタナベ 山本/ヤマモト 中村/ナカムラ 小林/コバヤシ 加藤/カトウ
		吉田/ヨシダ 山田/ヤマダ 佐々木/ササキ 山口/ヤマグチ 松本/マツモト 井上/イノウエ 木村/キムラ 林/ハヤシ 斎藤/サイトウ 清水/シミズ
		山崎/ヤマザキ 森/モリ 池田/イケダ 橋本/ハシモト 阿部/アベ 石川/イシカワ 山下/ヤマシタ 中島/ナカジマ 石井/イシイ 小川/オガワ
		前田/マエダ 岡田/オカダ 長谷川/ハセガワ 藤田/フジタ 後藤/ゴトウ 近藤/コンドウ 村上/ムラカミ 遠藤/エンドウ 青木/アオキ 坂本/サカモト
		福田/フクダ 太田/オオタ 西村/ニシムラ 藤井/フジイ 岡本/オカモト 金子/カネコ 藤原/フジワラ 中野/ナカノ 三浦/ミウラ 原田/ハラダ
		中川/ナカガワ 松田/マツダ 竹内/タケウチ 小野/オノ 田村/タムラ 中山/ナカヤマ 和田/ワダ 石田/イシダ 森田/モリタ 上田/ウエダ
		原/ハラ 内田/ウチダ 柴田/シバタ 酒井/サカイ 宮崎/ミヤザキ 横山/ヨコヤマ 高木/タカギ 安藤/アンドウ 宮本/ミヤモト 大野/オオノ
		小島/コジマ 谷口/タニグチ 今井/イマイ 工藤/クドウ 高田/タカダ 増田/マスダ 丸山/マルヤマ 杉山/スギヤマ 村田/ムラタ 大塚/オオツカ`)
	maleNames = names(`翔太/ショウタ 大輔/ダイスケ 健太/ケンタ 拓也/タクヤ 翔/ショウ 達也/タツヤ 誠/マコト 直樹/ナオキ 学/マナブ 隆/タカシ
		浩/ヒロシ 健一/ケンイチ 和也/カズヤ 剛/ツヨシ 亮/リョウ 哲也/テツヤ 蓮/レン 悠斗/ユウト 大翔/ヒロト 陽太/ヨウタ
		修/オサム 茂/シゲル 清/キヨシ 正/タダシ 勝/マサル 豊/ユタカ 実/ミノル 博之/ヒロユキ 一郎/イチロウ 雄大/ユウダイ
		駿/シュン 涼太/リョウタ 航/ワタル 優斗/ユウト 颯太/ソウタ 俊介/シュンスケ 智也/トモヤ 洋平/ヨウヘイ 裕太/ユウタ 貴之/タカユキ`)
	femaleNames = names(`花子/ハナコ 美咲/ミサキ 陽子/ヨウコ 恵子/ケイコ 幸子/サチコ 久美子/クミコ 由美/ユミ 真由美/マユミ 明美/アケミ 愛/アイ
		彩/アヤ 舞/マイ 葵/アオイ 結衣/ユイ 陽菜/ヒナ さくら/サクラ 凛/リン 七海/ナナミ 遥/ハルカ 千尋/チヒロ
		和子/カズコ 節子/セツコ 京子/キョウコ 裕子/ユウコ 智子/トモコ 直美/ナオミ 麻衣/マイ 香織/カオリ 恵/メグミ 綾香/アヤカ
		優子/ユウコ 純子/ジュンコ 典子/ノリコ 美穂/ミホ 里奈/リナ 菜々子/ナナコ 友美/トモミ 沙織/サオリ 真理子/マリコ 奈緒/ナオ`)

	officeWords = strings.Fields("ひまわり さくら あおぞら たんぽぽ すずらん こもれび つばさ みらい のぞみ にじいろ ひだまり せせらぎ わかば ほほえみ そよかぜ きずな")
	officeKinds = map[OfficeType]string{TransitionToEmployment: "就労支援センター", TypeAOffice: "ワークス", TypeBOffice: "作業所"}
	towns       = strings.Fields(`北海道札幌市中央区 宮城県仙台市青葉区 埼玉県さいたま市浦和区 千葉県千葉市中央区 東京都世田谷区 東京都練馬区 東京都八王子市 神奈川県横浜市港北区
		神奈川県川崎市中原区 新潟県新潟市中央区 長野県松本市 静岡県浜松市中央区 愛知県名古屋市千種区 京都府京都市左京区 大阪府大阪市北区 大阪府堺市堺区
		兵庫県神戸市灘区 岡山県岡山市北区 広島県広島市中区 香川県高松市 福岡県福岡市博多区 熊本県熊本市中央区 鹿児島県鹿児島市 沖縄県那覇市`)
	officeTypes = []OfficeType{TypeBOffice, TypeBOffice, TypeAOffice, TransitionToEmployment}
	staffRoles  = []StaffRole{RoleEmployee, RoleEmployee, RoleEmployee, RoleEmployee, RoleEmployee, RoleEmployee, RoleManager, RoleOwner}
)
