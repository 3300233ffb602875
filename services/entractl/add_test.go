package entractl_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entractl"
)

const connectedText = `Connected!  Contoso (contoso.example)
Licences seen: P1
Permissions in the token: AuditLog.Read.All, Directory.Read.All

DATA TYPE           COLLECTED  WHAT IT IS                   WHY NOT
signin.interactive  yes        Interactive sign-ins
audit               yes        Directory audits
risk_detection      no         Risk detections              licence missing: needs P2
risky_user          no         Risky users                  licence missing: needs P2
conditional_access  no         Conditional Access policies  permission missing: needs Policy.Read.All

What helps:
  risk_detection, risky_user: Buy P2, or leave it.
  conditional_access: Add Policy.Read.All and consent.

ACTION               ALLOWED  MISSING
log_out_user         no       User.RevokeSessions.All
confirm_compromised  no       IdentityRiskyUser.ReadWrite.All, licence P2
reset_mfa            yes
`

const refusedText = `The client secret has expired
The client secret has expired (AADSTS7000222)
What helps: Add a new secret.
Microsoft's request id: trace-1
`

var addContoso = []string{"integration", "add", "contoso", "--tenant-id", tenantID, "--client-id", clientID}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func secretCredential() *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: secret}}
}

func entraIntegration() *controlv1.Integration {
	return &controlv1.Integration{Connection: &controlv1.Integration_Entra{
		Entra: &controlv1.EntraConnection{TenantId: tenantID, ClientId: clientID},
	}}
}

func requireRequests(t *testing.T, s *server, want ...proto.Message) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, s.kept(), protocmp.Transform()))
}

func TestAddTestsSavesAndFollows(t *testing.T) {
	s := newServer(t)
	directory := succeeded()
	directory.Name = "integrations/contoso/runs/directorysync-initial-1"
	s.report, s.runs, s.watch = connected(), []*controlv1.Run{directory, succeeded()}, sending(nil, succeeded())
	got := s.run(t.Context(), append(addContoso, "--secret-file", file(t, secret+"\n"), "--yes")...)
	require.Equal(t, result{stdout: connectedText + "\nSaved as contoso.\n" +
		"Run r1 succeeded: 10,010 rows of 2 data types in 2m00s, throttled 12s\n"}, got)
	require.Equal(t, "integrations/contoso/runs/r1", s.watched.Load(), "the logs', though the directory's is newer")
	requireRequests(t, s,
		&controlv1.TestConnectionRequest{Integration: entraIntegration(), Credential: secretCredential()},
		&controlv1.CreateIntegrationRequest{IntegrationId: "contoso", Integration: entraIntegration(), Credential: secretCredential()})
}

func TestAddAsksForTheSecretAndTheDataTypes(t *testing.T) {
	s := newServer(t)
	s.report = connected()
	got := s.answering(t.Context(), secret+"\nnope\naudit, audit\nyes\n", append(addContoso, "--no-wait", "--confirm-licence", "p2")...)
	require.Equal(t, 0, got.code, got.stderr)
	require.NotContains(t, got.stdout+got.stderr, secret)
	require.Equal(t, "Client secret, its Value (it is not shown): "+
		"entractl: testing the connection; this takes up to half a minute\n"+
		"\nSave it? [y/N, or data types not to collect, with commas] "+
		"entractl: there is no data type \"nope\"; there are signin.interactive, audit, risk_detection, risky_user, conditional_access\n"+
		"\nSave it? [y/N, or data types not to collect, with commas] "+
		"\nSave it? [y/N, or data types not to collect, with commas] ", got.stderr)
	require.Contains(t, got.stdout, "audit               no         Directory audits             turned off\n")
	require.True(t, strings.HasSuffix(got.stdout, "\nSaved as contoso.\n"+
		"Collecting begins by itself; how it goes says `entractl integration show contoso`.\n"), got.stdout)
	made := entraIntegration()
	made.Confirmation = &controlv1.Confirmation{Licences: []string{"P2"}}
	tested := proto.CloneOf(made)
	made.DisabledDataTypes = []string{"audit"}
	requireRequests(t, s,
		&controlv1.TestConnectionRequest{Integration: tested, Credential: secretCredential()},
		&controlv1.CreateIntegrationRequest{IntegrationId: "contoso", Integration: made, Credential: secretCredential()})
}

