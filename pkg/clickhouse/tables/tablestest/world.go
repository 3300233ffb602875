package tablestest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// World makes sign-ins as a tenant of some thousand users has them: few users and applications make
// most of them, and of the values of a column most are old friends. It is the same in every run.
type World struct {
	r     *rand.Rand
	start time.Time
	span  time.Duration
	users []string
	apps  []string
	made  uint64
}

// Start is the earliest time of a World's sign-ins.
func Start() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// NewWorld returns a world whose sign-ins lie within span after Start, in no order.
func NewWorld(span time.Duration) *World {
	w := &World{r: rand.New(rand.NewPCG(1, 2)), start: Start(), span: span}
	for range 5000 {
		w.users = append(w.users, w.guid())
	}
	for range 200 {
		w.apps = append(w.apps, w.guid())
	}
	return w
}

// Move changes the earliest time of the sign-ins made from now on.
func (w *World) Move(start time.Time) { w.start = start }

// SignIns makes n sign-ins of about 1.1 KB of raw JSON.
func (w *World) SignIns(n int) []*eventv1.Event {
	events := make([]*eventv1.Event, n)
	for i := range events {
		events[i] = w.SignIn()
	}
	return events
}

// SignIn makes one.
func (w *World) SignIn() *eventv1.Event {
	w.made++
	at := w.start.Add(time.Duration(w.r.Int64N(int64(w.span)))).Truncate(time.Millisecond)
	source := w.guid()
	s := w.payload(at)
	return &eventv1.Event{
		Id: strings.ReplaceAll(source, "-", ""), TenantId: w.apps[1], Integration: "contoso", Kind: "signin",
		Source: eventv1.Source_SOURCE_EVENT_HUB, SourceId: source, Category: "NonInteractiveUserSignInLogs",
		OccurredAt: timestamppb.New(at), ObservedAt: timestamppb.New(at.Add(90 * time.Second)),
		Version: 1<<63 | w.made, Raw: w.raw(source, at, s), Payload: &eventv1.Event_SignIn{SignIn: s},
	}
}

func (w *World) payload(at time.Time) *eventv1.SignIn {
	u := w.skewed(len(w.users))
	user, app, country := w.users[u], w.apps[w.skewed(len(w.apps))], countries[w.skewed(len(countries))]
	return &eventv1.SignIn{
		Type: eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE, EventTypes: []string{"nonInteractiveUser"},
		IsInteractive: new(false), UserId: user, UserPrincipalName: fmt.Sprintf("User.%05d@contoso.example", u),
		UserDisplayName: fmt.Sprintf("User %05d", u), UserType: "member", AppId: app, AppDisplayName: "App " + app[:4],
		AppOwnerTenantId: w.apps[0], ResourceId: w.apps[w.skewed(20)], ResourceDisplayName: "Microsoft Graph",
		ResourceTenantId: w.apps[1], ResourceServicePrincipalId: w.apps[2],
		ClientAppUsed: "Mobile Apps and Desktop clients", AuthenticationProtocol: "none", UserAgent: agents[w.skewed(len(agents))],
		IpAddress:              fmt.Sprintf("203.%d.%d.%d", u%250, u/250, w.r.IntN(4)),
		AutonomousSystemNumber: new(uint32(3000 + u%50)),
		Device: &eventv1.Device{
			Id: w.users[(u+7)%len(w.users)], DisplayName: fmt.Sprintf("PC-%05d", u), OperatingSystem: "Windows 10",
			Browser: "Edge 120.0", IsCompliant: new(true), IsManaged: new(true), TrustType: "Azure AD joined",
		},
		Location: &eventv1.Location{
			City: "City " + country, State: "State", Country: country, Latitude: new(52.5), Longitude: new(13.4),
		},
		ErrorCode: new(codes[w.skewed(len(codes))]), Outcome: "success", FailureReason: "Other.",
		AdditionalDetails: satisfied, ConditionalAccessStatus: "success", AuthenticationRequirement: "multiFactorAuthentication",
		AppliedConditionalAccessPolicies: []*eventv1.ConditionalAccessPolicy{
			{Id: w.apps[3], DisplayName: "Require MFA", Result: "success", EnforcedGrantControls: []string{"Mfa"}},
			{Id: w.apps[4], DisplayName: "Block legacy", Result: "notApplied", EnforcedGrantControls: []string{"Block"}},
		},
		AuthenticationDetails: []*eventv1.AuthenticationStep{{
			OccurredAt: timestamppb.New(at), Method: "Previously satisfied", Succeeded: new(true), ResultDetail: satisfied,
		}},
		AuthenticationProcessingDetails: []*eventv1.KeyValue{{Key: "Root Key Type", Value: "Unknown"}},
		RiskDetail:                      "none", RiskLevelAggregated: "none", RiskLevelDuringSignIn: "none", RiskState: "none",
		CorrelationId: w.guid(), OriginalRequestId: w.guid(), UniqueTokenIdentifier: w.guid()[:22], SessionId: w.guid(),
		IncomingTokenType: "primaryRefreshToken", TokenIssuerType: "AzureAD", SignInTokenProtectionStatus: "unbound",
		ProcessingTimeMs: new(int64(w.r.IntN(300))), CrossTenantAccessType: "none", HomeTenantId: w.apps[1],
	}
}

