package expression_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/expression"
)

func newCompiler(tb testing.TB) *expression.Compiler {
	tb.Helper()
	c, err := expression.NewCompiler()
	require.NoError(tb, err)
	return c
}

func failedSignIn() *eventv1.Event {
	return &eventv1.Event{
		Id: "1", TenantId: "contoso", Kind: "signin", Source: eventv1.Source_SOURCE_EVENT_HUB, Raw: []byte("{}"),
		OccurredAt: timestamppb.New(time.Date(2026, 1, 31, 23, 30, 0, 0, time.UTC)),
		Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{
			UserPrincipalName: "Ada@contoso.com", IpAddress: "10.1.2.3", ErrorCode: new(int64(50126)), Outcome: "failure",
			AppliedConditionalAccessPolicies: []*eventv1.ConditionalAccessPolicy{
				{DisplayName: "MFA", Result: "failure", EnforcedGrantControls: []string{"mfa"}}, {Result: "notApplied"},
			},
			Location: &eventv1.Location{Country: "DE", Latitude: new(52.5)},
		}},
	}
}

func TestFilters(t *testing.T) {
	c := newCompiler(t)
	event := failedSignIn()
	before := proto.CloneOf(event)
	for text, want := range map[string]bool{
		`true`:                   true,
		`event.kind == "signin"`: true,
		`event.kind == "signin" && event.sign_in.outcome == "success"`:        false,
		`event.sign_in.error_code == 50126`:                                   true,
		`has(event.sign_in)`:                                                  true,
		`has(event.audit)`:                                                    false,
		`event.audit.activity == ""`:                                          true,
		`has(event.sign_in.is_interactive)`:                                   false,
		`event.source == Source.SOURCE_EVENT_HUB`:                             true,
		`event.source == entraflow.event.v1.Source.SOURCE_GRAPH`:              false,
		`event.sign_in.user_principal_name.lowerAscii() == "ada@contoso.com"`: true,
		`event.sign_in.user_principal_name.matches("(?i)^ada@")`:              true,
		`event.sign_in.location.country in ["AT", "DE"]`:                      true,
		`cidr("10.0.0.0/8").containsIP(event.sign_in.ip_address)`:             true,
		`event.sign_in.applied_conditional_access_policies.exists(p, p.result == "failure" && "mfa" in p.enforced_grant_controls)`: true,
		`event.sign_in.applied_conditional_access_policies.all(p, p.enforced_grant_controls.exists(c, c == "mfa"))`:                false,
		`size(event.sign_in.applied_conditional_access_policies) > 1`:                                                              true,
		`event.occurred_at > timestamp("2026-01-01T00:00:00Z")`:                                                                    true,
		`event.occurred_at.getHours() == 23`:                                                                                       true,
		`event.occurred_at.getHours("Europe/Berlin") == 0`:                                                                         true,
		`event.sign_in.location.latitude > 50.0`:                                                                                   true,
		`event == Event{}`:                                                                                                         false,
	} {
		filter, err := c.Compile(text)
		require.NoError(t, err, text)
		got, err := filter.Matches(event, proto.Size(event))
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	require.True(t, proto.Equal(before, event))
}

func TestWhatIsNoFilter(t *testing.T) {
	c := newCompiler(t)
	const no = "is no CEL expression over event (cel.dev): "
	for text, want := range map[string]string{
		"":                                           no + "line 1, column 1: Syntax error: mismatched input '<EOF>'",
		"event.kind = 'x'":                           no + "line 1, column 12: Syntax error: token recognition error at: '= '",
		"true &&\n  evnt.kind == 'x'":                no + "line 2, column 3: undeclared reference to 'evnt'",
		"event.knd == 'x'":                           no + "line 1, column 6: undefined field 'knd'",
		"event.kind":                                 "must be true or false for an event, and is a string: compare it with something",
		"dyn(true)":                                  "must be true or false for an event, and is a dyn: compare it with something",
		"event.sign_in.error_code == '50126'":        no + "line 1, column 26: found no matching overload for '_==_'",
		"event.raw == b''":                           no + "line 1, column 6: event.raw is not there for filters: use the other fields of the event",
		"has(event.raw_blob)":                        no + "line 1, column 4: event.raw_blob is not there for filters: use the other fields of the event",
		"[event].exists(e, e.raw == b'')":            no + "line 1, column 20: event.raw is not there for filters: use the other fields of the event",
		"'x'.matches(event.kind)":                    no + "line 1, column 12: the pattern of matches must be written out",
		"matches('x', event.kind)":                   no + "line 1, column 8: the pattern of matches must be written out",
		"event.kind.matches('(')":                    no + "line 1, column 20: invalid matches argument",
		"event.kind.matches('((a{100}){100}){100}')": no + "line 1, column 20: invalid matches argument",
		"now() > event.occurred_at":                  no + "line 1, column 4: undeclared reference to 'now'",
		"timestamp('yesterday') > event.occurred_at": no + "line 1, column 11: invalid timestamp argument",
		strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60):                                        no,
		strings.Repeat("[", 60) + strings.Repeat("]", 60) + " == 1":                                       no,
		"[" + strings.Repeat("1,", 200) + "1].map(a, [" + strings.Repeat("a,", 200) + "1]).size() > 5":    "may cost ",
		"true" + strings.Repeat(" ", 5000):                                                                no,
		"[1].all(a, [1].all(b, [1].all(c, true)))":                                                        no + "line 1, column 30: comprehension exceeds nesting limit",
		"event.notes.all(a, event.notes.all(b, a.contains(b)))":                                           "may cost ",
		strings.Repeat("event.sign_in.user_agent.matches('a.*b.*c.*d.*e.*f.*g.*h.*i.*j')||", 60) + "true": "may cost ",
	} {
		_, err := c.Compile(text)
		invalid := &expression.InvalidError{}
		require.ErrorAs(t, err, &invalid, text)
		require.Contains(t, err.Error(), want, text)
		require.Less(t, len(err.Error()), 2500)
	}
}