func TestAddReadsEveryCredential(t *testing.T) {
	hubFlags := []string{"integration", "add", "hub", "--event-hub", "logs", "--tenants", "any"}
	hubIntegration := &controlv1.Integration{Connection: &controlv1.Integration_EventHub{
		EventHub: &controlv1.EventHubConnection{Hub: "logs", TenantIds: []string{"any"}},
	}}
	password := file(t, "pass word\n")
	cases := map[string]struct {
		args  []string
		stdin string
		want  *controlv1.Credential
	}{
		"standard input": {append(addContoso, "--secret-file", "-"), "  " + secret + "\r\n", secretCredential()},
		"certificate": {
			append(addContoso, "--certificate-file", file(t, "PEM\n"), "--certificate-password-file", password), "",
			&controlv1.Credential{Kind: &controlv1.Credential_Certificate{
				Certificate: &controlv1.ClientCertificate{Data: []byte("PEM\n"), Password: "pass word"},
			}},
		},
		"federated": {
			append(addContoso, "--federated-token-file", "/run/token"), "",
			&controlv1.Credential{Kind: &controlv1.Credential_Federated{Federated: &controlv1.FederatedToken{TokenFile: "/run/token"}}},
		},
		"connection string": {
			append(hubFlags, "--connection-string-file", file(t, "Endpoint=sb://x;SharedAccessKey=k=\n")), "",
			&controlv1.Credential{Kind: &controlv1.Credential_ConnectionString{ConnectionString: "Endpoint=sb://x;SharedAccessKey=k="}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.report = &controlv1.ConnectionReport{Connected: true}
			env := map[string]string{"ENTRAFLOW_SERVER": s.address, "ENTRAFLOW_TOKEN_FILE": s.tokenFile}
			got := start(t.Context(), env, entractl.Process{Args: append(tc.args, "--yes", "--no-wait"), Stdin: strings.NewReader(tc.stdin)})
			require.Equal(t, 0, got.code, got.stderr)
			integration, id := entraIntegration(), "contoso"
			if tc.args[2] == "hub" {
				integration, id = hubIntegration, "hub"
				require.Contains(t, got.stdout, "Records come as Entra writes them")
			}
			requireRequests(t, s, &controlv1.TestConnectionRequest{Integration: integration, Credential: tc.want},
				&controlv1.CreateIntegrationRequest{IntegrationId: id, Integration: integration, Credential: tc.want})
		})
	}
}

func TestAddWaitsForACollectorThatStarts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.report, s.starting = connected(), 1
	got := s.run(t.Context(), append(append([]string{}, addContoso...), "--secret-file", file(t, secret), "--yes", "--no-wait")...)
	require.Equal(t, 0, got.code, got.stderr)
	require.Contains(t, got.stdout, "Saved as contoso.")
	require.Len(t, s.kept(), 3)
}

func TestAddSavesNothingUnasked(t *testing.T) {
	with := func(more ...string) []string { return append(append([]string{}, addContoso...), more...) }
	secretFile := file(t, secret)
	unavailable := refuse(codes.Unimplemented, "connections to Event Hubs cannot be tested yet", "see the log")
	cases := map[string]struct {
		args    []string
		answers string // at a terminal, if any
		report  *controlv1.ConnectionReport
		fault   error
		want    result
		saved   bool
	}{
		"refused": {
			args: with("--secret-file", secretFile, "--yes"), report: refused(),
			want: result{1, refusedText, "entractl: not connected, so nothing was saved; --force saves it all the same\n"},
		},
		"refused, forced": {
			args: with("--secret-file", secretFile, "--yes", "--force"), report: refused(), saved: true,
			want: result{0, refusedText + "\nSaved as contoso.\nCollecting begins by itself; how it goes says `entractl integration show contoso`.\n", ""},
		},
		"no test possible": {
			args: with("--secret-file", secretFile, "--yes"), fault: unavailable,
			want: result{1, "", "entractl: connections to Event Hubs cannot be tested yet (TEST)\nWhat helps: see the log\nNothing was saved; --force saves without a test\n"},
		},
		"no test possible, forced": {
			args: with("--secret-file", secretFile, "--yes", "--force"), fault: unavailable, saved: true,
			want: result{
				0, "\nSaved as contoso.\nCollecting begins by itself; how it goes says `entractl integration show contoso`.\n",
				"entractl: not tested: connections to Event Hubs cannot be tested yet (TEST)\nWhat helps: see the log\n",
			},
		},
		"the test is refused": {
			args: with("--secret-file", secretFile, "--yes", "--force"), fault: refuse(codes.InvalidArgument, "the request is not valid", ""),
			want: result{1, "", "entractl: the request is not valid (TEST)\n"},
		},
		"unknown data type": {
			args: with("--secret-file", secretFile, "--yes", "--without", "nope"), report: connected(),
			want: result{2, connectedText, "entractl: there is no data type \"nope\"; there are signin.interactive, audit, risk_detection, risky_user, conditional_access\nRun 'entractl --help' for usage.\n"},
		},
		"no": {
			args: with("--secret-file", secretFile), answers: "n\n", report: connected(),
			want: result{1, connectedText, "entractl: testing the connection; this takes up to half a minute\n\nSave it? [y/N, or data types not to collect, with commas] entractl: nothing was changed\n"},
		},
		"no answer": {
			args: with("--secret-file", secretFile), answers: "\x00", report: connected(),
			want: result{1, connectedText, "entractl: testing the connection; this takes up to half a minute\n\nSave it? [y/N, or data types not to collect, with commas] \nentractl: the input ended without an answer: nothing was changed\n"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.report, s.testError = tc.report, tc.fault
			got := s.run
			if tc.answers != "" {
				require.Equal(t, tc.want, s.answering(t.Context(), strings.Trim(tc.answers, "\x00"), tc.args...))
			} else {
				require.Equal(t, tc.want, got(t.Context(), tc.args...))
			}
			require.Len(t, s.kept(), map[bool]int{false: 1, true: 2}[tc.saved])
		})
	}
}

