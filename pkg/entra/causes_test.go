package entra_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/entra/internal/fake"
)

func spec() entra.CredentialSpec {
	return entra.CredentialSpec{
		TenantID: fake.Tenant, ClientID: fake.App, Kind: entra.KindSecret, Secret: config.NewSecret(fake.Secret),
	}
}

// world is a client of a fake, whose logs are kept. Its clock runs 1,000 times as fast.
type world struct {
	server    *fake.Server
	client    *entra.Client
	transport *http.Transport
	logs      *bytes.Buffer
}

func newWorld(t *testing.T, options ...func(*entra.ClientSettings)) *world {
	t.Helper()
	w := &world{server: fake.New(t), logs: &bytes.Buffer{}}
	endpoints := w.server.Endpoints(t)
	w.transport = endpoints.Transport()
	t.Cleanup(w.transport.CloseIdleConnections)
	credential, err := entra.NewCredential(spec(), endpoints, w.transport)
	require.NoError(t, err)
	const speed = 1000
	set := entra.ClientSettings{
		Credential: credential, Endpoints: endpoints, Transport: w.transport, Clock: clock.New(0, speed),
		Logger:   slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		TenantID: fake.Tenant, AppID: fake.App, MaxElapsed: time.Hour,
	}
	for _, option := range options {
		option(&set)
	}
	w.client, err = entra.NewClient(set)
	require.NoError(t, err)
	return w
}

// fault gets a path, which must fail, and checks that the error holds nothing it must not.
func (w *world) fault(t *testing.T, r entra.Request) *entra.Error {
	t.Helper()
	_, err := w.client.Get(t.Context(), r)
	require.Error(t, err)
	fault, ok := errors.AsType[*entra.Error](err)
	require.True(t, ok, "%T", err)
	w.clean(t, err)
	require.NotEmpty(t, fault.Detail)
	require.NotEmpty(t, fault.Remedy)
	return fault
}

func (w *world) clean(t *testing.T, err error) {
	t.Helper()
	fault, _ := errors.AsType[*entra.Error](err)
	text := fmt.Sprintf("%v %+v %#v %s", err, err, fault, w.logs)
	for _, word := range []string{fake.Secret, "eyJ", "s1gnature", "jane.doe", "Bearer", "filter", "127.0.0.1"} {
		require.NotContains(t, text, word)
	}
	require.Less(t, len(err.Error()), 500)
}

var users = entra.Request{Path: "/v1.0/users", Permission: []string{"User.Read.All"}}

// TestEveryTokenErrorHasItsCause has the rows of graph.md §1, by the unmodified azidentity.
func TestEveryTokenErrorHasItsCause(t *testing.T) {
	cases := map[int]entra.Cause{
		7000215: entra.CauseSecretWrong, 7000222: entra.CauseSecretExpired, 700016: entra.CauseAppNotFound,
		7000229: entra.CauseAppNotFound, 90002: entra.CauseTenantNotFound, 900023: entra.CauseTenantMalformed,
		90124: entra.CauseTenantMalformed, 9001023: entra.CauseTenantMalformed, 50194: entra.CauseTenantMalformed,
		90038: entra.CauseWrongCloud, 900432: entra.CauseWrongCloud, 900382: entra.CauseWrongCloud,
		7000112: entra.CauseAppDisabled, 70001: entra.CauseAppDisabled,
		700027: entra.CauseCertificateRejected, 700030: entra.CauseCertificateRejected, 1000502: entra.CauseCertificateRejected,
		700021: entra.CauseAssertionRejected, 70021: entra.CauseAssertionRejected, 700211: entra.CauseAssertionRejected,
		700212: entra.CauseAssertionRejected, 700213: entra.CauseAssertionRejected, 700024: entra.CauseAssertionRejected,
		500133:  entra.CauseAssertionRejected,
		7000218: entra.CauseCredentialMissing, 7000216: entra.CauseCredentialMissing,
		70011: entra.CauseScopeInvalid, 700022: entra.CauseScopeInvalid, 700023: entra.CauseScopeInvalid,
		500011: entra.CauseResourceMissing, 53003: entra.CauseConditionalAccess, 530032: entra.CauseConditionalAccess,
		50196: entra.CauseLoginLoop, 90055: entra.CauseThrottled,
		90033: entra.CauseTransient, 90006: entra.CauseTransient, 90012: entra.CauseTransient, 90024: entra.CauseTransient,
		99999999: entra.CauseUnknown,
	}
	w := newWorld(t)
	for code, cause := range cases {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			w.server.Token = fake.Refuse(code, http.StatusBadRequest)
			fault := w.fault(t, users)
			require.Equal(t, cause, fault.Cause)
			require.Equal(t, fmt.Sprintf("AADSTS%d", code), fault.Code)
			require.Equal(t, http.StatusBadRequest, fault.Status)
			require.Equal(t, "c0ffee00-0000-0000-0000-000000000000", fault.RequestID)
		})
	}
}

