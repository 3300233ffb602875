package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// entries returns what is on AUDIT, oldest first.
func (w *world) entries(t *testing.T) (all []*controlv1.AuditEntry, subjects []string) {
	t.Helper()
	conn := w.bus.Connect(t, bus.UserOperator)
	stream, err := conn.JetStream().Stream(t.Context(), controlv1.AuditEntryStream)
	require.NoError(t, err)
	for sequence := uint64(1); sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		message, err := stream.GetMsg(t.Context(), sequence)
		require.NoError(t, err)
		entry := &controlv1.AuditEntry{}
		require.NoError(t, proto.Unmarshal(message.Data, entry))
		require.NotContains(t, string(message.Data), "top-secret", "no secret is written down")
		all, subjects = append(all, entry), append(subjects, message.Subject)
	}
	return all, subjects
}

func entraOf(tenant string) *controlv1.Integration {
	return &controlv1.Integration{Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
		TenantId: tenant, ClientId: "9f2c0000-0000-4000-8000-000000000001",
	}}}
}

func secretCredential() *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: "top-secret"}}
}

func TestEachCallIsWrittenDownWithWhoseAndWhatItWas(t *testing.T) {
	w := newWorld(t)
	token := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_READ_ONLY, TenantIds: []string{tenantA}})
	reader := controlv1.NewIntegrationServiceClient(w.dial(t, token.GetSecret()))
	admin := controlv1.NewIntegrationServiceClient(w.conn)
	_, err := admin.CreateIntegration(t.Context(), &controlv1.CreateIntegrationRequest{
		IntegrationId: "first", Integration: entraOf(tenantA), Credential: secretCredential(), RequestId: "r-1",
	})
	require.NoError(t, err)
	_, err = admin.UpdateIntegration(t.Context(), &controlv1.UpdateIntegrationRequest{
		Integration: &controlv1.Integration{Name: "integrations/first", DisplayName: "First"},
		UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	})
	require.NoError(t, err)
	_, err = reader.DeleteIntegration(t.Context(), &controlv1.DeleteIntegrationRequest{Name: "integrations/first"})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = controlv1.NewDirectoryServiceClient(w.conn).GetUser(t.Context(), &controlv1.GetUserRequest{User: "ada@example.com", TenantId: tenantA})
	require.Error(t, err)
	sub := w.subscribe(t, &controlv1.SubscribeRequest{TenantIds: []string{tenantA, tenantB}})
	_ = sub
	_, err = controlv1.NewSystemServiceClient(w.conn).GetCaller(t.Context(), &controlv1.GetCallerRequest{})
	require.NoError(t, err, "reveals nothing of anybody else")
	require.Equal(t, codes.Unauthenticated, status.Code(call(t.Context(), w.dial(t, ""), controlv1.SignInService_SearchSignIns_FullMethodName)))

	all, subjects := w.entries(t)
	require.Len(t, all, 7)
	for _, entry := range all {
		require.NotEmpty(t, entry.GetId())
		require.Equal(t, "127.0.0.1", entry.GetAddress())
		require.Equal(t, "grpc", entry.GetTransport())
		require.Contains(t, entry.GetUserAgent(), "grpc-go")
		require.WithinDuration(t, time.Now(), entry.GetTime().AsTime(), time.Minute)
	}
	made, created, updated, refused, failed, followed, stranger := all[0], all[1], all[2], all[3], all[4], all[5], all[6]

	require.Equal(t, "ApiTokenService-CreateApiToken", made.GetAction())
	require.Equal(t, token.GetApiToken().GetName(), made.GetTarget())
	require.Equal(t, "bootstrap", made.GetActor())
	require.Equal(t, tenantA, made.GetTenantId())

	require.Equal(t, "IntegrationService-CreateIntegration", created.GetAction())
	require.Equal(t, "audit.v1.IntegrationService-CreateIntegration."+tenantA, subjects[1])
	require.Equal(t, "integrations/first", created.GetTarget())
	require.Equal(t, "r-1", created.GetRequestId())
	require.Equal(t, "OK", created.GetCode())
	require.Equal(t, controlv1.Role_ROLE_ADMIN, created.GetRole())
	require.Equal(t, controlv1.CredentialKind_CREDENTIAL_KIND_BOOTSTRAP_TOKEN, created.GetCredential())

	require.Equal(t, []string{"display_name"}, updated.GetChanged())
	require.Equal(t, "integrations/first", updated.GetTarget())

	require.Equal(t, "PERMISSION_DENIED", refused.GetCode())
	require.Equal(t, "ROLE_MISSING", refused.GetReason())
	require.Equal(t, "integrations/first", refused.GetTarget())
	require.Equal(t, token.GetApiToken().GetName(), refused.GetApiToken())
	require.Equal(t, controlv1.Role_ROLE_UNSPECIFIED, refused.GetRole(), "none let it in")

	require.Equal(t, "NOT_FOUND", failed.GetCode())
	require.Equal(t, "ada@example.com", failed.GetTarget())
	require.Equal(t, tenantA, failed.GetTenantId())

	require.Equal(t, "EventService-Subscribe", followed.GetAction())
	require.Equal(t, []string{tenantA, tenantB}, followed.GetTenantIds())
	require.Equal(t, "audit.v1.EventService-Subscribe._", subjects[5])

	require.Equal(t, "UNAUTHENTICATED", stranger.GetCode())
	require.Empty(t, stranger.GetActor())
}

