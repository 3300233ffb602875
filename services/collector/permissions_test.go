package collector_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/collector"
	simulated "github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// ask asks whether a connection works, as the gateway does.
func (w *world) ask(i *controlv1.Integration, c *controlv1.Credential) *statev1.TestResponse {
	w.tb.Helper()
	const purpose = "test_connection"
	sealed, err := integrations.SealCredential(context.Background(), w.sealer, c, purpose)
	require.NoError(w.tb, err)
	answer := &statev1.TestResponse{}
	question := &statev1.TestRequest{Integration: i, SealedCredential: sealed, Context: purpose}
	require.NoError(w.tb, bus.Ask(context.Background(), w.gateway, bus.QuestionTestConnection, question, answer))
	return answer
}

// requirePlain checks that an answer holds no secret and no token.
func requirePlain(t *testing.T, answer *statev1.TestResponse, secrets ...string) {
	t.Helper()
	text, err := protojson.Marshal(answer)
	require.NoError(t, err)
	for _, s := range append(secrets, secret, "eyJ", "Bearer", "PRIVATE") {
		require.NotContains(t, string(text), s)
	}
}

// without returns the permissions to read but for some.
func without(permissions ...string) (some []string) {
	for _, p := range simulated.ReadPermissions() {
		keep := true
		for _, not := range permissions {
			keep = keep && p != not
		}
		if keep {
			some = append(some, p)
		}
	}
	return some
}