func TestTokenErrorsWithoutACode(t *testing.T) {
	write := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	cases := map[string]struct {
		answer http.HandlerFunc
		cause  entra.Cause
	}{
		"html":       {write(502, "text/html", "<html>eyJ</html>"), entra.CauseGatewayHTML},
		"html, good": {write(200, "text/html", "<html>eyJ</html>"), entra.CauseGatewayHTML},
		"429":        {write(429, "application/json", "{}"), entra.CauseThrottled},
		"503":        {write(503, "application/json", "{}"), entra.CauseTransient},
		"400":        {write(400, "application/json", "{}"), entra.CauseUnknown},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://other.invalid/", http.StatusTemporaryRedirect)
		}, entra.CauseGatewayHTML},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.server.Token = tc.answer
			require.Equal(t, tc.cause, w.fault(t, users).Cause)
		})
	}
}

// TestEveryGraphErrorHasItsCause has the rows of graph.md §2 and §3.
func TestEveryGraphErrorHasItsCause(t *testing.T) {
	link := "/v1.0/auditLogs/signIns?$skiptoken=stale"
	cases := map[string]struct {
		code    string
		status  int
		request entra.Request
		cause   entra.Cause
	}{
		"premium":         {"Authentication_RequestFromNonPremiumTenantOrB2CTenant", 403, users, entra.CauseLicenceMissing},
		"denied":          {"Authorization_RequestDenied", 403, users, entra.CausePermissionMissing},
		"reporting":       {"Authentication_MSGraphPermissionMissing", 403, users, entra.CausePermissionMissing},
		"no identity":     {"Authorization_IdentityNotFound", 403, users, entra.CauseConsentMissing},
		"forbidden":       {"Forbidden", 403, users, entra.CausePermissionMissing},
		"mailbox":         {"ErrorAccessDenied", 403, users, entra.CausePermissionMissing},
		"access":          {"accessDenied", 403, users, entra.CausePermissionMissing},
		"token":           {"InvalidAuthenticationToken", 401, users, entra.CauseTokenRejected},
		"expired":         {"Authentication_ExpiredToken", 401, users, entra.CauseTokenRejected},
		"throttled":       {"TooManyRequests", 429, users, entra.CauseThrottled},
		"unknown 429":     {"UnknownError", 429, users, entra.CauseThrottled},
		"activity":        {"activityLimitReached", 429, users, entra.CauseThrottled},
		"unavailable":     {"ServiceUnavailable", 503, users, entra.CauseTransient},
		"unknown 503":     {"UnknownError", 503, users, entra.CauseTransient},
		"gateway timeout": {"UnknownError", 504, users, entra.CauseTransient},
		"not found":       {"Request_ResourceNotFound", 404, users, entra.CauseNotFound},
		"no mailbox":      {"MailboxNotEnabledForRESTAPI", 404, users, entra.CauseNotFound},
		"bad filter":      {"BadRequest", 400, users, entra.CauseBadRequest},
		"bad query":       {"Request_UnsupportedQuery", 400, users, entra.CauseBadRequest},
		"not supported":   {"NotImplemented", 501, users, entra.CauseBadRequest},
		"skip token":      {"BadRequest", 400, entra.Request{URL: link, Workload: budget.Reports}, entra.CauseSkipTokenInvalid},
		"page token":      {"Directory_ExpiredPageToken", 400, users, entra.CauseSkipTokenInvalid},
		"page token gone": {"DirectoryPageTokenNotFoundException", 400, users, entra.CauseSkipTokenInvalid},
		"sync state":      {"syncStateNotFound", 400, users, entra.CauseSyncStateExpired},
		"sync invalid":    {"SyncStateInvalid", 400, users, entra.CauseSyncStateExpired},
		"resync":          {"resyncRequired", 410, users, entra.CauseSyncStateExpired},
		"gone":            {"", 410, users, entra.CauseSyncStateExpired},
		"no Intune":       {"BadRequest", 400, entra.Request{Path: "/v1.0/deviceManagement", Workload: budget.Intune}, entra.CauseNotApplicable},
		"teapot":          {"Teapot", 418, users, entra.CauseUnknown},
	}
	w := newWorld(t)
	w.server.Roles = []string{"AuditLog.Read.All"}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.server.Graph = fake.Fail(tc.code, tc.status)
			if tc.request.URL != "" {
				tc.request.URL = w.server.URL + link
			}
			fault := w.fault(t, tc.request)
			require.Equal(t, tc.cause, fault.Cause)
			require.Equal(t, tc.code, fault.Code)
			require.Equal(t, tc.status, fault.Status)
			require.Equal(t, "deadbeef-0000-0000-0000-000000000000", fault.RequestID)
			switch tc.cause {
			case entra.CausePermissionMissing:
				require.Equal(t, []string{"User.Read.All"}, fault.Permission)
			case entra.CauseLicenceMissing:
				require.Equal(t, "P1", fault.Licence)
			case entra.CauseNotApplicable:
				require.Equal(t, "Intune", fault.Licence)
			default:
			}
		})
	}
}

