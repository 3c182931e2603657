package bulk

// The tables of the domain.
const (
	tableStaffs           = "staffs"
	tableOffices          = "offices"
	tableOfficeStaffs     = "office_staffs"
	tableRecipients       = "welfare_recipients"
	tableOfficeRecipients = "office_welfare_recipients"
	tableCycles           = "support_plan_cycles"
)

// What default rows look like. The number follows the word; a pattern finds it
// again.
const (
	officeName     = "テスト事業所"
	officeEmail    = "office%04d@test-example.com"
	officeAddress  = "東京都テスト区テスト町%d-1-1"
	lastName       = "事業所"
	lastKana       = "ジギョウショ"
	staffName      = "スタッフ"
	staffEmail     = "staff%06d@test-example.com"
	recipientName  = "利用者"
	recipientKana  = "リヨウシャ"
	systemEmail    = "system@test-example.com"
	systemName     = "システム"
	passwordHash   = "not-a-hash" // no password has it
	digits         = `([0-9]{1,15})`
	officePattern  = "^" + officeName + digits + "$"
	officeMailbox  = "^office" + digits + `@test-example\.com$`
	staffPattern   = "^" + staffName + digits + "$"
	staffMailbox   = "^staff" + digits + `@test-example\.com$`
	recipientMatch = "^" + recipientName + digits + "$"

	// numbersEnd is the first number that the patterns do not find any more.
	numbersEnd = 1_000_000_000_000_000

	renewalDays       = 25
	nextPlanStartDays = 7
)

// defaultPreferences are the column's own default.
var defaultPreferences = NotificationPreferences{
	InAppNotification: true, EmailNotification: true, EmailThresholdDays: 30, PushThresholdDays: 10,
}
