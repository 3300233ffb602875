package entra

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// entraCode is a row of graph.md §1: a number of the token endpoint's error_codes.
type entraCode struct {
	number int
	cause  Cause
	detail string // empty: the cause's headline
}

// entraCodes is matched by number, never by text.
var entraCodes = []entraCode{
	{7000215, CauseSecretWrong, "Entra does not accept the client secret. Often the Secret ID was entered in place of the Value."},
	{7000222, CauseSecretExpired, ""},
	{700016, CauseAppNotFound, ""},
	{7000229, CauseAppNotFound, "The application has no service principal in this tenant: nobody has consented to it there."},
	{90002, CauseTenantNotFound, "The tenant was not found in this cloud."},
	{900023, CauseTenantMalformed, ""},
	{90124, CauseTenantMalformed, "An application without a user must name its tenant, not common."},
	{9001023, CauseTenantMalformed, "An application without a user must name its tenant, not common."},
	{50194, CauseTenantMalformed, "An application without a user must name its tenant, not common."},
	{90038, CauseWrongCloud, ""},
	{900432, CauseWrongCloud, ""},
	{900382, CauseWrongCloud, ""},
	{7000112, CauseAppDisabled, ""},
	{70001, CauseAppDisabled, ""},
	{700027, CauseCertificateRejected, "Entra cannot verify the signature: the certificate is not registered, or this machine's clock is wrong."},
	{700030, CauseCertificateRejected, "The certificate's subject or issuer is not one that the application allows."},
	{1000502, CauseCertificateRejected, "The certificate is outside its period of validity."},
	{50013, CauseAssertionRejected, "Entra cannot verify the token's signature: its issuer has no such key, or the token was changed."},
	{700021, CauseAssertionRejected, ""},
	{70021, CauseAssertionRejected, "No federated credential of the application fits the token."},
	{700211, CauseAssertionRejected, "No federated credential of the application has the token's issuer."},
	{700212, CauseAssertionRejected, "No federated credential of the application has the token's audience."},
	{700213, CauseAssertionRejected, "No federated credential of the application has the token's subject."},
	{700024, CauseAssertionRejected, "The token is outside its period of validity: it has expired, or a clock is wrong."},
	{500133, CauseAssertionRejected, "The token is outside its period of validity: it has expired, or a clock is wrong."},
	{7000218, CauseCredentialMissing, "The request held neither a secret nor an assertion."},
	{7000216, CauseCredentialMissing, "The request held neither a secret nor an assertion."},
	{70011, CauseScopeInvalid, ""},
	{700022, CauseScopeInvalid, ""},
	{700023, CauseScopeInvalid, ""},
	{500011, CauseResourceMissing, ""},
	{53003, CauseConditionalAccess, ""},
	{530032, CauseConditionalAccess, "A security policy of the tenant blocks the application."},
	{50196, CauseLoginLoop, ""},
	{90055, CauseThrottled, ""},
	{90033, CauseTransient, ""},
	{90006, CauseTransient, ""},
	{90012, CauseTransient, ""},
	{90024, CauseTransient, ""},
}

// tokenError reads the token endpoint's answer.
func tokenError(status int, header http.Header, body []byte) *Error {
	var said struct {
		Codes   []int  `json:"error_codes"`
		TraceID string `json:"trace_id"`
	}
	if json.Unmarshal(body, &said) != nil {
		e := statusError(status, CauseGatewayHTML, "The authority's answer is not Entra's.")
		e.Status, e.RetryAfter = status, retryAfter(header, time.Now())
		return e
	}
	e := statusError(status, CauseUnknown, "Entra refuses the sign-in.")
	if len(said.Codes) > 0 {
		e.Code = "AADSTS" + strconv.Itoa(said.Codes[0])
	}
found:
	for _, code := range said.Codes {
		for _, row := range entraCodes {
			if row.number == code {
				e = newError(row.cause, row.detail)
				e.Code = "AADSTS" + strconv.Itoa(code)
				break found
			}
		}
	}
	e.Status, e.RetryAfter, e.RequestID = status, retryAfter(header, time.Now()), plainID(said.TraceID)
	return e
}

// statusError is for an answer whose code says nothing.
func statusError(status int, otherwise Cause, detail string) *Error {
	switch {
	case status == http.StatusTooManyRequests:
		return newError(CauseThrottled, "")
	case otherwise != CauseGatewayHTML && (status >= http.StatusInternalServerError || status == http.StatusRequestTimeout):
		return newError(CauseTransient, "")
	default:
		return newError(otherwise, detail)
	}
}

// graphCode is a row of graph.md §2 and §3: Graph's error.code.
type graphCode struct {
	code   string
	cause  Cause
	detail string
}

