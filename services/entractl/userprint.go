package entractl

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// user writes all there is to a user; sections without rows are left out.
func (s style) user(to io.Writer, answer *controlv1.GetUserResponse) error {
	if _, err := io.WriteString(to, s.userHead(answer)); err != nil {
		return err
	}
	for _, section := range []struct {
		title string
		rows  [][]string
	}{
		{"Classes", classRows(answer.GetUser().GetClasses())},
		{"Roles", roleRows(answer.GetRoles())},
		{"Groups", groupRows(answer.GetGroups())},
		{"Devices", deviceRows(answer.GetDevices())},
		{"Owns", ownedRows(answer.GetOwnedApplications())},
		{"Assigned to", assignmentRows(answer.GetAppAssignments())},
		{"Signed in from", countRows("PLACE", answer.GetSignIns().GetPlaces())},
		{"Signed in with", countRows("DEVICE", answer.GetSignIns().GetDevices())},
		{"Signed in to", countRows("APPLICATION", answer.GetSignIns().GetApps())},
	} {
		if len(section.rows) < 2 { // the heads alone
			continue
		}
		fmt.Fprintf(to, "\n%s\n", s.paint(bold, section.title))
		if err := s.table(to, section.rows); err != nil {
			return err
		}
	}
	return nil
}

func (s style) userHead(answer *controlv1.GetUserResponse) string {
	var b strings.Builder
	const width = 12
	line := func(title, text string) {
		if text = clean(text); text != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", width, title, text)
		}
	}
	u := answer.GetUser()
	line("User", u.GetUserPrincipalName())
	line("Name", u.GetDisplayName())
	line("Id", u.GetId())
	line("Tenant", u.GetTenantId())
	line("Mail", u.GetMail())
	line("Job", strings.Trim(u.GetJobTitle()+", "+u.GetDepartment(), ", "))
	enabled := ""
	if u.AccountEnabled != nil {
		enabled = yesNo(u.GetAccountEnabled())
	}
	line("Enabled", enabled)
	line("Created", lastOf(u.GetCreatedAt()))
	line("Password set", lastOf(u.GetLastPasswordChangeAt()))
	line("Last sign-in", lastOf(u.GetLastSignInAt()))
	line("Last success", lastOf(u.GetLastSuccessfulSignInAt()))
	line("Methods", strings.Join(answer.GetAuthentication().GetMethods(), ", "))
	if a := answer.GetAuthentication(); a != nil && a.IsMfaCapable != nil {
		line("MFA capable", yesNo(a.GetIsMfaCapable()))
	}
	if n := answer.GetSignIns(); n != nil {
		line("Sign-ins", fmt.Sprintf("%s successful, %s refused, %s interrupted in %s",
			count(n.GetSuccesses()), count(n.GetFailures()), count(n.GetInterruptions()), plural(uint64(n.GetDays()), "day")))
	}
	return b.String()
}

func classRows(all []*controlv1.Classification) [][]string {
	rows := [][]string{{"IS", "BECAUSE"}}
	for _, c := range all {
		rows = append(rows, []string{classWord(c.GetClass()), clean(strings.Join(c.GetReasons(), "; "))})
	}
	return rows
}

func roleRows(all []*controlv1.RoleHolding) [][]string {
	rows := [][]string{{"ROLE", "TIER", "HOLDS", "BY", "SCOPE"}}
	for _, r := range all {
		tier := "-"
		if r.Tier != nil {
			tier = strconv.FormatUint(uint64(r.GetTier()), 10)
		}
		by := first(r.GetViaGroupName(), r.GetViaGroupId(), "in person")
		rows = append(rows, []string{
			cell(first(r.GetDisplayName(), r.GetRoleTemplateId())), tier, cell(strings.Join(r.GetHoldings(), ", ")), cell(by), cell(r.GetScope()),
		})
	}
	return rows
}

func groupRows(all []*controlv1.GroupMembership) [][]string {
	rows := [][]string{{"GROUP", "MEMBER", "FOR ROLES", "ID"}}
	for _, g := range all {
		rows = append(rows, []string{cell(g.GetDisplayName()), depthWord(g.GetDepth()), yesNo(g.GetIsAssignableToRole()), cell(g.GetGroupId())})
	}
	return rows
}

// depthWord says how deep somebody is in a group.
func depthWord(depth uint32) string {
	if depth <= 1 {
		return "direct"
	}
	return fmt.Sprintf("nested, %d deep", depth)
}

func deviceRows(all []*controlv1.UserDevice) [][]string {
	rows := [][]string{{"DEVICE", "SYSTEM", "COMPLIANT", "MANAGED", "LAST SYNC", "LAST SIGN-IN", "ID"}}
	for _, d := range all {
		compliant, managed := "-", "-"
		if d.IsCompliant != nil {
			compliant = yesNo(d.GetIsCompliant())
		}
		if d.IsManaged != nil {
			managed = yesNo(d.GetIsManaged())
		}
		rows = append(rows, []string{
			cell(d.GetDisplayName()), cell(strings.TrimSpace(d.GetOperatingSystem() + " " + d.GetOperatingSystemVersion())),
			first(cellOf(d.GetComplianceState()), compliant), managed, moment(d.GetLastSyncAt()), moment(d.GetLastSignInAt()), cell(d.GetDeviceId()),
		})
	}
	return rows
}

// cellOf is a cell, or nothing.
func cellOf(text string) string {
	if text == "" {
		return ""
	}
	return cell(text)
}

func ownedRows(all []*controlv1.OwnedApplication) [][]string {
	rows := [][]string{{"APPLICATION", "KIND", "APP ID", "ID"}}
	for _, a := range all {
		rows = append(rows, []string{cell(a.GetDisplayName()), cell(a.GetObject()), cell(a.GetAppId()), cell(a.GetId())})
	}
	return rows
}

func assignmentRows(all []*controlv1.AppAssignment) [][]string {
	rows := [][]string{{"APPLICATION", "ROLE", "BY", "SINCE"}}
	for _, a := range all {
		by := "in person"
		if a.GetViaGroupId() != "" {
			by = "group " + cell(a.GetViaGroupId())
		}
		rows = append(rows, []string{cell(a.GetResourceDisplayName()), cell(a.GetAppRole()), by, moment(a.GetCreatedAt())})
	}
	return rows
}

func countRows(head string, all []*controlv1.SignInCount) [][]string {
	rows := [][]string{{head, "SUCCESSES", "OTHERS", "LAST"}}
	for _, n := range all {
		rows = append(rows, []string{cell(first(n.GetDisplayName(), n.GetId())), count(n.GetSuccesses()), count(n.GetFailures()), moment(n.GetLastAt())})
	}
	return rows
}
