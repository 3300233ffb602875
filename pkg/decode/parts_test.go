package decode

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func TestParseInstant(t *testing.T) {
	for text, want := range map[string]string{
		"2026-05-06T04:06:06.6547905Z":        "2026-05-06T04:06:06.6547905Z",
		"2026-05-06T04:06:06Z":                "2026-05-06T04:06:06Z",
		"2026-05-06t04:06:06z":                "2026-05-06T04:06:06Z",
		"2026-05-06 04:06:06.691680300":       "2026-05-06T04:06:06.6916803Z",
		"2026-05-06T04:06:06.123456789999":    "2026-05-06T04:06:06.123456789Z",
		"2026-05-06T04:06":                    "2026-05-06T04:06:00Z",
		"2026-05-06T04:06:06":                 "2026-05-06T04:06:06Z",
		"2026-05-06T04:06:06+02:00":           "2026-05-06T02:06:06Z",
		"2026-05-06T04:06:06.5-05:30":         "2026-05-06T09:36:06.5Z",
		"2026-05-06T04:06:06+0200":            "2026-05-06T02:06:06Z",
		"2026-05-06T04:06:06 +02":             "2026-05-06T02:06:06Z",
		"2026-05-06T9:59:27.958Z":             "2026-05-06T09:59:27.958Z",
		" 2024-02-29T00:00:00Z ":              "2024-02-29T00:00:00Z",
		"11/14/2025 1:48:53 AM":               "2025-11-14T01:48:53Z",
		"8/22/2022 6:07:16 PM":                "2022-08-22T18:07:16Z",
		"1/9/2007 12:00:00 AM":                "2007-01-09T00:00:00Z",
		"1/9/2007 12:00:00 PM":                "2007-01-09T12:00:00Z",
		"01/09/2007 09:41:00":                 "2007-01-09T09:41:00Z",
		"1/9/2007 10:41:00 AM +01:00":         "2007-01-09T09:41:00Z",
		"1/9/2007 13:41:00 PM":                "2007-01-09T13:41:00Z",
		"":                                    "",
		"yesterday":                           "",
		"String (timestamp)":                  "",
		"0001-01-01T00:00:00Z":                "",
		"2026-02-30T00:00:00Z":                "",
		"2026-13-01T00:00:00Z":                "",
		"2026-05-06T24:00:00Z":                "",
		"2026-05-06T04:60:00Z":                "",
		"2026-05-06T04:06:06.Z":               "",
		"2026-05-06T04:06:06Zx":               "",
		"2026-05-06T04:06:06+24:00":           "",
		"2026-05-06":                          "",
		"1/9/2007 13:41:00 AM":                "",
		"14/11/2025 1:48:53 AM":               "",
		"2021-10-26T16:28:17.8202975Z)":       "",
		"1/9/2007 0:41:00 AM":                 "2007-01-09T00:41:00Z",
		"2026-05-06T04:06:06.99999999999999Z": "2026-05-06T04:06:06.999999999Z",
	} {
		got := parseInstant(text)
		if want == "" {
			require.False(t, got.known, text)
			continue
		}
		require.True(t, got.known, text)
		require.Equal(t, want, got.timestamp().AsTime().Format(time.RFC3339Nano), text)
	}
}

func TestInstantBeforeTheEpochIsCutDown(t *testing.T) {
	at := parseInstant("1969-12-31T23:59:59.9999Z")
	require.EqualValues(t, -1, at.milliseconds())
}

func TestCleanAddress(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4":                  "1.2.3.4",
		" 1.2.3.4 ":                "1.2.3.4",
		"1.2.3.4:443":              "1.2.3.4",
		"2001:DB8::1":              "2001:db8::1",
		"2001:db8:0:0:0:0:0:1":     "2001:db8::1",
		"[2001:db8::1]:443":        "2001:db8::1",
		"[2001:db8::1]":            "2001:db8::1",
		"fe80::1%eth0":             "fe80::1",
		"::ffff:1.2.3.4":           "1.2.3.4",
		"[::ffff:1.2.3.4]:1":       "1.2.3.4",
		"":                         "",
		"123.456.7.89":             "",
		"1.2.3":                    "",
		"host:443":                 "",
		"1.2.3.4:x":                "",
		"<PII>":                    "",
		"[]":                       "",
		"2601:646:a000:200:6419::": "2601:646:a000:200:6419::",
	} {
		require.Equal(t, want, cleanAddress(text), text)
	}
}

