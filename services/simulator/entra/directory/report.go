package directory

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// The reports and lists that Truth and Counts know beside the collections.
const (
	// Registrations has a row for each enabled user.
	Registrations tenant.Collection = "reports/authenticationMethods/userRegistrationDetails"
	// Activities has a row for each service principal that was used.
	Activities tenant.Collection = "reports/servicePrincipalSignInActivities"
	// AppRoleAssignments are those to all service principals.
	AppRoleAssignments tenant.Collection = "appRoleAssignments"
)

// reports returns of which collection each report is.
func reports() map[tenant.Collection]tenant.Collection {
	return map[tenant.Collection]tenant.Collection{
		Registrations: tenant.Users, Activities: tenant.ServicePrincipals, AppRoleAssignments: tenant.ServicePrincipals,
	}
}

// Admins returns who holds a role directly.
func (d *Directory) Admins() map[tenant.Ref]bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.admins()
}

func (d *Directory) admins() map[tenant.Ref]bool {
	all := map[tenant.Ref]bool{}
	for i := range d.count(tenant.DirectoryRoles) {
		d.eachLink(tenant.Ref{Collection: tenant.DirectoryRoles, Index: i}, tenant.Members, 0, func(_ int, to tenant.Ref) bool {
			all[to] = true
			return true
		})
	}
	return all
}

// Registration returns the row of a user in the report of authentication methods, nil for a disabled one: those are
// missing (graph.md §3.3). It takes no lock: call it within Each.
func (d *Directory) Registration(ref tenant.Ref, user []byte, admin bool, now time.Time) []byte {
	details := d.base.Details(tenant.Registration, ref, now)
	if len(details) == 0 {
		return nil
	}
	row, enabled := []byte{'{'}, false
	jsonwalk.Members(user, func(key, value []byte) {
		switch name := string(key); name {
		case "id", "userPrincipalName":
			row = append(append(append(row, '"'), name...), '"', ':')
			row = append(append(row, value...), ',')
		case "displayName":
			row = append(append(append(row, `"userDisplayName":`...), value...), ',')
		case "userType":
			row = append(append(append(row, `"userType":`...), bytes.ToLower(value)...), ',')
		case "accountEnabled":
			enabled = string(value) == "true"
		}
	})
	if !enabled {
		return nil
	}
	row = strconv.AppendBool(append(row, `"isAdmin":`...), admin)
	return append(append(row, ','), details[0][1:]...)
}

// Activity returns when a service principal was last used, nil if it never was. It takes no lock: call it
// within Each.
func (d *Directory) Activity(ref tenant.Ref, now time.Time) []byte {
	if all := d.base.Details(tenant.SignIns, ref, now); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Stands reports whether who an app role assignment is of is there.
func (d *Directory) Stands(assignment []byte) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.stands(assignment)
}

func (d *Directory) stands(assignment []byte) bool {
	id, err := strconv.Unquote(string(jsonwalk.Get(assignment, "principalId")))
	if err != nil {
		return true
	}
	kind := map[string]tenant.Collection{
		`"User"`: tenant.Users, `"Group"`: tenant.Groups, `"ServicePrincipal"`: tenant.ServicePrincipals,
	}[string(jsonwalk.Get(assignment, "principalType"))]
	ref, ok := d.find(kind, id)
	return ok && d.isLive(ref)
}

// rows calls yield for the rows of a report.
func (d *Directory) rows(report tenant.Collection, now time.Time, yield func(row []byte)) {
	admins, of := d.admins(), reports()[report]
	for i := range d.count(of) {
		ref := tenant.Ref{Collection: of, Index: i}
		if !d.isLive(ref) {
			continue
		}
		switch report {
		case Registrations:
			if row := d.Registration(ref, d.body(ref, now), admins[ref], now); row != nil {
				yield(row)
			}
		case Activities:
			if row := d.Activity(ref, now); row != nil {
				yield(row)
			}
		case AppRoleAssignments:
			for _, row := range d.base.Details(tenant.AppRolesGiven, ref, now) {
				if d.stands(row) {
					yield(row)
				}
			}
		}
	}
}

// writeRows is WriteTruth of a report. It is of one moment.
func (d *Directory) writeRows(w io.Writer, report tenant.Collection, now time.Time) error {
	var b bytes.Buffer
	d.mu.RLock()
	d.rows(report, now, func(row []byte) {
		b.Write(row)
		b.WriteByte('\n')
	})
	d.mu.RUnlock()
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the truth of %s: %w", report, err)
	}
	return nil
}