func TestEvaluationsThatFail(t *testing.T) {
	c := newCompiler(t)
	event := failedSignIn()
	event.GetSignIn().UserAgent = strings.Repeat("ab", 200_000)
	for text, want := range map[string]string{
		"1 / (event.sign_in.error_code - 50126) == 1":      "division by zero",
		"ip(event.sign_in.user_id).family() == 4":          "parse error",
		"event.sign_in.user_agent.contains('abc')":         "actual cost limit exceeded",
		"event.occurred_at.getHours('Nowhere/Never') == 1": "unknown time zone",
	} {
		filter, err := c.Compile(text)
		require.NoError(t, err, text)
		_, err = filter.Matches(event, proto.Size(event))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzFilter(f *testing.F) {
	c := newCompiler(f)
	event := failedSignIn()
	for _, seed := range []string{
		"", "true", `event.kind == "signin" && event.sign_in.outcome != "success"`, `event.notes.exists(n, n.startsWith("a"))`,
		`event.sign_in.user_agent.matches("a*b")`, `"%d".format([1]) == "1"`, `event.occurred_at.getHours("UTC") > 3`,
		`cidr("10.0.0.0/8").containsIP(event.sign_in.ip_address)`, `event.notes.map(n, n + n).join(",").replace("a", "aaaa") == ""`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		filter, err := c.Compile(text)
		if err == nil {
			_, _ = filter.Matches(event, proto.Size(event))
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("%q took %s", text, took)
		}
	})
}

func BenchmarkMatches(b *testing.B) {
	c := newCompiler(b)
	event := failedSignIn()
	for name, text := range map[string]string{
		"kind":    `event.kind == "signin"`,
		"failed":  `event.kind == "signin" && event.sign_in.outcome == "failure" && event.sign_in.location.country in ["AT", "DE"]`,
		"pattern": `event.sign_in.user_principal_name.matches("(?i)^ada@contoso\\.")`,
		"loop":    `event.sign_in.applied_conditional_access_policies.exists(p, p.result == "x" && "mfa" in p.enforced_grant_controls)`,
	} {
		b.Run(name, func(b *testing.B) {
			filter, err := c.Compile(text)
			require.NoError(b, err)
			b.ReportAllocs()
			size := proto.Size(event)
			for b.Loop() {
				if _, err := filter.Matches(event, size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