// TestKindsNeverChange is part of every event id: no line may change.
func TestKindsNeverChange(t *testing.T) {
	for category, want := range map[string]string{
		"SignInLogs":                          "signin",
		"NonInteractiveUserSignInLogs":        "signin",
		"ServicePrincipalSignInLogs":          "signin",
		"MicrosoftServicePrincipalSignInLogs": "signin",
		"ManagedIdentitySignInLogs":           "signin",
		"ADFSSignInLogs":                      "signin",
		"signinlogs":                          "signin",
		"signin":                              "signin",
		"AuditLogs":                           "audit",
		"ProvisioningLogs":                    "provisioning",
		"RiskyUsers":                          "risky_user",
		"UserRiskEvents":                      "risk_detection",
		"RiskyServicePrincipals":              "risky_service_principal",
		"ServicePrincipalRiskEvents":          "service_principal_risk_detection",
		"MicrosoftGraphActivityLogs":          "graph_activity",
		"EnrichedOffice365AuditLogs":          "enriched_office365_audit",
		"NetworkAccessTrafficLogs":            "network_access_traffic",
		"NetworkAccessAlerts":                 "network_access_alert",
		"RemoteNetworkHealthLogs":             "remote_network_health",
		"B2CRequestLogs":                      "b2c_request",
		"CustomSecurityAttributeAuditLogs":    "custom_security_attribute_audit",
		"FunctionAppLogs":                     "function_app_logs",
		"AKSAudit":                            "aks_audit",
		"kube-audit.admin":                    "kube_audit_admin",
		"Office365Audit":                      "office365_audit",
		"__A..B__":                            "a_b",
		"日本":                                  "unknown",
		"":                                    "unknown",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ": "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl",
	} {
		require.Equal(t, want, KindOf(category), category)
		require.Equal(t, want, KindOf(want), "a kind is its own kind")
	}
}

func TestTablesOfCategoriesAgree(t *testing.T) {
	for name, row := range categories {
		found, ok := lookUp(row.name)
		require.True(t, ok)
		require.Equal(t, row, found, name)
	}
	for kind, name := range kindCategories {
		require.Equal(t, kind, KindOf(name))
	}
	for kind := range eventv1.SignInType_name {
		require.Equal(t, KindSignIn, KindOf(signInCategories[kind]))
	}
}

func TestOutcomeOf(t *testing.T) {
	for code, want := range map[int64]string{
		0: "success", 50140: "interrupted", 50074: "interrupted", 50055: "interrupted", 65001: "interrupted",
		81012: "interrupted", 50126: "failure", 500121: "failure", 53003: "failure", 50053: "failure",
		7000215: "failure", 81003: "failure", -1: "failure", 123456789: "failure",
	} {
		require.Equal(t, want, outcomeOf(code), code)
	}
}

func TestConditionMask(t *testing.T) {
	for text, want := range map[string]string{
		`0`: "none", `"0"`: "none", `"none"`: "none", `3`: "application,users", `"users, application"`: "application,users",
		`65536`: "insiderRisk", `131072`: "131072", `-1`: "-1", `"users,moonPhase"`: "users,moonPhase", `null`: "",
		`["time","none"]`: "time", `""`: "", `{}`: "",
	} {
		r := record{reader: reader{s: text}}
		require.Equal(t, want, r.conditions(), text)
	}
}

func TestLenientValues(t *testing.T) {
	for text, want := range map[string]int64{
		"7": 7, `"7"`: 7, `" 7 "`: 7, "7.0": 7, `"7e2"`: 700, "-3": -3, "9007199254740993": 9007199254740993,
	} {
		r := reader{s: text}
		got := r.integer()
		require.NotNil(t, got, text)
		require.Equal(t, want, *got, text)
		require.Equal(t, len(text), r.i)
	}
	for _, text := range []string{"7.5", `"x"`, "null", "1e30", "[]", "{}", "true", `"NaN"`, `"1e400"`} {
		r := reader{s: text}
		require.Nil(t, r.integer(), text)
		r = reader{s: text}
		require.Nil(t, r.unsigned(), text)
		require.Equal(t, len(text), r.i)
	}
	for text, want := range map[string]bool{"true": true, `"True"`: true, "1": true, `"FALSE"`: false, "0": false} {
		r := reader{s: text}
		require.Equal(t, want, *r.boolean(), text)
	}
	for _, text := range []string{"null", `"Boolean"`, "2", `""`} {
		r := reader{s: text}
		require.Nil(t, r.boolean(), text)
	}
	for _, text := range []string{"null", `"inf"`, `"NaN"`, `"0x1p-2x"`} {
		r := reader{s: text}
		require.Nil(t, r.number(), text)
	}
}

func TestRepair(t *testing.T) {
	for raw, want := range map[string]string{
		"\xEF\xBB\xBF{}":           `{}`,
		`{'a':'b"c\'d'}`:           `{"a":"b\"c'd"}`,
		"{\"a\":\"b\nc\x02\"}":     `{"a":"b\nc\u0002"}`,
		"{\"a\":\"b\\\nc\"}":       `{"a":"b\\\nc"}`,
		"{\n\"a\":\x00 1}":         `{"a": 1}`,
		`{"a":1} trailing {"b":2}`: `{"a":1}`,
		`{"a":"it's"}`:             `{"a":"it's"}`,
	} {
		got, ok := repair([]byte(raw))
		require.True(t, ok, raw)
		require.Equal(t, want, string(got))
	}
	for _, raw := range []string{"", "x{}", "{", `{"a":"}`, "[]"} {
		_, ok := repair([]byte(raw))
		require.False(t, ok, raw)
	}
}
