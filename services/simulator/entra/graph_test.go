package entra_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

func TestPermissionsAndLicences(t *testing.T) {
	w := newWorld(t)
	const (
		missing  = "Authentication_MSGraphPermissionMissing"
		denied   = "Authorization_RequestDenied"
		licence  = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
		signIns  = "/v1.0/auditLogs/signIns?$top=1"
		audits   = "/v1.0/auditLogs/directoryAudits?$top=1"
		activity = "/v1.0/users?$select=id,signInActivity"
	)
	tests := map[string]struct {
		link, roles string
		licence     tenant.Licence
		trap        bool
		code        string
	}{
		"sign-ins":                         {link: signIns, roles: "AuditLog.Read.All", licence: tenant.P1},
		"sign-ins, no role":                {link: signIns, licence: tenant.P1, code: missing},
		"sign-ins, another role":           {link: signIns, roles: "Directory.Read.All", licence: tenant.P1, code: missing},
		"sign-ins, free":                   {link: signIns, roles: "AuditLog.Read.All", licence: tenant.Free, code: licence},
		"sign-ins, free, no role":          {link: signIns, licence: tenant.Free, code: missing},
		"sign-ins, trap":                   {link: signIns, roles: "AuditLog.Read.All", licence: tenant.P2, trap: true, code: licence},
		"sign-ins, trap avoided":           {link: signIns, roles: "AuditLog.Read.All,Directory.Read.All", licence: tenant.P2, trap: true},
		"audits, free":                     {link: audits, roles: "AuditLog.Read.All", licence: tenant.Free},
		"audits by directory":              {link: audits, roles: "Directory.Read.All", licence: tenant.Free},
		"audits, no role":                  {link: audits, licence: tenant.Free, code: missing},
		"provisioning":                     {link: "/v1.0/auditLogs/provisioning", roles: "ProvisioningLog.Read.All", licence: tenant.P1},
		"provisioning, free":               {link: "/v1.0/auditLogs/provisioning", roles: "AuditLog.Read.All", licence: tenant.Free, code: licence},
		"provisioning, no role":            {link: "/v1.0/auditLogs/provisioning", licence: tenant.P1, code: missing},
		"detections":                       {link: "/v1.0/identityProtection/riskDetections", roles: "IdentityRiskEvent.Read.All", licence: tenant.P1},
		"detections, free":                 {link: "/v1.0/identityProtection/riskDetections", roles: "IdentityRiskEvent.Read.All", licence: tenant.Free, code: licence},
		"detections, no role":              {link: "/v1.0/identityProtection/riskDetections", roles: "AuditLog.Read.All", licence: tenant.P2, code: denied},
		"risky users":                      {link: "/v1.0/identityProtection/riskyUsers", roles: "IdentityRiskyUser.Read.All", licence: tenant.P2},
		"risky users, P1":                  {link: "/v1.0/identityProtection/riskyUsers", roles: "IdentityRiskyUser.Read.All", licence: tenant.P1, code: licence},
		"risky users, no role":             {link: "/v1.0/identityProtection/riskyUsers", licence: tenant.P2, code: denied},
		"organization":                     {link: "/v1.0/organization", roles: "User.Read.All", licence: tenant.Free},
		"organization, no role":            {link: "/v1.0/organization", roles: "AuditLog.Read.All", licence: tenant.Free, code: denied},
		"licences":                         {link: "/v1.0/subscribedSkus", roles: "LicenseAssignment.Read.All", licence: tenant.Free},
		"licences, no role":                {link: "/v1.0/subscribedSkus", roles: "User.Read.All", licence: tenant.Free, code: denied},
		"applications":                     {link: "/v1.0/applications", roles: "Application.Read.All", licence: tenant.Free},
		"applications, no role":            {link: "/v1.0/applications", licence: tenant.Free, code: denied},
		"service principals, no role":      {link: "/v1.0/servicePrincipals", licence: tenant.Free, code: denied},
		"users":                            {link: "/v1.0/users", roles: "User.Read.All", licence: tenant.Free},
		"users, no role":                   {link: "/v1.0/users", roles: "AuditLog.Read.All", licence: tenant.Free, code: denied},
		"activity":                         {link: activity, roles: "User.Read.All,AuditLog.Read.All", licence: tenant.P1},
		"activity, free":                   {link: activity, roles: "User.Read.All,AuditLog.Read.All", licence: tenant.Free, code: licence},
		"activity, without the log's role": {link: activity, roles: "User.Read.All", licence: tenant.P1, code: denied},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var roles []string
			if tt.roles != "" {
				roles = strings.Split(tt.roles, ",")
			}
			require.NoError(t, w.server.SetConsents(clientID, tenantID, roles))
			require.NoError(t, w.server.SetLicence(tenantID, tt.licence))
			require.NoError(t, w.server.SetLicenceTrap(tenantID, tt.trap))
			w.token(true)
			if tt.code == "" {
				w.get(tt.link, http.StatusOK)
				return
			}
			p := w.get(tt.link, http.StatusForbidden)
			require.Equal(t, tt.code, p.Error.Code)
			require.Equal(t, map[string]string{
				denied: "Insufficient privileges to complete the operation.", missing: p.Error.Message,
				licence: "Neither tenant is B2C or tenant doesn't have premium license",
			}[tt.code], p.Error.Message)
			require.Len(t, p.Error.InnerError.RequestID, 36)
			require.NotEmpty(t, p.Error.InnerError.Date)
		})
	}
}

