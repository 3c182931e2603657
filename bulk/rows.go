package bulk

import (
	"time"

	"github.com/google/uuid"
)

// OfficeType is the enum officetype.
type OfficeType string

// The types of offices.
const (
	TransitionToEmployment OfficeType = "transition_to_employment"
	TypeBOffice            OfficeType = "type_B_office"
	TypeAOffice            OfficeType = "type_A_office"
)

// StaffRole is the enum staffrole.
type StaffRole string

// The roles of staff.
const (
	RoleEmployee StaffRole = "employee"
	RoleManager  StaffRole = "manager"
	RoleOwner    StaffRole = "owner"
	RoleAppAdmin StaffRole = "app_admin"
)

// Gender is the enum gendertype.
type Gender string

// The genders.
const (
	GenderMale   Gender = "male"
	GenderFemale Gender = "female"
	GenderOther  Gender = "other"
)

// NotificationPreferences is what staffs.notification_preferences holds.
type NotificationPreferences struct {
	InAppNotification  bool `json:"in_app_notification"`
	EmailNotification  bool `json:"email_notification"`
	SystemNotification bool `json:"system_notification"`
	EmailThresholdDays int  `json:"email_threshold_days"`
	PushThresholdDays  int  `json:"push_threshold_days"`
}

// Office is a row of offices.
type Office struct {
	ID             uuid.UUID  `db:"id"`
	Name           string     `db:"name"`
	IsGroup        bool       `db:"is_group"`
	Type           OfficeType `db:"type"`
	Address        *string    `db:"address"`
	PhoneNumber    *string    `db:"phone_number"`
	Email          *string    `db:"email"`
	CreatedBy      uuid.UUID  `db:"created_by"`
	LastModifiedBy uuid.UUID  `db:"last_modified_by"`
	DeactivatedAt  *time.Time `db:"deactivated_at"`
	IsDeleted      bool       `db:"is_deleted"`
	DeletedAt      *time.Time `db:"deleted_at"`
	DeletedBy      *uuid.UUID `db:"deleted_by"`
	CreatedAt      time.Time  `db:"created_at"`
	UpdatedAt      time.Time  `db:"updated_at"`
	IsTestData     bool       `db:"is_test_data"`
}

// Staff is a row of staffs. OfficeID is no column: it tells the office that the
// factory's office_staffs row joins the staff to, and is zero in a staff that
// was read from the database.
type Staff struct {
	ID                      uuid.UUID               `db:"id"`
	Email                   string                  `db:"email"`
	HashedPassword          string                  `db:"hashed_password"`
	Name                    *string                 `db:"name"`
	Role                    StaffRole               `db:"role"`
	IsEmailVerified         bool                    `db:"is_email_verified"`
	IsMFAEnabled            bool                    `db:"is_mfa_enabled"`
	MFASecret               *string                 `db:"mfa_secret"`
	MFABackupCodesUsed      int32                   `db:"mfa_backup_codes_used"`
	IsMFAVerifiedByUser     bool                    `db:"is_mfa_verified_by_user"`
	LastName                *string                 `db:"last_name"`
	FirstName               *string                 `db:"first_name"`
	LastNameFurigana        *string                 `db:"last_name_furigana"`
	FirstNameFurigana       *string                 `db:"first_name_furigana"`
	FullName                string                  `db:"full_name"`
	PasswordChangedAt       *time.Time              `db:"password_changed_at"`
	FailedPasswordAttempts  int32                   `db:"failed_password_attempts"`
	IsLocked                bool                    `db:"is_locked"`
	LockedAt                *time.Time              `db:"locked_at"`
	IsDeleted               bool                    `db:"is_deleted"`
	DeletedAt               *time.Time              `db:"deleted_at"`
	DeletedBy               *uuid.UUID              `db:"deleted_by"`
	HashedPassphrase        *string                 `db:"hashed_passphrase"`
	PassphraseChangedAt     *time.Time              `db:"passphrase_changed_at"`
	NotificationPreferences NotificationPreferences `db:"notification_preferences"`
	CreatedAt               time.Time               `db:"created_at"`
	UpdatedAt               time.Time               `db:"updated_at"`
	IsTestData              bool                    `db:"is_test_data"`

	OfficeID uuid.UUID `db:"-"`
}