func TestWithoutAnAuditLogNothingIsAnswered(t *testing.T) {
	w := newWorld(t)
	operator := w.bus.Connect(t, bus.UserOperator)
	require.NoError(t, operator.JetStream().DeleteStream(t.Context(), controlv1.AuditEntryStream))
	_, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, "AUDIT_UNAVAILABLE", reason(t, err))
	_, err = controlv1.NewSystemServiceClient(w.conn).GetStatus(t.Context(), &controlv1.GetStatusRequest{})
	require.NoError(t, err, "who looks what is wrong can")
}

// reason is the constant in a status.
func reason(t *testing.T, err error) string {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	require.FailNow(t, "a status without ErrorInfo", "%v", err)
	return ""
}

func TestARepeatedRequestIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	client := controlv1.NewIntegrationServiceClient(w.conn)
	request := func(id string) *controlv1.CreateIntegrationRequest {
		return &controlv1.CreateIntegrationRequest{
			IntegrationId: id, Integration: entraOf(tenantA), Credential: secretCredential(), RequestId: "create-1",
		}
	}
	first, err := client.CreateIntegration(t.Context(), request("first"))
	require.NoError(t, err)
	again, err := client.CreateIntegration(t.Context(), request("first"))
	require.NoError(t, err)
	require.True(t, proto.Equal(first, again), "the answer of the first")
	_, err = client.CreateIntegration(t.Context(), request("second"))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, "REQUEST_ID_REUSED", reason(t, err))

	// What failed may be tried again with the same id.
	failing := request("first")
	failing.RequestId = "create-2"
	for range 2 {
		_, err = client.CreateIntegration(t.Context(), failing)
		require.Equal(t, "TENANT_TAKEN", reason(t, err))
	}

	// An id is its caller's own.
	other := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_ADMIN, TenantIds: []string{tenantB}})
	_ = other
	tokens := controlv1.NewApiTokenServiceClient(w.conn)
	make := &controlv1.CreateApiTokenRequest{
		ApiToken: &controlv1.ApiToken{DisplayName: "x", Role: controlv1.Role_ROLE_READ_ONLY}, RequestId: "token-1",
	}
	made, err := tokens.CreateApiToken(t.Context(), make)
	require.NoError(t, err)
	repeated, err := tokens.CreateApiToken(t.Context(), make)
	require.NoError(t, err)
	require.Equal(t, made.GetApiToken().GetName(), repeated.GetApiToken().GetName())
	require.Empty(t, repeated.GetSecret(), "the secret goes out once")
	w.requireNowhere(t, made.GetSecret(), "top-secret")
}

// requireNowhere looks for texts in every stream and bucket there is.
func (w *world) requireNowhere(t *testing.T, texts ...string) {
	t.Helper()
	js := w.bus.Connect(t, bus.UserOperator).JetStream()
	for info := range js.ListStreams(t.Context()).Info() {
		stream, err := js.Stream(t.Context(), info.Config.Name)
		require.NoError(t, err)
		for sequence := max(info.State.FirstSeq, 1); sequence <= info.State.LastSeq; sequence++ {
			message, err := stream.GetMsg(t.Context(), sequence)
			if err != nil {
				require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
				continue
			}
			for _, text := range texts {
				require.NotContains(t, string(message.Data), text, info.Config.Name)
			}
		}
	}
}

func TestTheSameRequestAtOnceIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	tokens := controlv1.NewApiTokenServiceClient(w.conn)
	const callers = 8
	results := make(chan error, callers)
	for range callers {
		go func() {
			_, err := tokens.CreateApiToken(t.Context(), &controlv1.CreateApiTokenRequest{
				ApiToken: &controlv1.ApiToken{DisplayName: "x", Role: controlv1.Role_ROLE_READ_ONLY}, RequestId: "at-once",
			})
			results <- err
		}()
	}
	for range callers {
		if err := <-results; err != nil {
			require.Equal(t, "REQUEST_UNDER_WAY", reason(t, err))
		}
	}
	all, err := tokens.ListApiTokens(t.Context(), &controlv1.ListApiTokensRequest{})
	require.NoError(t, err)
	require.Len(t, all.GetApiTokens(), 1)
}

func TestATokenGivesNoMoreThanItsMakerHas(t *testing.T) {
	w := newWorld(t)
	limited := controlv1.NewApiTokenServiceClient(w.dial(t, w.tokenFor(t, &controlv1.ApiToken{
		Role: controlv1.Role_ROLE_ADMIN, TenantIds: []string{tenantA},
	}).GetSecret()))
	_, err := limited.CreateApiToken(t.Context(), &controlv1.CreateApiTokenRequest{
		ApiToken: &controlv1.ApiToken{DisplayName: "x", Role: controlv1.Role_ROLE_READ_ONLY},
	})
	require.Equal(t, "API_TOKEN_FROM_API_TOKEN", reason(t, err))
	admin := controlv1.NewApiTokenServiceClient(w.conn)
	for name, token := range map[string]*controlv1.ApiToken{
		"no role":         {DisplayName: "x"},
		"unknown role":    {DisplayName: "x", Role: 17},
		"no name":         {Role: controlv1.Role_ROLE_ADMIN},
		"unknown scope":   {DisplayName: "x", Role: controlv1.Role_ROLE_ADMIN, Scopes: []string{"NoService"}},
		"scope with SQL":  {DisplayName: "x", Role: controlv1.Role_ROLE_ADMIN, Scopes: []string{"'; DROP TABLE x; --"}},
		"long past":       {DisplayName: "x", Role: controlv1.Role_ROLE_ADMIN, ExpireTime: timestamppb.New(time.Now().Add(-time.Hour))},
		"longer than may": {DisplayName: "x", Role: controlv1.Role_ROLE_ADMIN, ExpireTime: timestamppb.New(time.Now().Add(367 * 24 * time.Hour))},
		"long name":       {DisplayName: strings.Repeat("x", 101), Role: controlv1.Role_ROLE_ADMIN},
	} {
		_, err := admin.CreateApiToken(t.Context(), &controlv1.CreateApiTokenRequest{ApiToken: token})
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
	}
	made := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_HELP_DESK, TenantIds: []string{tenantA}, Scopes: []string{"SignInService"}})
	require.WithinDuration(t, time.Now().Add(90*24*time.Hour), made.GetApiToken().GetExpireTime().AsTime(), time.Minute)
	who, err := controlv1.NewSystemServiceClient(w.dial(t, made.GetSecret())).GetCaller(t.Context(), &controlv1.GetCallerRequest{})
	require.NoError(t, err)
	require.Equal(t, "bootstrap", who.GetSubject(), "it acts as its owner")
	require.Equal(t, made.GetApiToken().GetName(), who.GetApiToken())
	require.Len(t, who.GetGrants(), 1)
	require.Equal(t, controlv1.Role_ROLE_HELP_DESK, who.GetGrants()[0].GetRole())
	require.Equal(t, []string{tenantA}, who.GetGrants()[0].GetTenantIds())
	found, err := admin.GetApiToken(t.Context(), &controlv1.GetApiTokenRequest{Name: made.GetApiToken().GetName()})
	require.NoError(t, err)
	require.NotNil(t, found.GetApiToken().GetLastUseTime())
}

func TestARevokedTokenEndsItsStreams(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.GRPC.RecheckStreams = 50 * time.Millisecond })
	made := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_READ_ONLY})
	stream, err := controlv1.NewEventServiceClient(w.dial(t, made.GetSecret())).Subscribe(t.Context(), &controlv1.SubscribeRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = controlv1.NewApiTokenServiceClient(w.conn).RevokeApiToken(t.Context(), &controlv1.RevokeApiTokenRequest{Name: made.GetApiToken().GetName()})
	require.NoError(t, err)
	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	require.Equal(t, "API_TOKEN_REVOKED", reason(t, err))
}