func TestTokensAreChecked(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) { c.TokenLifetime = 2 * time.Second })
	good := w.token(false)
	_, _, body := w.login(tenantID, map[string]string{"scope": "https://eventhubs.azure.net/.default"})
	otherAudience, _ := body["access_token"].(string)
	forged, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	for name, tt := range map[string]struct{ token, message string }{
		"none":      {"", "Access token is empty."},
		"no JWT":    {"x", "IDX14100: JWT is not well formed, there are no dots (.)."},
		"unsigned":  {forged, "Access token validation failure. Invalid signature."},
		"tampered":  {good[:len(good)-8] + "AAAAAAAA", "Access token validation failure. Invalid signature."},
		"elsewhere": {otherAudience, "Access token validation failure. Invalid audience."},
	} {
		response, text, err := w.raw(t.Context(), "/v1.0/organization", tt.token)
		require.NoError(t, err)
		require.Equal(t, 401, response.StatusCode, name)
		require.NotEmpty(t, response.Header.Get("WWW-Authenticate"))
		var p page
		require.NoError(t, json.Unmarshal(text, &p))
		require.Equal(t, "InvalidAuthenticationToken", p.Error.Code)
		require.Equal(t, tt.message, p.Error.Message, name)
	}
	require.Eventually(t, func() bool {
		response, text, err := w.raw(t.Context(), "/v1.0/organization", good)
		return err == nil && response.StatusCode == 401 && strings.Contains(string(text), "the token is expired")
	}, 10*time.Second, 100*time.Millisecond)
}

