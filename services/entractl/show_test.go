package entractl_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entractl"
)

const shown = `Integration     contoso
Name            Contoso?[31m
Tenant          8b7e6c5d-1111-4222-8333-444455556666
Application     51c0aaaa-1111-4222-8333-444455556666
Cloud           global
Permissions     read_only
Credential      client secret, set 2026-11-28 08:00Z
Confirmed       has P1
Turned off      risky_user
Changed         2026-11-28 08:00Z
State           stalled

DATA TYPE           ENABLED  COVERED FROM       COVERED UNTIL      LAST SUCCESS       STALLED  ROWS       PROBLEM
signin.interactive  yes      2026-11-28 08:00Z  2026-11-28 08:04Z  2026-11-28 08:05Z  -        1,234,567  -
audit               yes      -                  -                  2026-11-28 08:02Z  stalled  0          The permission was taken away (Authorization_RequestDenied)
provisioning        no       -                  -                  -                  -        3          -
risk_detection      no       -                  -                  -                  -        0          licence missing: needs P2
risky_user          no       -                  -                  -                  -        0          turned off
users               yes      -                  2026-11-28 08:05Z  2026-11-28 08:05Z  -        2,000      -
role_assignments    yes      -                  2026-11-28 08:04Z  2026-11-28 08:04Z  -        40         -
conditional_access  no       -                  -                  -                  -        0          permission missing: needs Policy.Read.All

What helps:
  audit: Give consent again.
  risk_detection: Buy P2, or leave it.
  conditional_access: Add Policy.Read.All and consent.

Last test 2026-11-28 08:01Z: Connected!

ACTION               ALLOWED  MISSING
log_out_user         no       User.RevokeSessions.All
confirm_compromised  no       IdentityRiskyUser.ReadWrite.All, licence P2
reset_mfa            yes
`

func TestShow(t *testing.T) {
	s := newServer(t)
	s.saved = []*controlv1.Integration{contoso(), hub()}
	require.Equal(t, result{stdout: shown}, s.run(t.Context(), "integration", "show", "contoso"))
	require.Equal(t, result{stdout: `Integration     hub
Event Hub       contoso.servicebus.windows.net/logs
Consumer group  $Default
Tenants         8b7e6c5d-1111-4222-8333-444455556666
Changed         -
State           new

The collector has not seen it yet.
`}, s.run(t.Context(), "integrations", "show", "hub"))
	require.Equal(t, result{1, "", "entractl: there is no such integration (TEST)\nWhat helps: list them to see which there are\n"},
		s.run(t.Context(), "integration", "show", "nope"))
}

func TestShowWhyNothingIsCollected(t *testing.T) {
	s := newServer(t)
	i := contoso()
	i.Status = &controlv1.IntegrationStatus{Problem: refused().GetProblem()}
	s.saved = []*controlv1.Integration{i}
	got := s.run(t.Context(), "integration", "show", "contoso")
	require.Contains(t, got.stdout, "State           problem\n\nNothing is collected: The client secret has expired (AADSTS7000222)\n"+
		"What helps: Add a new secret.\nMicrosoft's request id: trace-1\n")
}

func TestList(t *testing.T) {
	s := newServer(t)
	require.Equal(t, result{stderr: "entractl: there are no integrations yet; `entractl integration guide` says how to begin\n"},
		s.run(t.Context(), "integration", "list"))
	require.Equal(t, result{stdout: "[]\n"}, s.run(t.Context(), "integration", "list", "-o", "json"))
	disabled := hub()
	disabled.Name, disabled.Disabled = "integrations/old", true
	s.saved = []*controlv1.Integration{contoso(), hub(), disabled}
	require.Equal(t, result{stdout: `ID       NAME          TYPE       READS                                 STATE     DATA TYPES  LAST SUCCESS
contoso  Contoso?[31m  entra      8b7e6c5d-1111-4222-8333-444455556666  stalled   4 enabled   2026-11-28 08:05Z
hub      -             event_hub  contoso.servicebus.windows.net/logs   new       0 enabled   -
old      -             event_hub  contoso.servicebus.windows.net/logs   disabled  0 enabled   -
`}, s.run(t.Context(), "integration", "list"))
}

