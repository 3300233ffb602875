package directory

import (
	"strconv"
	"time"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// properties are one or two changed ones.
func (m *maker) properties(c tenant.Collection) map[string]string {
	n := m.r.IntN(1000)
	all := map[string]string{}
	const two = 2
	for range 1 + m.r.IntN(two) {
		name, value := m.property(c, n)
		all[name] = value
	}
	return all
}

func (m *maker) property(c tenant.Collection, n int) (name, value string) {
	text := func(s string) string { return quote(s + " " + strconv.Itoa(n)) }
	at := quote(m.now.UTC().Format(time.RFC3339))
	flag := strconv.FormatBool(m.r.IntN(2) == 0)
	choices := [][2]string{{"displayName", text("Renamed")}}
	switch c {
	case tenant.Users:
		choices = [][2]string{
			{"jobTitle", text("Title")},
			{"department", text("Department")},
			{"accountEnabled", flag},
			{"city", text("City")},
			{"mobilePhone", quote("+49 30 " + strconv.Itoa(100_000+n))},
			{"employeeType", text("Type")},
			{"displayName", text("Renamed User")},
			{"lastPasswordChangeDateTime", at},
			{"signInSessionsValidFromDateTime", at},
			{"passwordPolicies", `"DisablePasswordExpiration"`},
			{"otherMails", `["m` + strconv.Itoa(n) + `@mail.example"]`},
			{"assignedLicenses", "[]"},
			{"mobilePhone", "null"},
		}
	case tenant.Groups:
		choices = append(choices, [2]string{"description", text("Purpose")}, [2]string{"description", "null"})
	case tenant.Devices:
		choices = append(choices, [2]string{"isCompliant", flag}, [2]string{"accountEnabled", flag},
			[2]string{"approximateLastSignInDateTime", at}, [2]string{"operatingSystemVersion", quote("10.0." + strconv.Itoa(26_000+n))})
	case tenant.Applications:
		choices = append(choices, [2]string{"passwordCredentials", m.d.credential(strconv.Itoa(n), m.now)},
			[2]string{"passwordCredentials", "[]"}, [2]string{"tags", `["t` + strconv.Itoa(n) + `"]`})
	case tenant.ServicePrincipals:
		choices = append(choices, [2]string{"accountEnabled", flag}, [2]string{"appRoleAssignmentRequired", flag},
			[2]string{"tags", `["t` + strconv.Itoa(n) + `"]`})
	}
	chosen := choices[m.r.IntN(len(choices))]
	return chosen[0], chosen[1]
}