func TestQueryErrors(t *testing.T) {
	w := newWorld(t)
	old := time.Now().UTC().Add(-91 * 24 * time.Hour).Format(time.RFC3339)
	for link, message := range map[string]string{
		"/v1.0/auditLogs/signIns?$filter=createdDateTime ge '2026-11-01T00:00:00Z'":        "Invalid filter clause",
		"/v1.0/auditLogs/signIns?$filter=createdDateTime ge " + old:                        "Invalid filter clause",
		"/v1.0/auditLogs/signIns?$filter=colour eq 'x'":                                    "Invalid filter clause: Could not find a property named 'colour' on type 'microsoft.graph.signIn'.",
		"/v1.0/auditLogs/signIns?$filter=signInEventTypes/any(t: t eq 'servicePrincipal')": "Invalid filter clause: Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'.",
		"/v1.0/auditLogs/signIns?$filter=createdDateTime":                                  "Invalid filter clause: '' is no operator",
		"/v1.0/auditLogs/provisioning?$filter=activityDateTime ge 2026-11-01T00:00:00Z":    "Invalid filter clause: The operator 'ge' is not supported for the property 'activityDateTime'.",
		"/v1.0/auditLogs/directoryAudits?$filter=activityDateTime gt 2026-11-01T00:00:00Z": "Invalid filter clause: The operator 'gt' is not supported for the property 'activityDateTime'.",
		"/v1.0/auditLogs/signIns?$skip=5":                                                  "Query option 'Skip' is not allowed. To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.",
		"/v1.0/auditLogs/signIns?$count=true":                                              "Query option 'Count' is not allowed. To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.",
		"/v1.0/auditLogs/signIns?$orderby=appId":                                           "Invalid orderby clause",
		"/v1.0/auditLogs/signIns?$orderby=createdDateTime up":                              "Invalid orderby clause",
		"/v1.0/auditLogs/signIns?$top=0":                                                   "Invalid page size specified: '0'. Must be between 1 and 1000 inclusive.",
		"/v1.0/auditLogs/signIns?$top=x":                                                   "Invalid page size specified: 'x'. Must be between 1 and 1000 inclusive.",
		"/v1.0/users?$top=1000":                                                            "Invalid page size specified: '1000'. Must be between 1 and 999 inclusive.",
		"/v1.0/users?$select=signInActivity&$top=501":                                      "Invalid page size specified: '501'. Must be between 1 and 500 inclusive.",
		"/v1.0/auditLogs/signIns?$select=userAgent":                                        "Parsing OData Select and Expand failed: Could not find a property named 'userAgent' on type 'microsoft.graph.signIn'.",
		"/v1.0/auditLogs/nothing":                                                          "Resource not found for the segment 'auditLogs'.",
		"/v1.0/auditLogs/signIns?$wrong=1":                                                 "The query parameter '$wrong' is not supported.",
		"/v1.0/users?$skip=1":                                                              "'$skip' is not supported by the service.",
	} {
		require.Equal(t, message, w.get(link, http.StatusBadRequest).Error.Message, link)
	}
	require.Equal(t, "Request_ResourceNotFound", w.get("/v1.0/users/nobody", http.StatusNotFound).Error.Code)
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	all := w.get("/beta/auditLogs/signIns?$top=1000", 200).Value
	at := func(i int) string { return member(t, all[i], "createdDateTime") }
	count := func(filter string) int {
		return len(w.ids("/beta/auditLogs/signIns?$top=100&$filter=" + url.QueryEscape(filter)))
	}
	require.Equal(t, 51, count("createdDateTime ge "+at(100)+" and createdDateTime le "+at(50)))
	require.Equal(t, 1, count("createdDateTime eq "+at(3)))
	total := count("createdDateTime ge " + time.Now().UTC().Add(-20*24*time.Hour).Format(time.RFC3339))
	require.Equal(t, len(w.truth(tenant.Interactive)), total)
	require.Equal(t, total, count("createdDateTime gt "+at(1)), "gt is ignored")
	require.Equal(t, total, count("createdDateTime lt "+at(100)), "lt is ignored")
	user := member(t, all[0], "userId")
	mine := 0
	for _, v := range all {
		if member(t, v, "userId") == user {
			mine++
		}
	}
	oldest := at(len(all) - 1)
	require.Equal(t, mine, count("userId eq '"+user+"' and createdDateTime ge "+oldest))
	failed := count("status/errorCode eq 50126 and createdDateTime ge " + oldest)
	require.Equal(t, slices.IndexFunc(all, func(v json.RawMessage) bool { return strings.Contains(string(v), `"errorCode":50126`) }) >= 0, failed > 0)
	require.Equal(t, 0, count("id eq '00000000-0000-0000-0000-000000000000'"))
	provisioned := w.get("/v1.0/auditLogs/provisioning?$top=10", 200).Value
	newest, older := member(t, provisioned[0], "activityDateTime"), member(t, provisioned[5], "activityDateTime")
	p := w.get("/v1.0/auditLogs/provisioning?$top=50&$filter=activityDateTime gt "+older+" and activityDateTime lt "+newest, 200)
	require.Len(t, p.Value, 4)
}