func TestStatusTellsOfStreamsAndTheirReaders(t *testing.T) {
	w := newWorld(t)
	publish(t, w.publisher(t), signIn("1", tenantA))
	answer, err := controlv1.NewSystemServiceClient(w.conn).GetStatus(t.Context(), &controlv1.GetStatusRequest{})
	require.NoError(t, err)
	require.NotEmpty(t, answer.GetVersion())
	require.Len(t, answer.GetDependencies(), 2)
	streams := map[string]*controlv1.StreamStatus{}
	for _, s := range answer.GetStreams() {
		streams[s.GetName()] = s
	}
	for _, row := range bus.Streams() {
		require.Contains(t, streams, row.Name)
		require.Len(t, streams[row.Name].GetReaders(), len(row.Durables), row.Name)
	}
	require.EqualValues(t, 1, streams["EVENTS"].GetMessages())
	require.EqualValues(t, 1, streams["EVENTS"].GetReaders()[0].GetUnread())
	require.NotNil(t, streams["EVENTS"].GetFirstTime())
}

func TestAnswersNameTheirCall(t *testing.T) {
	w := newWorld(t)
	var header metadata.MD
	_, err := controlv1.NewSystemServiceClient(w.conn).GetCaller(t.Context(), &controlv1.GetCallerRequest{}, grpc.Header(&header))
	require.NoError(t, err)
	require.Len(t, header.Get("x-request-id"), 1)
}

// Nobody may fill the log by what they name, and a refused token is its owner's.
func TestEntriesAreSmallAndSayWhoseTokenItWas(t *testing.T) {
	w := newWorld(t)
	revoked := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_READ_ONLY})
	_, err := controlv1.NewApiTokenServiceClient(w.conn).RevokeApiToken(t.Context(), &controlv1.RevokeApiTokenRequest{Name: revoked.GetApiToken().GetName()})
	require.NoError(t, err)
	paths := make([]string, 200_000)
	for i := range paths {
		paths[i] = "abc"
	}
	update := &controlv1.UpdateIntegrationRequest{
		Integration: &controlv1.Integration{Name: "integrations/x"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
	}
	_, err = controlv1.NewIntegrationServiceClient(w.dial(t, revoked.GetSecret())).UpdateIntegration(t.Context(), update)
	require.Equal(t, "API_TOKEN_REVOKED", reason(t, err))
	all, _ := w.entries(t)
	last := all[len(all)-1]
	require.Equal(t, "bootstrap", last.GetActor())
	require.Equal(t, revoked.GetApiToken().GetName(), last.GetApiToken())
	require.Less(t, proto.Size(last), 4096)
}

// Who may less than when a request was made does not get its answer, and a repetition is written down with what it is about.
func TestARepetitionAsksAgainWhoMay(t *testing.T) {
	w := newWorld(t)
	request := &controlv1.CreateIntegrationRequest{
		IntegrationId: "second", Integration: entraOf(tenantB), Credential: secretCredential(), RequestId: "again",
	}
	client := func(tenants ...string) controlv1.IntegrationServiceClient {
		return controlv1.NewIntegrationServiceClient(w.dial(t, w.tokenFor(t, &controlv1.ApiToken{
			Role: controlv1.Role_ROLE_ADMIN, TenantIds: tenants,
		}).GetSecret()))
	}
	both := client(tenantA, tenantB)
	for range 2 {
		_, err := both.CreateIntegration(t.Context(), request)
		require.NoError(t, err)
	}
	_, err := client(tenantA).CreateIntegration(t.Context(), request)
	require.Equal(t, "TENANT_FORBIDDEN", reason(t, err))
	all, _ := w.entries(t)
	var about []string
	for _, entry := range all {
		if entry.GetAction() == "IntegrationService-CreateIntegration" {
			about = append(about, entry.GetCode()+" "+entry.GetTenantId()+" "+entry.GetTarget())
		}
	}
	require.Equal(t, []string{
		"OK " + tenantB + " integrations/second", "OK " + tenantB + " integrations/second",
		"PERMISSION_DENIED " + tenantB + " integrations/second",
	}, about)
}

func TestOneTokenThatRunsWildDoesNotStopItsOwner(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.GRPC.PerCaller.Rate, c.GRPC.PerCaller.Burst = 0.001, 10 })
	made := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_READ_ONLY})
	wild := controlv1.NewSystemServiceClient(w.dial(t, made.GetSecret()))
	var err error
	for range 20 {
		if _, err = wild.GetCaller(t.Context(), &controlv1.GetCallerRequest{}); err != nil {
			break
		}
	}
	require.Equal(t, "RATE_EXCEEDED", reason(t, err))
	_, err = controlv1.NewApiTokenServiceClient(w.conn).RevokeApiToken(t.Context(), &controlv1.RevokeApiTokenRequest{Name: made.GetApiToken().GetName()})
	require.NoError(t, err)
}
