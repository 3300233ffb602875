package probe

import (
	"slices"

	"github.com/entraflow/entraflow/pkg/entra"
)

// Action is a write action of remediation (graph.md §5).
type Action string

// Actions.
const (
	UpdateUserType     Action = "update_user_type"
	DeleteGuestUser    Action = "delete_guest_user"
	LogOutUser         Action = "log_out_user"
	ResetMFA           Action = "reset_mfa"
	DisableUser        Action = "disable_user"
	ConfirmCompromised Action = "confirm_compromised"
)

// ActionResult says whether the consent allows an action.
type ActionResult struct {
	ID      Action
	Title   string
	Allowed bool
	// Missing are permissions to add, all of them, the least privileged that do; Licence is what else is missing.
	Missing []string
	Licence entra.Licence
	// Note is what else the action needs or does not do; empty if there is nothing to say.
	Note string
}

// actionRow says what an action needs: one of each list.
type actionRow struct {
	id      Action
	title   string
	needs   [][]string
	licence entra.Licence
	note    string
}

const (
	userWrite   = "User.ReadWrite.All"
	userRead    = "User.Read.All"
	directWrite = "Directory.ReadWrite.All"
	adminNote   = "For a user with an administrator's role the application also needs a directory role, at most Privileged Authentication Administrator."
)

// actionRows is graph.md §5 by §4.2.
var actionRows = []actionRow{
	{UpdateUserType, "Update user type", [][]string{{userWrite, directWrite}}, entra.LicenceFree, ""},
	{DeleteGuestUser, "Delete guest user", [][]string{{userWrite, "User.DeleteRestore.All"}}, entra.LicenceFree, adminNote},
	{
		LogOutUser, "Log out user",
		[][]string{{"User.RevokeSessions.All", userWrite, directWrite}},
		entra.LicenceFree,
		"Guests stay signed in: their sessions are their home tenant's.",
	},
	{ResetMFA, "Reset MFA", [][]string{{"UserAuthenticationMethod.ReadWrite.All"}}, entra.LicenceFree, adminNote},
	{
		DisableUser, "Disable user",
		[][]string{{"User.EnableDisableAccount.All", userWrite, directWrite}, {userRead, userWrite, permDirectory, directWrite}},
		entra.LicenceFree, adminNote,
	},
	{
		ConfirmCompromised, "Confirm user compromised",
		[][]string{{"IdentityRiskyUser.ReadWrite.All"}},
		entra.LicenceP2,
		"",
	},
}

// actions says for each action what the roles lack, and the licence if the licences are known.
func actions(roles []string, licences []entra.Licence, known bool) []ActionResult {
	all := make([]ActionResult, 0, len(actionRows))
	for _, row := range actionRows {
		r := ActionResult{ID: row.id, Title: row.title, Note: row.note}
		for _, one := range row.needs {
			if !slices.ContainsFunc(one, func(p string) bool { return slices.Contains(roles, p) }) {
				r.Missing = append(r.Missing, one[0])
			}
		}
		if known && row.licence != entra.LicenceFree && !slices.Contains(licences, row.licence) {
			r.Licence = row.licence
		}
		r.Allowed = len(r.Missing) == 0 && r.Licence == ""
		all = append(all, r)
	}
	return all
}