// WelfareRecipient is a row of welfare_recipients. OfficeID is no column: it
// tells the office that the factory's office_welfare_recipients row joins the
// recipient to, and is zero in a recipient that was read from the database.
type WelfareRecipient struct {
	ID                uuid.UUID `db:"id"`
	FirstName         string    `db:"first_name"`
	LastName          string    `db:"last_name"`
	FirstNameFurigana *string   `db:"first_name_furigana"`
	LastNameFurigana  *string   `db:"last_name_furigana"`
	BirthDay          time.Time `db:"birth_day"`
	Gender            Gender    `db:"gender"`
	CreatedAt         time.Time `db:"created_at"`
	UpdatedAt         time.Time `db:"updated_at"`
	IsTestData        bool      `db:"is_test_data"`

	OfficeID uuid.UUID `db:"-"`
}

// SupportPlanCycle is a row of support_plan_cycles. Dates are midnight UTC, as
// pgx reads them.
type SupportPlanCycle struct {
	ID                  int32      `db:"id"`
	WelfareRecipientID  uuid.UUID  `db:"welfare_recipient_id"`
	OfficeID            uuid.UUID  `db:"office_id"`
	PlanCycleStartDate  *time.Time `db:"plan_cycle_start_date"`
	FinalPlanSignedDate *time.Time `db:"final_plan_signed_date"`
	NextRenewalDeadline *time.Time `db:"next_renewal_deadline"`
	IsLatestCycle       bool       `db:"is_latest_cycle"`
	CycleNumber         *int32     `db:"cycle_number"`
	NextPlanStartDate   *int32     `db:"next_plan_start_date"`
	GoogleCalendarID    *string    `db:"google_calendar_id"`
	GoogleEventID       *string    `db:"google_event_id"`
	GoogleEventURL      *string    `db:"google_event_url"`
	CreatedAt           time.Time  `db:"created_at"`
	UpdatedAt           time.Time  `db:"updated_at"`
	IsTestData          bool       `db:"is_test_data"`
}

// officeStaff is a row of office_staffs.
type officeStaff struct {
	ID         uuid.UUID `db:"id"`
	StaffID    uuid.UUID `db:"staff_id"`
	OfficeID   uuid.UUID `db:"office_id"`
	IsPrimary  bool      `db:"is_primary"`
	CreatedAt  time.Time `db:"created_at"`
	UpdatedAt  time.Time `db:"updated_at"`
	IsTestData bool      `db:"is_test_data"`
}

// officeRecipient is a row of office_welfare_recipients.
type officeRecipient struct {
	ID                 uuid.UUID `db:"id"`
	WelfareRecipientID uuid.UUID `db:"welfare_recipient_id"`
	OfficeID           uuid.UUID `db:"office_id"`
	CreatedAt          time.Time `db:"created_at"`
	UpdatedAt          time.Time `db:"updated_at"`
	IsTestData         bool      `db:"is_test_data"`
}

// Scale is the size of a [Dataset]: its number of offices. Each office has 10
// staffs and 100 recipients with one plan cycle each.
type Scale int

// The scales of the team's tests.
const (
	Small  Scale = 10
	Medium Scale = 100
	Large  Scale = 500
)

const (
	staffsPerOffice     = 10
	recipientsPerOffice = 100
)

// Dataset is all that [Welfare] made.
type Dataset struct {
	Creator    Staff // of the offices; made, or found in the database
	Offices    []Office
	Staffs     []Staff
	Recipients []WelfareRecipient
	Cycles     []SupportPlanCycle
}