// raw is a record as an Event Hub has it; it holds less than the payload to be of the usual size.
func (w *World) raw(id string, at time.Time, s *eventv1.SignIn) []byte {
	created := at.Format("2006-01-02T15:04:05.000Z")
	return fmt.Appendf(nil, `{"time":%q,"resourceId":"/tenants/%s/providers/Microsoft.aadiam","operationName":"Sign-in activity",`+
		`"category":"NonInteractiveUserSignInLogs","tenantId":%q,"properties":{"id":%q,"createdDateTime":%q,"userDisplayName":%q,`+
		`"userPrincipalName":%q,"userId":%q,"appId":%q,"appDisplayName":%q,"ipAddress":%q,"status":{"errorCode":%d,"failureReason":"Other."},`+
		`"clientAppUsed":%q,"userAgent":%q,"deviceDetail":{"deviceId":%q,"displayName":%q,"operatingSystem":"Windows 10",`+
		`"browser":"Edge 120.0","isCompliant":true},"location":{"city":%q,"countryOrRegion":%q},"correlationId":%q,`+
		`"originalRequestId":%q,"uniqueTokenIdentifier":%q,"sessionId":%q,"resourceDisplayName":"Microsoft Graph","resourceId":%q}}`,
		created, w.apps[1], w.apps[1], id, created, s.GetUserDisplayName(), s.GetUserPrincipalName(), s.GetUserId(), s.GetAppId(),
		s.GetAppDisplayName(), s.GetIpAddress(), s.GetErrorCode(), s.GetClientAppUsed(), s.GetUserAgent(), s.GetDevice().GetId(),
		s.GetDevice().GetDisplayName(), s.GetLocation().GetCity(), s.GetLocation().GetCountry(), s.GetCorrelationId(),
		s.GetOriginalRequestId(), s.GetUniqueTokenIdentifier(), s.GetSessionId(), s.GetResourceId())
}

// skewed returns an index below n, small ones more often.
func (w *World) skewed(n int) int { return int(float64(n) * w.r.Float64() * w.r.Float64()) }

func (w *World) guid() string {
	a, b := w.r.Uint64(), w.r.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

const satisfied = "MFA requirement satisfied by claim in the token"

var (
	countries = []string{"DE", "US", "GB", "FR", "NL", "IN", "JP", "BR"}
	codes     = []int64{0, 0, 0, 50126, 50074, 53003}
	agents    = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X)", "python-requests/2.31.0", "Windows-AzureAD-Authentication-Provider/1.0", "",
	}
)
