package decode_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// comparable takes away what differs by nature: the way, the bytes, the version.
func comparable(e *eventv1.Event) *eventv1.Event {
	c := proto.CloneOf(e)
	c.Source, c.Raw, c.Version = 0, nil, 0
	return c
}

// requirePair shows that the same fact from Graph and from a hub is one event.
func requirePair(tb testing.TB, category string, graph, hub []byte) (fromGraph, fromHub *eventv1.Event) {
	tb.Helper()
	var d decode.Decoder
	fromHub, err := d.HubRecord(hub, origin())
	require.NoError(tb, err)
	o := graphOrigin()
	o.TenantID = fromHub.GetTenantId()
	fromGraph, err = d.GraphObject(category, graph, o)
	require.NoError(tb, err)
	require.Equal(tb, fromGraph.GetId(), fromHub.GetId())
	require.Empty(tb, cmp.Diff(comparable(fromGraph), comparable(fromHub), protocmp.Transform()), "-graph +hub")
	return fromGraph, fromHub
}

// TestPairs compares records written by hand in both forms.
func TestPairs(t *testing.T) {
	files, err := filepath.Glob("testdata/pairs/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			var pair struct{ Graph, Hub json.RawMessage }
			require.NoError(t, json.Unmarshal(body, &pair))
			// The category is asked for wrongly on purpose where the object tells it itself.
			category := asText(at(asMap(t, pair.Hub), "category"))
			if strings.HasSuffix(category, "SignInLogs") {
				category = decode.KindSignIn
			}
			fromGraph, fromHub := requirePair(t, category, pair.Graph, pair.Hub)
			require.Empty(t, fromGraph.GetNotes())
			require.Equal(t,
				bus.ParseVersion(fromGraph.GetVersion()).Complete, bus.ParseVersion(fromHub.GetVersion()).Complete)
		})
	}
}

// TestPairsFromCorpus turns Graph's documented sign-ins into the form of a hub and compares.
func TestPairsFromCorpus(t *testing.T) {
	corpusFolder(t)
	for _, file := range graphFiles {
		if file.dataType != interactive {
			continue
		}
		t.Run(file.path, func(t *testing.T) {
			for _, object := range graphCorpus(t, file.path) {
				var signIn map[string]any
				require.NoError(t, json.Unmarshal(object, &signIn))
				hub, err := json.Marshal(map[string]any{
					"time":          "11/14/2025 1:48:53 AM",
					"resourceId":    "/tenants/" + fallbackTenant + "/providers/Microsoft.aadiam",
					"category":      "SignInLogs",
					"tenantId":      strings.ToUpper(fallbackTenant),
					"operationName": "Sign-in activity",
					"level":         "4",
					"durationMs":    "0",
					"properties":    hubForm(signIn),
				})
				require.NoError(t, err)
				requirePair(t, "SignInLogs", object, hub)
			}
		})
	}
}

// hubForm writes a sign-in of Graph the way a hub does: no nulls, no false among a device's flags, bit
// masks for conditions, other spellings, the offset instead of Z.
func hubForm(signIn map[string]any) map[string]any {
	hub := map[string]any{"privateLinkDetails": map[string]any{}, "mfaDetail": map[string]any{}}
	for name, value := range signIn {
		switch v := value.(type) {
		case nil:
			continue
		case map[string]any:
			inner := map[string]any{}
			for name, value := range v {
				if value != nil && value != false {
					inner[name] = value
				}
			}
			hub[name] = inner
		default:
			hub[name] = value
		}
	}
	delete(hub, "signInEventTypes")
	created, _ := signIn["createdDateTime"].(string)
	hub["createdDateTime"] = strings.TrimSuffix(created, "Z") + "+00:00"
	if kind, ok := signIn["userType"].(string); ok {
		hub["userType"] = strings.ToUpper(kind[:1]) + kind[1:]
	}
	policies, _ := signIn["appliedConditionalAccessPolicies"].([]any)
	for _, policy := range policies {
		for _, conditions := range []string{"conditionsSatisfied", "conditionsNotSatisfied"} {
			if at(policy, conditions) == "none" {
				policy.(map[string]any)[conditions] = 0 //nolint:forcetypeassert,errcheck // at looked into it
			}
		}
	}
	return hub
}

func TestPairsWithheldByGraph(t *testing.T) {
	const properties = `"id":"1","createdDateTime":"2026-01-01T00:00:00Z","conditionalAccessStatus":"failure"`
	hub := `{"category":"SignInLogs","tenantId":"t","properties":{` + properties + `}}`
	for name, graph := range map[string]string{
		"absent": `{` + properties + `}`,
		"null":   `{` + properties + `,"appliedConditionalAccessPolicies":null}`,
		"empty":  `{` + properties + `,"appliedConditionalAccessPolicies":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			fromGraph, fromHub := requirePair(t, "SignInLogs", []byte(graph), []byte(hub))
			require.False(t, bus.ParseVersion(fromGraph.GetVersion()).Complete)
			require.True(t, bus.ParseVersion(fromHub.GetVersion()).Complete)
			require.Greater(t, fromHub.GetVersion(), fromGraph.GetVersion())
		})
	}
}
