package gateway_test

import (
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/oidc"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

// issuer is the simulator's login, which signs people in.
type issuer struct {
	sim    *entra.Server
	url    string // of the tenant's issuer
	tenant string
	caFile string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	sim, err := entra.New(entra.DefaultConfig(), entra.Settings{Clock: clock.Real()})
	require.NoError(t, err)
	server := httptest.NewTLSServer(sim)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	var c entra.TenantConfig
	c.SetDefaults()
	c.Users, c.Days = 100, 1
	tenant, err := sim.AddTenant(c)
	require.NoError(t, err)
	i := &issuer{sim: sim, url: server.URL + "/" + tenant + "/v2.0", tenant: tenant, caFile: filepath.Join(t.TempDir(), "ca.pem")}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(i.caFile, text, 0o600))
	return i
}

// trust makes a gateway trust the issuer.
func (i *issuer) trust(c *gateway.Config) {
	o := &c.Auth.OIDC
	o.Issuer, o.CAFile, o.Audience = i.url, i.caFile, []string{"e0f10000-0000-4000-8000-000000000001"}
	o.Keys.Refetch = time.Second
	o.Roles = map[string]oidc.RoleConfig{
		"Entraflow.Admin":    {Role: oidc.RoleAdmin, Tenants: []string{oidc.AllTenants}},
		"Entraflow.HelpDesk": {Role: oidc.RoleHelpDesk, Tenants: []string{tenantA}},
		"Entraflow.Reader":   {Role: oidc.RoleReadOnly, Tenants: []string{tenantA, tenantB}},
	}
}

// mint returns an access token of a person, with changed claims.
func (i *issuer) mint(t *testing.T, person string, claims map[string]any) string {
	t.Helper()
	token, err := i.sim.IssuePerson(entra.PersonToken{
		Tenant: i.tenant, Username: person, Issuer: i.url, Version: 2, Claims: claims,
	})
	require.NoError(t, err)
	return token
}

// person returns who has the app role; empty: who has none.
func (i *issuer) person(t *testing.T, role string) string {
	t.Helper()
	for _, p := range i.sim.People() {
		if role == "" && len(p.Roles) == 0 || len(p.Roles) == 1 && p.Roles[0] == role {
			return p.Username
		}
	}
	require.FailNow(t, "nobody has the role", role)
	return ""
}

func TestPeopleMayWhatTheirRolesSay(t *testing.T) {
	i := newIssuer(t)
	w := newWorld(t, unbounded, i.trust)
	matrix := expected(t)
	for role, appRole := range map[controlv1.Role]string{
		controlv1.Role_ROLE_READ_ONLY: "Entraflow.Reader", controlv1.Role_ROLE_HELP_DESK: "Entraflow.HelpDesk",
		controlv1.Role_ROLE_ADMIN: "Entraflow.Admin", controlv1.Role_ROLE_UNSPECIFIED: "",
	} {
		token := i.mint(t, i.person(t, appRole), nil)
		for transport, call := range w.transports(t) {
			t.Run(appRole+"/"+transport, func(t *testing.T) {
				for _, method := range w.methods(t) {
					code := call(t.Context(), token, method)
					if matrix[method][role] {
						require.NotContains(t, []codes.Code{codes.Unauthenticated, codes.PermissionDenied}, code, method)
					} else {
						require.Equal(t, codes.PermissionDenied, code, method)
					}
				}
			})
		}
	}
	who, err := controlv1.NewSystemServiceClient(w.dial(t, i.mint(t, i.person(t, "Entraflow.HelpDesk"), nil))).
		GetCaller(t.Context(), &controlv1.GetCallerRequest{})
	require.NoError(t, err)
	require.Equal(t, controlv1.CredentialKind_CREDENTIAL_KIND_OIDC, who.GetCredential())
	require.Equal(t, []string{tenantA}, who.GetGrants()[0].GetTenantIds())
	require.NotNil(t, who.GetExpireTime())
}

func TestTokensOfPeopleThatAreNotGood(t *testing.T) {
	i := newIssuer(t)
	w := newWorld(t, unbounded, i.trust)
	admin := i.person(t, "Entraflow.Admin")
	now := time.Now()
	for name, tc := range map[string]struct {
		claims map[string]any
		reason string
	}{
		"expired":                {map[string]any{"exp": now.Add(-2 * time.Minute).Unix()}, "TOKEN_EXPIRED"},
		"expired within skew":    {map[string]any{"exp": now.Add(-30 * time.Second).Unix()}, ""},
		"not yet valid":          {map[string]any{"nbf": now.Add(2 * time.Minute).Unix()}, "TOKEN_NOT_YET_VALID"},
		"valid soon, in skew":    {map[string]any{"nbf": now.Add(30 * time.Second).Unix()}, ""},
		"wrong audience":         {map[string]any{"aud": "00000003-0000-0000-c000-000000000000"}, "TOKEN_AUDIENCE"},
		"wrong issuer":           {map[string]any{"iss": "https://login.example.com/v2.0"}, "TOKEN_ISSUER"},
		"no time of expiry":      {map[string]any{"exp": nil}, "TOKEN_MALFORMED"},
		"roles that are text":    {map[string]any{"roles": "Entraflow.Admin Entraflow.Reader"}, "ROLE_MISSING"},
		"roles that are no text": {map[string]any{"roles": 7}, "ROLE_MISSING"},
	} {
		t.Run(name, func(t *testing.T) {
			token := i.mint(t, admin, tc.claims)
			for transport, call := range w.transports(t) {
				code := call(t.Context(), token, controlv1.IntegrationService_ListIntegrations_FullMethodName)
				if tc.reason == "" {
					require.Equal(t, codes.OK, code, transport)
				} else {
					require.NotEqual(t, codes.OK, code, transport)
				}
			}
			err := call(bearer(t.Context(), token), w.dial(t, ""), controlv1.IntegrationService_ListIntegrations_FullMethodName)
			if tc.reason != "" {
				require.Equal(t, tc.reason, reason(t, err))
			}
		})
	}
}

func TestKeysOfTheIssuerRotate(t *testing.T) {
	i := newIssuer(t)
	w := newWorld(t, unbounded, i.trust)
	admin := i.person(t, "Entraflow.Admin")
	ask := func(token string) codes.Code {
		return status.Code(call(bearer(t.Context(), token), w.dial(t, ""), controlv1.SystemService_GetCaller_FullMethodName))
	}
	old := i.mint(t, admin, nil)
	require.Equal(t, codes.OK, ask(old))
	i.sim.RotateKeys(time.Hour)
	fresh := i.mint(t, admin, nil)
	require.Eventually(t, func() bool { return ask(fresh) == codes.OK }, patience, 50*time.Millisecond, "a new key is found")
	require.Equal(t, codes.OK, ask(old), "the old one is still told")
	i.sim.RotateKeys(0)
	newest := i.mint(t, admin, nil)
	require.Eventually(t, func() bool { return ask(newest) == codes.OK }, patience, 50*time.Millisecond)
	require.Equal(t, codes.Unauthenticated, ask(fresh), "its key was taken back")
	require.Equal(t, codes.Unauthenticated, ask(old))

	i.sim.SetSkew(2 * time.Minute)
	require.Equal(t, codes.Unauthenticated, ask(i.mint(t, admin, nil)), "an issuer whose clock is two minutes ahead")
	i.sim.SetSkew(-30 * time.Second)
	require.Equal(t, codes.OK, ask(i.mint(t, admin, nil)))
}