func TestPageSizes(t *testing.T) {
	w := newWorld(t)
	require.Len(t, w.get("/v1.0/auditLogs/signIns?$top=5000", 200).Value, 1000)
	require.Len(t, w.get("/v1.0/auditLogs/signIns", 200).Value, 1000)
	require.Len(t, w.get("/v1.0/users", 200).Value, 100)
}

func TestLimits(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) { c.Throttle.Mode, c.Throttle.Scale = "on", 1 })
	status := func(link string) (int, http.Header) {
		response, _, err := w.raw(t.Context(), link, w.token(false))
		require.NoError(t, err)
		return response.StatusCode, response.Header
	}
	for range 5 {
		got, _ := status("/v1.0/auditLogs/signIns?$top=1")
		require.Equal(t, 200, got)
	}
	got, header := status("/v1.0/auditLogs/directoryAudits?$top=1")
	require.Equal(t, 429, got)
	require.Contains(t, []string{"9", "10"}, header.Get("Retry-After"))
	require.NotEmpty(t, header.Get("x-ms-throttle-scope"))
	require.NotEmpty(t, header.Get("x-ms-throttle-limit-percentage"))
	got, _ = status("/v1.0/identityProtection/riskyUsers?$top=1")
	require.Equal(t, 200, got)
	got, header = status("/v1.0/identityProtection/riskDetections?$top=1")
	require.Equal(t, 429, got)
	require.Empty(t, header.Get("Retry-After"))
	counters := map[string][2]uint64{}
	for _, c := range w.server.Counters() {
		counters[c.Bucket+" "+c.Tenant+" "+c.App] = [2]uint64{c.Requests, c.Throttled}
	}
	who := " " + tenantID + " " + clientID
	require.Equal(t, map[string][2]uint64{"login" + who: {1, 0}, "reports" + who: {6, 1}, "identity_protection" + who: {2, 1}}, counters)
}

func TestFaultsAnswer(t *testing.T) {
	w := newWorld(t)
	const link = "/v1.0/auditLogs/signIns?$top=5"
	w.token(false)
	for name, tt := range map[string]struct {
		fault  entra.Fault
		status int
		check  func(http.Header, string)
	}{
		"429":      {entra.Fault{Kind: "throttle", RetryAfterSeconds: 7}, 429, func(h http.Header, _ string) { require.Equal(t, "7", h.Get("Retry-After")) }},
		"429 bare": {entra.Fault{Kind: "throttle"}, 429, func(h http.Header, _ string) { require.Empty(t, h.Get("Retry-After")) }},
		"503":      {entra.Fault{Kind: "unavailable"}, 503, func(_ http.Header, b string) { require.Contains(t, b, "serviceNotAvailable") }},
		"504":      {entra.Fault{Kind: "gateway_timeout"}, 504, func(h http.Header, _ string) { require.Empty(t, h.Get("Retry-After")) }},
		"502": {entra.Fault{Kind: "bad_gateway"}, 502, func(h http.Header, b string) {
			require.Contains(t, h.Get("Content-Type")+b, "text/html; charset=UTF-8<html>")
		}},
		"401":          {entra.Fault{Kind: "unauthorized"}, 401, func(_ http.Header, b string) { require.Contains(t, b, "InvalidAuthenticationToken") }},
		"other path":   {entra.Fault{Kind: "unauthorized", Path: "/users"}, 200, nil},
		"other tenant": {entra.Fault{Kind: "unauthorized", Tenant: otherTenant}, 200, nil},
		"not yet":      {entra.Fault{Kind: "unauthorized", After: 1}, 200, nil},
		"slow":         {entra.Fault{Kind: "slow", DelayMS: 1}, 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tt.fault.Count = 1
			defer func() { require.NoError(t, w.server.ClearFault("")) }()
			_, err := w.server.InjectFault(tt.fault)
			require.NoError(t, err)
			response, body, err := w.raw(t.Context(), link, w.token(false))
			require.NoError(t, err)
			require.Equal(t, tt.status, response.StatusCode)
			if tt.check != nil {
				tt.check(response.Header, string(body))
			}
		})
	}
	inject := func(f entra.Fault) {
		f.Count = 1
		_, err := w.server.InjectFault(f)
		require.NoError(t, err)
	}
	inject(entra.Fault{Kind: "cut"})
	_, _, err := w.raw(t.Context(), link, w.token(false))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	inject(entra.Fault{Kind: "truncated_gzip"})
	_, _, err = w.raw(t.Context(), link, w.token(false)) // net/http unzips
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	inject(entra.Fault{Kind: "skip_token"})
	next := w.get(link, 200).Next
	require.Equal(t, "Invalid Skip Token, skip token is null", w.get(next, 400).Error.Message)
	inject(entra.Fault{Kind: "throttle", Path: "/oauth2/", RetryAfterSeconds: 3})
	status, header, _ := w.login(tenantID, nil)
	require.Equal(t, []any{429, "3"}, []any{status, header.Get("Retry-After")})
	_, err = w.server.InjectFault(entra.Fault{Kind: "empty_page"})
	require.ErrorIs(t, err, entra.ErrBadFault)
	_, err = w.server.InjectFault(entra.Fault{Kind: "boil"})
	require.ErrorIs(t, err, entra.ErrBadFault)
	require.ErrorIs(t, w.server.ClearFault("77"), entra.ErrNoFault)
}

