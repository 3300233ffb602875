package odata_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra/odata"
)

func date(s string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return at
}

func timeIs(path string, op odata.Op, at string) odata.Compare {
	return odata.Compare{Path: path, Op: op, Literal: odata.Literal{Kind: odata.Time, Text: at, Time: date(at)}}
}

func textIs(path string, op odata.Op, text string) odata.Compare {
	return odata.Compare{Path: path, Op: op, Literal: odata.Literal{Kind: odata.String, Text: text}}
}

func TestParse(t *testing.T) {
	const a, b = "2026-11-01T00:00:00Z", "2026-11-01T00:59:59.9999999Z"
	tests := map[string]struct {
		filter string
		want   odata.Expr
	}{
		"comparison":     {"createdDateTime ge " + a, timeIs("createdDateTime", odata.Ge, a)},
		"window":         {"createdDateTime ge " + a + " and createdDateTime le " + b, odata.And{timeIs("createdDateTime", odata.Ge, a), timeIs("createdDateTime", odata.Le, b)}},
		"and binds more": {"a eq '1' or b eq '2' and c eq '3'", odata.Or{textIs("a", odata.Eq, "1"), odata.And{textIs("b", odata.Eq, "2"), textIs("c", odata.Eq, "3")}}},
		"parentheses":    {"(a eq '1' or b eq '2') and c eq '3'", odata.And{odata.Or{textIs("a", odata.Eq, "1"), textIs("b", odata.Eq, "2")}, textIs("c", odata.Eq, "3")}},
		"lambda":         {"signInEventTypes/any(t: t eq 'servicePrincipal')", odata.Any{Path: "signInEventTypes", Cond: textIs("", odata.Eq, "servicePrincipal")}},
		"lambda, tight":  {"signInEventTypes/any(t:t eq 'x' or t eq 'y')", odata.Any{Path: "signInEventTypes", Cond: odata.Or{textIs("", odata.Eq, "x"), textIs("", odata.Eq, "y")}}},
		"lambda, member": {"targetResources/any(x:x/id eq '7')", odata.Any{Path: "targetResources", Cond: textIs("id", odata.Eq, "7")}},
		"quote doubled":  {"userDisplayName eq 'O''Brien'", textIs("userDisplayName", odata.Eq, "O'Brien")},
		"quoted date":    {"createdDateTime ge '" + a + "'", textIs("createdDateTime", odata.Ge, a)},
		"function":       {"startsWith(appDisplayName,'Azure')", textIs("appDisplayName", odata.StartsWith, "Azure")},
		"nested path":    {"status/errorCode eq 50126", odata.Compare{Path: "status/errorCode", Op: odata.Eq, Literal: odata.Literal{Kind: odata.Number, Text: "50126"}}},
		"guid":           {"userId eq 26be570a-1111-5555-b4e2-a37c6808512d", textIs("userId", odata.Eq, "26be570a-1111-5555-b4e2-a37c6808512d")},
		"date alone":     {"createdDateTime ge 2026-11-01", odata.Compare{Path: "createdDateTime", Op: odata.Ge, Literal: odata.Literal{Kind: odata.Time, Text: "2026-11-01", Time: date(a)}}},
		"upper case":     {"a EQ '1' AND b eq null", odata.And{textIs("a", odata.Eq, "1"), odata.Compare{Path: "b", Op: odata.Eq, Literal: odata.Literal{Kind: odata.Null}}}},
		"bool":           {"isInteractive eq true", odata.Compare{Path: "isInteractive", Op: odata.Eq, Literal: odata.Literal{Kind: odata.Bool, Text: "true"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := odata.Parse(tt.filter)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(tt.want, got))
		})
	}
}

