package probe

import (
	"slices"
	"strings"

	"github.com/entraflow/entraflow/pkg/entra"
)

// result turns a fault into the answer for a data type.
func result(d entra.DataTypeInfo, fault *entra.Error) DataTypeResult {
	r := DataTypeResult{ID: d.ID, Title: d.Title, Availability: Available}
	if fault == nil {
		return r
	}
	r.Cause, r.Code, r.Detail, r.Remedy = fault.Cause, fault.Code, fault.Detail, fault.Remedy
	switch fault.Cause {
	case entra.CauseLicenceMissing, entra.CauseNotApplicable:
		r.Availability, r.Licence = LicenceMissing, entra.Licence(fault.Licence)
	case entra.CausePermissionMissing:
		r.Availability, r.Permission = PermissionMissing, fault.Permission
	case entra.CauseConsentMissing:
		r.Availability, r.Permission = ConsentMissing, fault.Permission
	default:
		r.Availability = Failed
	}
	return r
}

const permDirectory = "Directory.Read.All"

// judge says what a refusal means, from the roles of the token and the licences of the tenant: Graph's own
// codes do not tell them apart (graph.md §2.1). It may return another Error; fault is not changed.
func (p *probe) judge(d entra.DataTypeInfo, fault *entra.Error) *entra.Error {
	if fault == nil {
		return nil
	}
	refused := fault.Cause == entra.CausePermissionMissing || fault.Cause == entra.CauseConsentMissing ||
		fault.Cause == entra.CauseLicenceMissing || fault.Cause == entra.CauseNotApplicable ||
		fault.Cause == entra.CauseTokenRejected && d.Licence == entra.LicenceIntune
	if !refused {
		return fault
	}
	licensed := d.Licence == entra.LicenceFree || slices.Contains(p.report.Licences, d.Licence)
	permitted := p.claims.Has(d.Permissions...)
	opaque := p.claims.TenantID == "" // a token that is no JWT: nothing is known about its roles
	switch {
	case !opaque && len(p.claims.Roles) == 0:
		return refusal(fault, entra.CauseConsentMissing, d.Permissions, "")
	case !opaque && !permitted:
		return refusal(fault, entra.CausePermissionMissing, d.Permissions, "")
	case p.report.LicencesKnown && !licensed, fault.Cause == entra.CauseNotApplicable:
		return refusal(fault, entra.CauseLicenceMissing, nil, d.Licence)
	case fault.Cause == entra.CauseLicenceMissing && p.report.LicencesKnown && licensed && !opaque && !p.claims.Has(permDirectory):
		// Without it Graph cannot see the licence and says that there is none.
		return refusal(fault, entra.CausePermissionMissing, []string{permDirectory}, "")
	case fault.Cause == entra.CauseLicenceMissing, !opaque && !p.report.LicencesKnown && d.Licence != entra.LicenceFree:
		// The token has the permission, so that what is missing is the licence.
		return refusal(fault, entra.CauseLicenceMissing, nil, d.Licence)
	case !opaque:
		made := refusal(fault, entra.CausePermissionMissing, d.Permissions, "")
		made.Detail = "Microsoft Graph refuses it although the token holds a permission for it; consent may be a moment old."
		return made
	default:
		return refusal(fault, entra.CausePermissionMissing, d.Permissions, "")
	}
}

// refusal is a copy of fault with another cause and its words.
func refusal(fault *entra.Error, cause entra.Cause, permissions []string, licence entra.Licence) *entra.Error {
	made := *fault
	made.Cause, made.Remedy = cause, cause.Remedy()
	made.Permission, made.Licence = slices.Clone(permissions), string(licence)
	switch cause {
	case entra.CauseLicenceMissing:
		made.Detail = "The tenant has no " + licenceName(licence) + " licence."
	case entra.CauseConsentMissing:
		made.Detail = "The token holds no permission at all: nobody has consented to one."
	default:
		made.Detail = "The application may not read it: it needs " + strings.Join(permissions[:min(len(permissions), 2)], " or ") + "."
	}
	return &made
}

func licenceName(l entra.Licence) string {
	switch l {
	case entra.LicenceP1, entra.LicenceP2:
		return "Entra ID " + string(l)
	case entra.LicenceIntune:
		return "Intune"
	default:
		return "Entra ID P1"
	}
}
