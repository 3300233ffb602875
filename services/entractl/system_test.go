package entractl_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// system answers as a test says.
type system struct {
	controlv1.UnimplementedApiTokenServiceServer
	controlv1.UnimplementedAuditServiceServer
	controlv1.UnimplementedSystemServiceServer

	status      *controlv1.GetStatusResponse
	caller      *controlv1.GetCallerResponse
	tokens      []*controlv1.ApiToken
	createToken func(*controlv1.CreateApiTokenRequest) (*controlv1.CreateApiTokenResponse, error)
	listAudit   func(*controlv1.ListAuditEntriesRequest) (*controlv1.ListAuditEntriesResponse, error)
}

func (s *system) GetStatus(context.Context, *controlv1.GetStatusRequest) (*controlv1.GetStatusResponse, error) {
	return s.status, nil
}

func (s *system) GetCaller(context.Context, *controlv1.GetCallerRequest) (*controlv1.GetCallerResponse, error) {
	return s.caller, nil
}

func (s *system) CreateApiToken(_ context.Context, req *controlv1.CreateApiTokenRequest) (*controlv1.CreateApiTokenResponse, error) { //nolint:staticcheck // as the proto names it
	return s.createToken(req)
}

func (s *system) ListApiTokens(context.Context, *controlv1.ListApiTokensRequest) (*controlv1.ListApiTokensResponse, error) { //nolint:staticcheck // as the proto names it
	return &controlv1.ListApiTokensResponse{ApiTokens: s.tokens}, nil
}

func (s *system) GetApiToken(_ context.Context, req *controlv1.GetApiTokenRequest) (*controlv1.GetApiTokenResponse, error) { //nolint:staticcheck // as the proto names it
	for _, k := range s.tokens {
		if k.GetName() == req.GetName() {
			return &controlv1.GetApiTokenResponse{ApiToken: k}, nil
		}
	}
	return nil, refuse(codes.NotFound, "there is no such token", "list them")
}

func (s *system) RevokeApiToken(ctx context.Context, req *controlv1.RevokeApiTokenRequest) (*controlv1.RevokeApiTokenResponse, error) { //nolint:staticcheck // as the proto names it
	found, err := s.GetApiToken(ctx, &controlv1.GetApiTokenRequest{Name: req.GetName()})
	if err != nil {
		return nil, err
	}
	found.GetApiToken().RevokeTime = at(9)
	return &controlv1.RevokeApiTokenResponse{ApiToken: found.GetApiToken()}, nil
}

func (s *system) ListAuditEntries(_ context.Context, req *controlv1.ListAuditEntriesRequest) (*controlv1.ListAuditEntriesResponse, error) {
	return s.listAudit(req)
}

func apiTokens() []*controlv1.ApiToken {
	return []*controlv1.ApiToken{
		{
			Name: "api-tokens/4k2", DisplayName: "nightly", Owner: "ada", Role: controlv1.Role_ROLE_READ_ONLY, AllTenants: true,
			CreateTime: at(0), ExpireTime: timestamppb.New(time.Date(2226, 1, 1, 0, 0, 0, 0, time.UTC)), LastUseTime: at(5),
		},
		{
			Name: "api-tokens/7x", DisplayName: "old", Owner: "bob", Role: controlv1.Role_ROLE_ADMIN, TenantIds: []string{"t1"},
			Scopes: []string{"EventService"}, CreateTime: at(0), ExpireTime: timestamppb.New(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)),
		},
	}
}

const apiSecret = "eft_0123456789"

// making answers CreateApiToken and keeps what was asked for.
func making(asked **controlv1.CreateApiTokenRequest) func(*controlv1.CreateApiTokenRequest) (*controlv1.CreateApiTokenResponse, error) {
	return func(req *controlv1.CreateApiTokenRequest) (*controlv1.CreateApiTokenResponse, error) {
		*asked = req
		made := apiTokens()[0]
		return &controlv1.CreateApiTokenResponse{ApiToken: made, Secret: apiSecret}, nil
	}
}