func TestParseRefuses(t *testing.T) {
	deep := ""
	for range 60 {
		deep += "("
	}
	for _, filter := range []string{
		"", "a", "a eq", "a eq '1", "a eq '1' and", "(a eq '1'", "a eq '1')", "a is '1'", "a eq b", "'a' eq 'a'", "f(a,'b')",
		"startsWith(a 'b')", "startsWith(a,1)", "a/any(t t eq '1')", "a/any(t: u eq '1')", "a/any(t: t/any(u: u eq '1'))",
		"not a eq '1'", "createdDateTime ge 2026-13-01T00:00:00Z", deep + "a eq '1'", "a/any(t/u: t eq '1')",
	} {
		_, err := odata.Parse(filter)
		var refused *odata.Error
		require.ErrorAs(t, err, &refused, filter)
		require.Contains(t, refused.Text, "Invalid filter clause", filter)
	}
}

var schema = odata.Schema{Type: "microsoft.graph.signIn", Properties: map[string]odata.Property{
	"createdDateTime":      {Kind: odata.Time, Ops: []odata.Op{odata.Eq, odata.Ge, odata.Le}, Ignored: []odata.Op{odata.Gt, odata.Lt}},
	"userId":               {Kind: odata.String, Ops: []odata.Op{odata.Eq}},
	"status/errorCode":     {Kind: odata.Number, Ops: []odata.Op{odata.Eq}},
	"isInteractive":        {Kind: odata.Bool, Ops: []odata.Op{odata.Eq}},
	"signInEventTypes/any": {Kind: odata.String, Ops: []odata.Op{odata.Eq}},
	"targets/any/id":       {Kind: odata.String, Ops: []odata.Op{odata.Eq}},
}}

func TestCheck(t *testing.T) {
	oldest := date("2026-08-01T00:00:00Z")
	tests := map[string]struct{ filter, fault string }{
		"fine":          {"createdDateTime ge 2026-11-01T00:00:00Z and userId eq 'x'", ""},
		"types":         {"signInEventTypes/any(t: t eq 'x')", ""},
		"member":        {"targets/any(t: t/id eq 'x')", ""},
		"unknown":       {"colour eq 'x'", "Invalid filter clause: Could not find a property named 'colour' on type 'microsoft.graph.signIn'."},
		"in a lambda":   {"targets/any(t: t/name eq 'x')", "Invalid filter clause: Could not find a property named 'targets/name' on type 'microsoft.graph.signIn'."},
		"quoted date":   {"createdDateTime ge '2026-11-01T00:00:00Z'", "Invalid filter clause"},
		"too old":       {"createdDateTime ge 2026-07-31T23:59:59Z", "Invalid filter clause"},
		"wrong kind":    {"status/errorCode eq '5'", "Invalid filter clause"},
		"wrong bool":    {"isInteractive eq 'true'", "Invalid filter clause"},
		"text as time":  {"userId eq 2026-11-01", "Invalid filter clause"},
		"operator":      {"createdDateTime ne 2026-11-01T00:00:00Z", "Invalid filter clause: The operator 'ne' is not supported for the property 'createdDateTime'."},
		"function":      {"startswith(userId,'x')", "Invalid filter clause: The operator 'startswith' is not supported for the property 'userId'."},
		"inside an or":  {"userId eq 'x' or colour eq 'x'", "Invalid filter clause: Could not find a property named 'colour' on type 'microsoft.graph.signIn'."},
		"not filtered":  {"signInEventTypes eq 'x'", "Invalid filter clause: Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'."},
		"ignored, alas": {"createdDateTime gt 2020-01-01T00:00:00Z", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := odata.Parse(tt.filter)
			require.NoError(t, err)
			_, err = schema.Check(e, oldest)
			if tt.fault == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tt.fault)
		})
	}
}

func TestIgnoredComparisonsAreTrue(t *testing.T) {
	for filter, want := range map[string]odata.Expr{
		"createdDateTime gt 2026-11-01T00:00:00Z":                                   nil,
		"createdDateTime gt 2026-11-01T00:00:00Z and userId eq 'x'":                 odata.And{textIs("userId", odata.Eq, "x")},
		"createdDateTime lt 2026-11-01T00:00:00Z or userId eq 'x'":                  nil,
		"createdDateTime gt 2026-11-01T00:00:00Z and createdDateTime lt 2026-12-01": nil,
	} {
		e, err := odata.Parse(filter)
		require.NoError(t, err)
		got, err := schema.Check(e, time.Time{})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got), filter)
	}
}