func TestATokenWithoutRolesIsMissingConsent(t *testing.T) {
	w := newWorld(t)
	w.server.Graph = fake.Fail("Authorization_RequestDenied", http.StatusForbidden)
	require.Equal(t, entra.CauseConsentMissing, w.fault(t, users).Cause)
}

func TestNetworkFailuresAreToldApart(t *testing.T) {
	fails := func(err error) http.RoundTripper {
		return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
	}
	w := newWorld(t)
	endpoints := w.server.Endpoints(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "https://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	untrusting := endpoints
	untrusting.RootCAs = nil
	refusing := endpoints
	refusing.AuthorityURL = closed
	strange := untrusting.Transport()
	plain := endpoints.Transport()
	t.Cleanup(strange.CloseIdleConnections)
	cases := map[string]struct {
		endpoints entra.Endpoints
		transport http.RoundTripper
		cause     entra.Cause
	}{
		"dns":     {endpoints, fails(&net.DNSError{Err: "no such host", Name: "login", IsNotFound: true}), entra.CauseNetworkDNS},
		"tls":     {endpoints, strange, entra.CauseNetworkTLS},
		"refused": {refusing, plain, entra.CauseNetworkRefused},
		"timeout": {endpoints, fails(context.DeadlineExceeded), entra.CauseNetworkTimeout},
		"reset":   {endpoints, fails(net.ErrClosed), entra.CauseNetwork},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			credential, err := entra.NewCredential(spec(), tc.endpoints, tc.transport)
			require.NoError(t, err)
			client, err := entra.NewClient(entra.ClientSettings{
				Credential: credential, Endpoints: tc.endpoints, Transport: tc.transport, MaxAttempts: 1,
			})
			require.NoError(t, err)
			_, err = client.Get(t.Context(), users)
			w.clean(t, err)
			require.Equal(t, tc.cause, entra.Classify(err).Cause)
		})
	}
}

func TestEveryCauseHasWords(t *testing.T) {
	seen := map[entra.Cause]bool{}
	for _, cause := range entra.Causes() {
		require.False(t, seen[cause], cause)
		seen[cause] = true
		require.NotEmpty(t, cause.Headline(), cause)
		require.NotEmpty(t, cause.Remedy(), cause)
		require.Equal(t, strings.ToLower(string(cause)), string(cause))
	}
	require.Len(t, seen, 36)
	require.NotEmpty(t, entra.Cause("new").Remedy())
	require.Nil(t, entra.Classify(nil))
}