// TestWalksSurviveFaults walks with a client that does what graph.md §2.1 says: retry, follow links, dedupe.
func TestWalksSurviveFaults(t *testing.T) {
	w := newWorld(t)
	w.token(false)
	for _, f := range []entra.Fault{
		{Kind: "throttle", Share: 0.1, RetryAfterSeconds: 1},
		{Kind: "unavailable", Share: 0.1, Seed: 1},
		{Kind: "bad_gateway", Share: 0.05, Seed: 2},
		{Kind: "cut", Share: 0.1, Seed: 3},
		{Kind: "truncated_gzip", Share: 0.1, Seed: 4},
		{Kind: "short_page", Share: 0.3, Seed: 5},
		{Kind: "empty_page", Share: 0.2, Seed: 6},
		{Kind: "duplicate", Share: 0.3, Seed: 7},
	} {
		_, err := w.server.InjectFault(f)
		require.NoError(t, err)
	}
	for filter, logs := range map[string][]string{
		"":                              {tenant.Interactive},
		"&$orderby=createdDateTime asc": {tenant.Interactive},
		"&$filter=signInEventTypes/any(t: t eq 'interactiveUser' or t eq 'nonInteractiveUser')": {tenant.Interactive, tenant.NonInteractive},
		"&$filter=signInEventTypes/any(t: t eq 'servicePrincipal')":                             {tenant.ServicePrincipal},
	} {
		var want []string
		for _, log := range logs {
			want = append(want, w.truth(log)...)
		}
		got, rows := map[string]bool{}, 0
		for link := "/beta/auditLogs/signIns?$top=40" + filter; link != ""; {
			response, body, err := w.raw(t.Context(), link, w.token(false))
			if err != nil || response.StatusCode != 200 {
				continue
			}
			var p page
			require.NoError(t, json.Unmarshal(body, &p))
			for _, v := range p.Value {
				got[member(t, v, "id")] = true
				rows++
			}
			link = p.Next
		}
		require.Len(t, got, len(want), filter)
		for _, id := range want {
			require.True(t, got[id])
		}
		if !strings.Contains(filter, "asc") {
			require.Greater(t, rows, len(want), "duplicates")
		}
	}
	for _, f := range w.server.Faults() {
		require.Positive(t, f.Hits, f.Kind)
	}
}

func TestFaultsRepeat(t *testing.T) {
	var runs [2]string
	for i := range runs {
		w := newWorld(t)
		w.token(false)
		_, err := w.server.InjectFault(entra.Fault{Kind: "unavailable", Share: 0.5, Seed: 42})
		require.NoError(t, err)
		for range 30 {
			response, _, err := w.raw(t.Context(), "/v1.0/organization", w.token(false))
			require.NoError(t, err)
			runs[i] += fmt.Sprint(response.StatusCode)
		}
	}
	require.Equal(t, runs[0], runs[1])
	require.Contains(t, runs[0], "200")
	require.Contains(t, runs[0], "503")
}