func TestWindow(t *testing.T) {
	const a, b, c, d = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", "2026-11-04T00:00:00Z"
	tests := map[string]struct {
		filter, from, to string
		exact            bool
	}{
		"closed":       {"t ge " + a + " and t le " + b, a, b, true},
		"narrowed":     {"t ge " + a + " and t ge " + b + " and t le " + d + " and t le " + c, b, c, true},
		"open":         {"t ge " + a, a, "", true},
		"equal":        {"t eq " + a, a, a, true},
		"strict":       {"t gt " + a + " and t lt " + b, "2026-11-01T00:00:00.0000001Z", "2026-11-01T23:59:59.9999999Z", true},
		"with another": {"t ge " + a + " and u eq 'x'", a, "", false},
		"hull of or":   {"(t ge " + a + " and t le " + b + ") or (t ge " + c + " and t le " + d + ")", a, d, false},
		"or without":   {"t ge " + a + " or u eq 'x'", "", "", false},
		"only another": {"u eq 'x'", "", "", false},
		"lambda":       {"u/any(x: x eq 'x') and t le " + b, "", b, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := odata.Parse(tt.filter)
			require.NoError(t, err)
			from, to, exact := odata.Window(e, "t", 100*time.Nanosecond)
			show := func(at time.Time) string {
				if at.IsZero() {
					return ""
				}
				return at.Format(time.RFC3339Nano)
			}
			require.Equal(t, []any{tt.from, tt.to, tt.exact}, []any{show(from), show(to), exact})
		})
	}
}

func TestMatch(t *testing.T) {
	const object = `{"id":"1","createdDateTime":"2026-11-01T00:00:00.5Z","userDisplayName":"O'Brien","isInteractive":true,
		"status":{"errorCode":50126,"failureReason":null},"signInEventTypes":["interactiveUser"],"targets":[{"id":"a"},{"id":"b"}]}`
	tests := map[string]bool{
		"id eq '1'": true, "id eq '2'": false, "id ne '2'": true,
		"createdDateTime ge 2026-11-01T00:00:00Z":                     true,
		"createdDateTime le 2026-11-01T00:00:00.4Z":                   false,
		"createdDateTime eq 2026-11-01T00:00:00.50Z":                  true,
		"createdDateTime gt 2026-11-01T00:00:00.5Z":                   false,
		"createdDateTime lt 2026-11-01T00:00:01Z":                     true,
		"status/errorCode eq 50126":                                   true,
		"status/errorCode ge 50127":                                   false,
		"status/failureReason eq null":                                true,
		"absent eq null":                                              true,
		"absent eq 'x'":                                               false,
		"id ne null":                                                  true,
		"isInteractive eq true":                                       true,
		"userDisplayName eq 'o''brien'":                               true,
		"startswith(userDisplayName,'O''')":                           true,
		"endswith(userDisplayName,'x')":                               false,
		"contains(userDisplayName,'BRI')":                             true,
		"signInEventTypes/any(t: t eq 'interactiveUser' or t eq 'x')": true,
		"targets/any(t: t/id eq 'b')":                                 true,
		"targets/any(t: t/id eq 'c')":                                 false,
		"id/any(t: t eq 'x')":                                         false,
		"id eq '2' or isInteractive eq true":                          true,
		"id eq '1' and isInteractive eq false":                        false,
		"signInEventTypes eq 'interactiveUser'":                       false,
	}
	for filter, want := range tests {
		e, err := odata.Parse(filter)
		require.NoError(t, err, filter)
		require.Equal(t, want, odata.Match(e, []byte(object)), filter)
		require.False(t, odata.Match(e, []byte("{")), filter)
	}
	require.True(t, odata.Match(nil, nil))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a eq 'b'", "a/any(t: t eq 'x')", "startswith(a,'b') and (b ge 2026-11-01 or c eq null)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := odata.Parse(s)
		if (e == nil) == (err == nil) {
			t.Fatal("neither or both")
		}
		if err == nil {
			odata.Match(e, []byte(`{"a":["b"]}`))
		}
	})
}