// graphCodes is matched by code in any case, never by the message.
var graphCodes = []graphCode{
	{"Authentication_RequestFromNonPremiumTenantOrB2CTenant", CauseLicenceMissing, "The tenant has no Entra ID P1 or P2 licence, or Directory.Read.All is missing, without which Graph cannot see it."},
	{"Authorization_RequestDenied", CausePermissionMissing, ""},
	{"Authentication_MSGraphPermissionMissing", CausePermissionMissing, ""},
	{"Authorization_IdentityNotFound", CauseConsentMissing, "The application is not known to the tenant's directory."},
	{"AccessDenied", CausePermissionMissing, ""},
	{"Forbidden", CausePermissionMissing, ""},
	{"ErrorAccessDenied", CausePermissionMissing, ""},
	{"InvalidAuthenticationToken", CauseTokenRejected, ""},
	{"Authentication_ExpiredToken", CauseTokenRejected, ""},
	{"TooManyRequests", CauseThrottled, ""},
	{"activityLimitReached", CauseThrottled, ""},
	{"Request_ThrottledTemporarily", CauseThrottled, ""},
	{"ServiceUnavailable", CauseTransient, ""},
	{"serviceNotAvailable", CauseTransient, ""},
	{"GatewayTimeout", CauseTransient, ""},
	{"Request_ResourceNotFound", CauseNotFound, ""},
	{"ResourceNotFound", CauseNotFound, ""},
	{"MailboxNotEnabledForRESTAPI", CauseNotFound, "The user has no mailbox in Exchange Online."},
	{"InvalidSkipToken", CauseSkipTokenInvalid, ""},
	{"Invalid_SkipToken", CauseSkipTokenInvalid, ""},
	{"Directory_ExpiredPageToken", CauseSkipTokenInvalid, ""},
	{"DirectoryPageTokenNotFoundException", CauseSkipTokenInvalid, ""},
	{"syncStateNotFound", CauseSyncStateExpired, ""},
	{"syncStateInvalid", CauseSyncStateExpired, ""},
	{"resyncRequired", CauseSyncStateExpired, ""},
	{"BadRequest", CauseBadRequest, ""},
	{"Request_BadRequest", CauseBadRequest, ""},
	{"Request_UnsupportedQuery", CauseBadRequest, ""},
}

// graphError reads Graph's answer.
func graphError(status int, header http.Header, body []byte) *Error {
	var said struct {
		Error *struct {
			Code  string `json:"code"`
			Inner struct {
				RequestID string `json:"request-id"`
			} `json:"innerError"`
		} `json:"error"`
	}
	var e *Error
	switch err := json.Unmarshal(body, &said); {
	case len(bytes.TrimSpace(body)) == 0:
		e = causeOfStatus(status)
	case err != nil || said.Error == nil:
		e = statusError(status, CauseGatewayHTML, "The answer is not Microsoft Graph's.")
	default:
		e = causeOfCode(said.Error.Code, status)
		e.Code = plainID(said.Error.Code)
		e.RequestID = plainID(said.Error.Inner.RequestID)
	}
	if e.RequestID == "" {
		e.RequestID = plainID(header.Get("request-id"))
	}
	e.Status, e.RetryAfter = status, retryAfter(header, time.Now())
	if e.Cause == CauseLicenceMissing {
		e.Licence = string(LicenceP1)
	}
	return e
}

func causeOfCode(code string, status int) *Error {
	// The status of an overload tells more than its code: that is often UnknownError.
	if status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		return causeOfStatus(status)
	}
	for _, row := range graphCodes {
		if strings.EqualFold(row.code, code) {
			return newError(row.cause, row.detail)
		}
	}
	return causeOfStatus(status)
}

func causeOfStatus(status int) *Error {
	switch status {
	case http.StatusBadRequest:
		return newError(CauseBadRequest, "")
	case http.StatusUnauthorized:
		return newError(CauseTokenRejected, "")
	case http.StatusForbidden:
		return newError(CausePermissionMissing, "")
	case http.StatusNotFound:
		return newError(CauseNotFound, "")
	case http.StatusNotImplemented:
		return newError(CauseBadRequest, "")
	case http.StatusGone:
		return newError(CauseSyncStateExpired, "")
	default:
		return statusError(status, CauseUnknown, "")
	}
}

// retryAfter reads the header of that name: seconds, whole or not, or a date (RFC 9110 §10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	const most = 24 * time.Hour
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(seconds) {
		return time.Duration(min(max(seconds, 0), most.Seconds()) * float64(time.Second))
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), most)
	}
	return 0
}

// plainID lets only what a code or an id may be made of into an error's text.
func plainID(text string) string {
	const most = 100
	if len(text) > most {
		text = text[:most]
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return -1
	}, text)
}

// readBody reads a bounded body and returns one that can be read again.
func readBody(body io.ReadCloser) ([]byte, io.ReadCloser) {
	if body == nil {
		return nil, http.NoBody
	}
	read, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	_ = body.Close()
	if err != nil {
		read = nil
	}
	return read, io.NopCloser(bytes.NewReader(read))
}