func TestATokenIsShownOnce(t *testing.T) {
	s := newServer(t)
	var asked *controlv1.CreateApiTokenRequest
	s.createToken = making(&asked)
	got := s.run(t.Context(), "token", "create", "nightly", "--role", "help-desk", "--tenant", "t1,t2", "--scope", "SignInService", "--expires", "30d")
	require.Equal(t, result{
		0, apiSecret + "\n",
		"entractl: token 4k2 (nightly): read_only for all tenants, until 2226-01-01 00:00Z\nentractl: its secret is shown this once:\n",
	}, got)
	require.WithinDuration(t, time.Now().Add(30*24*time.Hour), asked.GetApiToken().GetExpireTime().AsTime(), time.Minute)
	asked.GetApiToken().ExpireTime = nil
	require.Empty(t, gocmp.Diff(&controlv1.ApiToken{
		DisplayName: "nightly", Role: controlv1.Role_ROLE_HELP_DESK, TenantIds: []string{"t1", "t2"}, Scopes: []string{"SignInService"},
	}, asked.GetApiToken(), protocmp.Transform()))

	asJSON := s.run(t.Context(), "token", "create", "nightly", "-o", "json")
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(asJSON.stdout), &answer))
	require.Equal(t, apiSecret, answer["secret"])
	require.Empty(t, asJSON.stderr)
	require.Equal(t, controlv1.Role_ROLE_READ_ONLY, asked.GetApiToken().GetRole())
	require.Nil(t, asked.GetApiToken().GetExpireTime())
}

func TestATokenInAFile(t *testing.T) {
	s := newServer(t)
	var asked *controlv1.CreateApiTokenRequest
	s.createToken = making(&asked)
	file := filepath.Join(t.TempDir(), "secret")
	got := s.run(t.Context(), "token", "create", "nightly", "--secret-file", file)
	require.Equal(t, 0, got.code, got.stderr)
	require.NotContains(t, got.stdout+got.stderr, apiSecret)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, apiSecret+"\n", string(text))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	asked = nil
	again := s.run(t.Context(), "token", "create", "nightly", "--secret-file", file, "-o", "json")
	require.Equal(t, 2, again.code)
	require.Nil(t, asked, "no token is made whose secret cannot be kept")

	s.createToken = func(*controlv1.CreateApiTokenRequest) (*controlv1.CreateApiTokenResponse, error) {
		return nil, refuse(codes.FailedPrecondition, "the caller uses an API token", "")
	}
	other := filepath.Join(t.TempDir(), "other")
	require.Equal(t, 1, s.run(t.Context(), "token", "create", "nightly", "--secret-file", other).code)
	require.NoFileExists(t, other)
}

func TestTokens(t *testing.T) {
	s := newServer(t)
	s.tokens = apiTokens()
	require.Equal(t, result{stdout: `ID   NAME     OWNER  ROLE       TENANTS      SCOPES        STATE    ENDS               LAST USED
4k2  nightly  ada    read_only  all tenants  all           ok       2226-01-01 00:00Z  2026-11-24 12:05Z
7x   old      bob    admin      t1           EventService  expired  2020-01-01 00:00Z  -
`}, s.run(t.Context(), "token", "list"))
	require.Equal(t, result{stdout: `Token      7x
Name       old
Owner      bob
Role       admin for t1
Only for   EventService
State      expired
Made       2026-11-24 12:00Z
Ends       2020-01-01 00:00Z
Last used  -
`}, s.run(t.Context(), "token", "show", "api-tokens/7x"))
	// Completion offers those that are of use.
	require.Equal(t, "4k2\tnightly\n:4\n", s.run(t.Context(), "__complete", "token", "revoke", "").stdout)

	require.Equal(t, result{2, "", "entractl: nobody can be asked here: say --yes to go on without\nRun 'entractl --help' for usage.\n"},
		s.run(t.Context(), "token", "revoke", "4k2"))
	require.Nil(t, s.tokens[0].GetRevokeTime())
	require.Equal(t, result{0, "", "entractl: token 4k2 (nightly) is revoked\n"}, s.run(t.Context(), "token", "revoke", "4k2", "--yes"))
	require.Contains(t, s.run(t.Context(), "token", "show", "4k2", "-o", "yaml").stdout, "revoke_time: \"2026-11-24T12:09:00.123Z\"\n")
	require.Equal(t, result{1, "", "entractl: there is no such token (TEST)\nWhat helps: list them\n"}, s.run(t.Context(), "token", "show", "9"))
	require.Equal(t, 2, s.run(t.Context(), "token", "show", "NO").code)
}

