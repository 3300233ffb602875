package tenant

import (
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// problemOf says to a person why something failed.
func problemOf(err error) *controlv1.Problem {
	if errors.Is(err, errBus) {
		return &controlv1.Problem{
			Cause: "stream_unavailable", Detail: "Records cannot be stored in the stream.",
			Remedy: "Look at NATS: is it running, and has its disk room? Nothing is lost; collecting goes on by itself.",
		}
	}
	if fault, ok := errors.AsType[*entra.Error](err); ok {
		return problem(fault)
	}
	return &controlv1.Problem{
		Cause: "internal", Detail: "Collecting failed for a reason within Entraflow; the collector's log has it.",
		Remedy: "It is tried again by itself. If it stays, report it with the log.",
	}
}

func problem(fault *entra.Error) *controlv1.Problem {
	if fault == nil {
		return nil
	}
	return &controlv1.Problem{
		Cause: string(fault.Cause), Code: fault.Code, Detail: fault.Detail, Remedy: fault.Remedy, RequestId: fault.RequestID,
	}
}

// endsSession reports whether an error says that nothing can be read with the credential any more.
func endsSession(err error) bool {
	fault, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return false
	}
	switch fault.Cause { //nolint:exhaustive // only these
	case entra.CauseSecretWrong, entra.CauseSecretExpired, entra.CauseAppNotFound, entra.CauseAppDisabled,
		entra.CauseTenantNotFound, entra.CauseTenantMalformed, entra.CauseWrongCloud, entra.CauseCertificateRejected,
		entra.CauseAssertionRejected, entra.CauseCredentialMissing, entra.CauseConditionalAccess, entra.CauseScopeInvalid,
		entra.CauseResourceMissing:
		return true
	default:
		return false
	}
}

// wasRefused reports whether an error says that one data type may not be read.
func wasRefused(err error) bool {
	fault, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return false
	}
	switch fault.Cause { //nolint:exhaustive // only these
	case entra.CausePermissionMissing, entra.CauseConsentMissing, entra.CauseLicenceMissing, entra.CauseTokenRejected:
		return true
	default:
		return false
	}
}

// Report turns what a probe found into what a client reads; enabled says which data types will be collected.
func Report(found probe.Report, i *controlv1.Integration, now time.Time) *controlv1.ConnectionReport {
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
			DataType: string(t.ID), Title: t.Title, Availability: availability(t.Availability), Enabled: Enabled(t, i),
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

// v1Problem says what is read in place of what was refused.
func v1Problem() *controlv1.Problem {
	return &controlv1.Problem{
		Cause: "v1_fallback", Detail: "Graph refuses beta, so sign-ins are read from v1.0. They lack what many checks need: " +
			"authentication details, session and user agent.",
		Remedy: "Look at the report of the connection test for why beta is refused.",
	}
}

// Tested are the data types that a test asks for: all that are collected, and the users, which tell whether the
// directory can be read.
func Tested() []entra.DataType {
	tested := []entra.DataType{entra.Users}
	for _, info := range entra.DataTypes() {
		if info.Log {
			tested = append(tested, info.ID)
		}
	}
	return tested
}

// Enabled reports whether a data type will be collected: if it can be read, or could not be asked for a reason that
// passes, and nobody turned it off. What the user said of licences counts more than what the probe saw.
func Enabled(t probe.DataTypeResult, i *controlv1.Integration) bool {
	info, known := entra.LookupDataType(t.ID)
	if !known || !info.Log || slices.Contains(i.GetDisabledDataTypes(), string(t.ID)) ||
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