// What was never permitted is a choice; what is not permitted any more is a problem.
func TestStateOfAnIntegration(t *testing.T) {
	for name, tc := range map[string]struct {
		of   *controlv1.DataTypeStatus
		want string
	}{
		"never permitted":    {&controlv1.DataTypeStatus{Problem: &controlv1.Problem{Cause: "permission_missing"}}, "ok"},
		"never bought":       {&controlv1.DataTypeStatus{Problem: &controlv1.Problem{Cause: "licence_missing"}}, "ok"},
		"permitted once":     {&controlv1.DataTypeStatus{Problem: &controlv1.Problem{Cause: "permission_missing"}, CoveredUntil: minute(1)}, "problem"},
		"permitted till now": {&controlv1.DataTypeStatus{Problem: &controlv1.Problem{Cause: "permission_missing"}, LastSuccessTime: minute(1)}, "problem"},
		"no delta":           {&controlv1.DataTypeStatus{Problem: &controlv1.Problem{Cause: "whole_reading"}, CoveredUntil: minute(1)}, "ok"},
		"away":               {&controlv1.DataTypeStatus{Problem: &controlv1.Problem{Cause: "unreachable"}}, "problem"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			i := contoso()
			tc.of.DataType, tc.of.Enabled = "role_eligibility", true
			i.Status.DataTypes = []*controlv1.DataTypeStatus{tc.of}
			s.saved = []*controlv1.Integration{i}
			got := s.run(t.Context(), "integration", "show", "contoso")
			require.Contains(t, got.stdout, "\nState           "+tc.want+"\n")
		})
	}
}

func TestTest(t *testing.T) {
	s := newServer(t)
	s.report = connected()
	require.Equal(t, result{stdout: connectedText}, s.run(t.Context(), "integration", "test", "contoso"))
	requireRequests(t, s, &controlv1.TestConnectionRequest{Name: "integrations/contoso"})
	s.report = refused()
	require.Equal(t, result{1, refusedText, "entractl: not connected\n"}, s.run(t.Context(), "integration", "test", "contoso"))
	got := s.run(t.Context(), "integration", "test", "contoso", "-o", "json")
	require.Equal(t, 1, got.code)
	var report controlv1.ConnectionReport
	require.NoError(t, protojson.Unmarshal([]byte(got.stdout), &report))
	require.Empty(t, cmp.Diff(refused(), &report, protocmp.Transform()))
}

func TestRuns(t *testing.T) {
	s := newServer(t)
	require.Equal(t, result{stderr: "entractl: there are no runs yet\n"}, s.run(t.Context(), "integration", "runs", "contoso"))
	s.runs = []*controlv1.Run{runAt(running, 3), partlySucceeded(), succeeded()}
	require.Equal(t, result{stdout: `RUN  TRIGGER  STATE             ASKED FOR          TOOK   ROWS    WINDOWS  FAILED
r1   initial  running           2026-11-28 08:00Z  -      3,003   6/20     -
r1   initial  partly succeeded  2026-11-28 08:00Z  2m00s  10,010  20/20    audit
`}, s.run(t.Context(), "integration", "runs", "contoso", "--limit", "2"))
}

func TestOutputForMachines(t *testing.T) {
	s := newServer(t)
	s.saved, s.runs = []*controlv1.Integration{contoso(), hub()}, []*controlv1.Run{succeeded()}
	for _, command := range []string{"list", "show contoso", "runs contoso"} {
		args := append([]string{"integration"}, strings.Fields(command)...)
		text := s.run(t.Context(), append(args, "-o", "json")...)
		require.Equal(t, 0, text.code)
		require.True(t, json.Valid([]byte(text.stdout)), text.stdout)
		require.NotContains(t, text.stdout, `\u001b`)
		lines := s.run(t.Context(), append(args, "-o", "yaml")...)
		require.Equal(t, 0, lines.code)
		require.NotContains(t, lines.stdout, "\x1b")
		require.Equal(t, 2, s.run(t.Context(), append(args, "-o", "xml")...).code)
	}
	require.Equal(t, `name: integrations/hub
event_hub:
  namespace: contoso.servicebus.windows.net
  hub: logs
  tenant_ids:
  - 8b7e6c5d-1111-4222-8333-444455556666
etag: "1"
`, s.run(t.Context(), "integration", "show", "hub", "-o", "yaml").stdout)
}

func TestColours(t *testing.T) {
	s := newServer(t)
	s.report = refused()
	p := entractl.Process{Args: []string{"integration", "test", "contoso"}, Terminal: entractl.Terminal{Out: true}}
	env := map[string]string{"ENTRAFLOW_SERVER": s.address, "ENTRAFLOW_TOKEN_FILE": s.tokenFile}
	require.Contains(t, start(t.Context(), env, p).stdout, "\x1b[31mThe client secret has expired\x1b[0m\n")
	env["NO_COLOR"] = "1"
	require.Equal(t, refusedText, start(t.Context(), env, p).stdout)
}