func TestAddChecksItsFlags(t *testing.T) {
	with := func(more ...string) []string { return append(append([]string{}, addContoso...), more...) }
	big := file(t, strings.Repeat("x", 5000))
	cases := map[string]struct {
		args []string
		want string
	}{
		"id":         {[]string{"integration", "add", "Contoso"}, "\"Contoso\" is no id of an integration: it begins with a letter, and has at most 40 small letters, digits and -"},
		"no id":      {[]string{"integration", "add"}, "exactly one id of an integration is needed, not 0; see `entractl integration list`"},
		"tenant":     {[]string{"integration", "add", "x", "--tenant-id", "contoso.example"}, "--tenant-id \"contoso.example\" must be an id such as 8b7e6c5d-0000-4000-8000-000000000000: Directory (tenant) ID on the Overview of the app registration"},
		"set":        {with("--permission-set", "x"), "--permission-set \"x\" must be one of read_only, read_write"},
		"yes":        {with("--secret-file", "x"), "nobody can be asked here: say --yes to go on without"},
		"credential": {with("--yes"), "the credential is missing: give --secret-file, --certificate-file, --federated-token-file or --connection-string-file"},
		"two":        {with("--yes", "--secret-file", "x", "--certificate-file", "y"), "--secret-file, --certificate-file, --federated-token-file and --connection-string-file exclude each other"},
		"password":   {with("--yes", "--secret-file", "x", "--certificate-password-file", "y"), "--certificate-password-file needs --certificate-file"},
		"inputs":     {with("--yes", "--certificate-file", "-", "--certificate-password-file", "-"), "only one file can be \"-\""},
		"missing":    {with("--yes", "--secret-file", "/nonexistent/x"), "--secret-file: open /nonexistent/x: no such file or directory"},
		"large":      {with("--yes", "--secret-file", big), "--secret-file: " + big + " is larger than 4096 bytes"},
		"empty":      {with("--yes", "--secret-file", "-"), "--secret-file: - is empty"},
		"tenants":    {[]string{"integration", "add", "x", "--event-hub", "logs", "--yes"}, "--tenants is missing: the directory ids whose records the Event Hub may carry, or any"},
		"cloud":      {[]string{"integration", "add", "x", "--tenants", "any", "--cloud", "china"}, "--cloud and --permission-set are of a tenant, not of an Event Hub"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			require.Equal(t, result{2, "", "entractl: " + tc.want + "\nRun 'entractl --help' for usage.\n"}, s.run(t.Context(), tc.args...))
			require.Empty(t, s.kept())
		})
	}
}

func TestAddWarnsOfASecretID(t *testing.T) {
	s := newServer(t)
	s.report = refused()
	got := s.run(t.Context(), append(addContoso, "--yes", "--secret-file", file(t, tenantID))...)
	require.Equal(t, "entractl: this looks like a Secret ID; what is needed is the secret's Value, which Entra shows once\n"+
		"entractl: not connected, so nothing was saved; --force saves it all the same\n", got.stderr)
}
