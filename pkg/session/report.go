package session

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Report turns what a probe found at a time into what a client reads; reads says which data types the service reads at
// all, of which those are enabled that Enabled reports.
func Report(found probe.Report, i *controlv1.Integration, reads func(entra.DataType) bool, now time.Time) *controlv1.ConnectionReport {
	r := &controlv1.ConnectionReport{
		Connected: found.Connected, Headline: found.Headline, TestTime: timestamppb.New(now),
		TenantDisplayName: found.TenantName, TenantDomain: found.VerifiedDomain, Permissions: found.Roles,
	}
	if !found.Connected {
		r.Problem = problem(found.Error)
	}
	for _, licence := range found.Licences {
		r.Licences = append(r.Licences, string(licence))
	}
	for _, t := range found.DataTypes {
		report := &controlv1.DataTypeReport{
			DataType: string(t.ID), Title: t.Title, Availability: availability(t.Availability), Enabled: reads(t.ID) && Enabled(t, i),
		}
		if info, ok := entra.LookupDataType(t.ID); ok {
			report.Licence = string(info.Licence)
			if len(info.Permissions) > 0 {
				report.Permission = info.Permissions[0]
			}
		}
		if t.Availability != probe.Available {
			report.Problem = &controlv1.Problem{Cause: string(t.Cause), Code: t.Code, Detail: t.Detail, Remedy: t.Remedy}
		}
		r.DataTypes = append(r.DataTypes, report)
	}
	for _, a := range found.Actions {
		r.Actions = append(r.Actions, &controlv1.ActionReport{
			Action: string(a.ID), Allowed: a.Allowed, MissingPermissions: a.Missing, MissingLicence: string(a.Licence),
		})
	}
	return r
}

func availability(a probe.Availability) controlv1.Availability {
	switch a {
	case probe.Available:
		return controlv1.Availability_AVAILABILITY_AVAILABLE
	case probe.LicenceMissing:
		return controlv1.Availability_AVAILABILITY_LICENCE_MISSING
	case probe.PermissionMissing:
		return controlv1.Availability_AVAILABILITY_PERMISSION_MISSING
	case probe.ConsentMissing:
		return controlv1.Availability_AVAILABILITY_CONSENT_MISSING
	case probe.Failed:
	}
	return controlv1.Availability_AVAILABILITY_ERROR
}

// Enabled reports whether a data type will be read by a service that reads it: if it can be read, or could not be asked for a reason that
// passes, and nobody turned it off. What the user said of licences counts more than what the probe saw.
func Enabled(t probe.DataTypeResult, i *controlv1.Integration) bool {
	info, known := entra.LookupDataType(t.ID)
	if !known || slices.Contains(i.GetDisabledDataTypes(), string(t.ID)) ||
		denied(info.Licence, i.GetConfirmation().GetDeniedLicences()) {
		return false
	}
	switch t.Availability {
	case probe.Available:
		return true
	case probe.LicenceMissing:
		return confirmed(info.Licence, i.GetConfirmation().GetLicences())
	case probe.Failed:
		return (&entra.Error{Cause: t.Cause}).Temporary()
	case probe.PermissionMissing, probe.ConsentMissing:
	}
	return false
}

// confirmed reports whether a user said that there is a licence. P2 includes P1.
func confirmed(licence entra.Licence, named []string) bool {
	return names(named, licence) || licence == entra.LicenceP1 && names(named, entra.LicenceP2)
}

// denied reports whether a user said that there is no such licence. Who has no P1 has no P2.
func denied(licence entra.Licence, named []string) bool {
	return names(named, licence) || licence == entra.LicenceP2 && names(named, entra.LicenceP1)
}

func names(named []string, licence entra.Licence) bool {
	return licence != entra.LicenceFree && slices.ContainsFunc(named, func(n string) bool { return strings.EqualFold(n, string(licence)) })
}