// TestEveryLicenceAndPermissionError drives those of graph.md §2 through the question, data type by data type.
func TestEveryLicenceAndPermissionError(t *testing.T) {
	t.Parallel()
	const (
		available  = controlv1.Availability_AVAILABILITY_AVAILABLE
		licence    = controlv1.Availability_AVAILABILITY_LICENCE_MISSING
		permission = controlv1.Availability_AVAILABILITY_PERMISSION_MISSING
		consent    = controlv1.Availability_AVAILABILITY_CONSENT_MISSING
		faulty     = controlv1.Availability_AVAILABILITY_ERROR
	)
	type answers map[string]controlv1.Availability
	signIns := func(a controlv1.Availability, more answers) answers {
		if more == nil {
			more = answers{}
		}
		for _, log := range []string{tenant.Interactive, tenant.NonInteractive, tenant.ServicePrincipal, tenant.ManagedIdentity} {
			more[log] = a
		}
		return more
	}
	all := signIns(consent, answers{tenant.Audit: consent, tenant.Provisioning: consent, tenant.RiskDetection: consent, tenant.RiskyUser: consent, "users": consent})
	overloaded := signIns(faulty, answers{tenant.Audit: faulty, tenant.RiskDetection: faulty, "users": faulty})
	cases := map[string]struct {
		licence   tenant.Licence
		trap      bool
		consents  []string
		fault     *simulated.Fault
		want      answers
		connected bool
		cause     entra.Cause // of interactive sign-ins, or of the one that is missing
	}{
		"everything": {licence: tenant.P2, want: signIns(available, answers{tenant.RiskyUser: available}), connected: true},
		"free": {
			licence: tenant.Free, connected: true, cause: entra.CauseLicenceMissing,
			want: signIns(licence, answers{tenant.Audit: available, tenant.RiskDetection: licence, tenant.RiskyUser: licence, "users": available}),
		},
		"P1": {
			licence: tenant.P1, connected: true, cause: entra.CauseLicenceMissing,
			want: signIns(available, answers{tenant.Audit: available, tenant.RiskyUser: licence}),
		},
		"no consent": {licence: tenant.P2, consents: []string{}, want: all, cause: entra.CauseConsentMissing},
		"no AuditLog.Read.All": {
			licence: tenant.P2, consents: without("AuditLog.Read.All"), connected: true, cause: entra.CausePermissionMissing,
			want: signIns(permission, answers{tenant.Audit: available, "users": available}),
		},
		"no risk permissions": {
			licence: tenant.P2, consents: without("IdentityRiskEvent.Read.All", "IdentityRiskyUser.Read.All"), connected: true,
			want:  signIns(available, answers{tenant.RiskDetection: permission, tenant.RiskyUser: permission}),
			cause: entra.CausePermissionMissing,
		},
		"audits alone": {
			licence: tenant.Free, consents: []string{"AuditLog.Read.All"}, cause: entra.CauseLicenceMissing,
			want: answers{tenant.Audit: available, "users": permission},
		},
		"the licence trap": {
			licence: tenant.P1, trap: true, consents: []string{"AuditLog.Read.All", "LicenseAssignment.Read.All"},
			want: signIns(permission, answers{tenant.Audit: available}), cause: entra.CausePermissionMissing,
		},
		"throttled":   {licence: tenant.P2, fault: &simulated.Fault{Kind: "throttle", Path: "/"}, want: overloaded, cause: entra.CauseThrottled},
		"unavailable": {licence: tenant.P2, fault: &simulated.Fault{Kind: "unavailable"}, want: overloaded, cause: entra.CauseTransient},
		"HTML":        {licence: tenant.P2, fault: &simulated.Fault{Kind: "bad_gateway"}, want: overloaded, cause: entra.CauseGatewayHTML},
		"cut":         {licence: tenant.P2, fault: &simulated.Fault{Kind: "cut"}, want: overloaded, cause: entra.CauseNetwork},
		"token refused": {
			licence: tenant.P2, fault: &simulated.Fault{Kind: "unauthorized"}, want: overloaded, cause: entra.CauseTokenRejected,
		},
	}
	w := newWorld(t)
	w.start(w.config())
	eventually(t, "somebody who answers", func() bool {
		return bus.Ask(t.Context(), w.gateway, bus.QuestionTestConnection, &statev1.TestRequest{}, &statev1.TestResponse{}) == nil
	})
	for n, name := range sortedKeys(cases) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc := cases[name]
			cfg := tenantConfig(uint64(100 + n))
			cfg.Licence, cfg.LicenceTrap = tc.licence, tc.trap
			tenantID := w.addTenant(cfg)
			if tc.consents != nil {
				require.NoError(t, w.sim.SetConsents(clientID, tenantID, tc.consents))
			}
			if tc.fault != nil {
				f := *tc.fault
				f.Tenant = tenantID
				if f.Path == "" || f.Path == "/" {
					for _, path := range []string{"/v1.0/", "/beta/"} { // Graph's, and not the login's
						f.Path = path
						_, err := w.sim.InjectFault(f)
						require.NoError(t, err)
					}
				}
			}
			answer := w.ask(integration(tenantID), clientSecret(secret))
			report := answer.GetReport()
			require.Equal(t, tc.connected, report.GetConnected(), report.GetHeadline())
			require.Equal(t, tc.connected, report.GetHeadline() == "Connected!")
			require.Equal(t, tc.connected, report.GetProblem() == nil)
			got := answers{}
			var causes []string
			for _, d := range report.GetDataTypes() {
				got[d.GetDataType()] = d.GetAvailability()
				if d.GetAvailability() == available {
					require.Equal(t, d.GetDataType() != "users", d.GetEnabled(), "what is tested only is not collected")
					require.Nil(t, d.GetProblem())
					continue
				}
				causes = append(causes, d.GetProblem().GetCause())
				require.NotEmpty(t, d.GetProblem().GetDetail(), d.GetDataType())
				require.NotEmpty(t, d.GetProblem().GetRemedy(), d.GetDataType())
			}
			for id, want := range tc.want {
				require.Equal(t, want.String(), got[id].String(), id)
			}
			if tc.cause != "" {
				require.Contains(t, causes, string(tc.cause))
			}
			require.NotEmpty(t, report.GetActions())
			requirePlain(t, answer)
		})
	}
}

func TestACredentialThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.config())
	other, err := seal.Open(t.Context(), seal.Config{KeyFile: filepath.Join(t.TempDir(), "other.key")})
	require.NoError(t, err)
	defer other.Close()
	for name, sealer := range map[string]*seal.Sealer{"another key": other, "another purpose": w.sealer} {
		sealed, err := integrations.SealCredential(t.Context(), sealer, clientSecret(secret), "test_connection")
		require.NoError(t, err)
		answer := &statev1.TestResponse{}
		question := &statev1.TestRequest{Integration: integration("11111111-2222-3333-4444-555555555555"), SealedCredential: sealed, Context: "other"}
		if sealer == other {
			question.Context = "test_connection"
		}
		eventually(t, "an answer", func() bool {
			return bus.Ask(t.Context(), w.gateway, bus.QuestionTestConnection, question, answer) == nil
		})
		require.Equal(t, collector.FaultSealed, answer.GetFault(), name)
		require.Nil(t, answer.GetReport())
	}
}