func TestAuditEntries(t *testing.T) {
	s := newServer(t)
	var asked *controlv1.ListAuditEntriesRequest
	s.listAudit = func(req *controlv1.ListAuditEntriesRequest) (*controlv1.ListAuditEntriesResponse, error) {
		asked = req
		return &controlv1.ListAuditEntriesResponse{AuditEntries: []*controlv1.AuditEntry{
			{
				Id: "r1", Time: at(1), Action: "IntegrationService-DeleteIntegration", Actor: "bob", Target: "integrations/contoso",
				Credential: controlv1.CredentialKind_CREDENTIAL_KIND_OIDC, Code: "PERMISSION_DENIED", Reason: "ROLE_MISSING", Address: "203.0.113.7",
			},
		}}, nil
	}
	got := s.run(t.Context(), "audit", "--actor", "bob", "--action", "IntegrationService.DeleteIntegration", "--target", "integrations/contoso",
		"--failed", "--since", "2026-11-24", "--until", "2026-11-25", "--tenant", "t1", "--limit", "7")
	require.Equal(t, result{stdout: `TIME                      WHO  BY    ACTION                                TARGET                OUTCOME            REASON        ADDRESS      ID
2026-11-24T12:01:00.123Z  bob  oidc  IntegrationService.DeleteIntegration  integrations/contoso  PERMISSION_DENIED  ROLE_MISSING  203.0.113.7  r1
`}, got)
	require.Empty(t, gocmp.Diff(&controlv1.ListAuditEntriesRequest{
		TenantIds: []string{"t1"}, Actor: "bob", Action: "IntegrationService-DeleteIntegration", Target: "integrations/contoso", Failed: new(true),
		Start: timestamppb.New(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)), End: timestamppb.New(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)),
		PageSize: 7,
	}, asked, protocmp.Transform()))
	require.Equal(t, 0, s.run(t.Context(), "audit", "--failed=false").code)
	require.False(t, asked.GetFailed())
	require.NotNil(t, asked.Failed)
	require.Equal(t, 0, s.run(t.Context(), "audit").code)
	require.Nil(t, asked.Failed)
}

func TestStatus(t *testing.T) {
	s := newServer(t)
	s.status = &controlv1.GetStatusResponse{
		Version: "1.2.3", StartTime: timestamppb.New(time.Now().Add(-26 * time.Hour)),
		Dependencies: []*controlv1.Dependency{{Name: "store", Up: true}, {Name: "bus", Problem: "it does not answer"}},
		Streams: []*controlv1.StreamStatus{{
			Name: "EVENTS", Messages: 2000, Bytes: 3 << 29, MaxBytes: 6 << 30, FirstTime: at(1), LastTime: at(2),
			Readers: []*controlv1.StreamReader{{Name: "sink", Unread: 1, Unacknowledged: 3}, {Name: "alerts", Unread: 1500}},
		}, {Name: "AUDIT"}},
	}
	require.Equal(t, result{stdout: `Gateway  1.2.3
Up for   1d2h

NEEDS  STATE  PROBLEM
store  ok     -
bus    down   it does not answer

STREAM  FULL                         SIZE                MESSAGES  OLDEST             NEWEST
EVENTS  [#####...............]  25%  1.5 GiB of 6.0 GiB  2,000     2026-11-24 12:01Z  2026-11-24 12:02Z
AUDIT   -                            0 B                 0         -                  -

STREAM  READER  UNREAD                       MESSAGES  UNSETTLED
EVENTS  sink    [#...................]  <1%  1         3
EVENTS  alerts  [###############.....]  75%  1,500     0
`}, s.run(t.Context(), "status"))
	require.True(t, json.Valid([]byte(s.run(t.Context(), "status", "-o", "json").stdout)))
}

func TestWhoami(t *testing.T) {
	s := newServer(t)
	s.caller = &controlv1.GetCallerResponse{
		Subject: "oidc:ada", DisplayName: "Ada\x07 Lund", Credential: controlv1.CredentialKind_CREDENTIAL_KIND_API_TOKEN, ApiToken: "api-tokens/4k2",
		Grants: []*controlv1.Grant{
			{Role: controlv1.Role_ROLE_ADMIN, TenantIds: []string{"t1", "t2"}}, {Role: controlv1.Role_ROLE_READ_ONLY, AllTenants: true},
		},
		Scopes: []string{"SignInService"}, ExpireTime: at(1),
	}
	require.Equal(t, result{stdout: strings.ReplaceAll(`Subject    oidc:ada
Name       Ada? Lund
Proved by  api token
API token  4k2
Role       admin for t1, t2
Role       read_only for all tenants
Only for   SignInService
Ends       2026-11-24 12:01Z
Gateway    ADDRESS
`, "ADDRESS", s.address)}, s.run(t.Context(), "whoami"))
	s.caller = &controlv1.GetCallerResponse{}
	require.Contains(t, s.run(t.Context(), "whoami").stdout, "Role       none\n")
}
