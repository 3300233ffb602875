package decode_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/decode"
)

// update makes the golden files anew: go test ./pkg/decode -update. Read the difference as code.
var update = flag.Bool("update", false, "write the golden files in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const fallbackTenant = "99999999-0000-4000-8000-000000000009"

// origin is where the records of the tests come from. It has no tenant.
func origin() decode.Origin {
	return decode.Origin{
		Integration: "test",
		ObservedAt:  time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC),
		Clock:       time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
		Partition:   3,
		Sequence:    42,
		Index:       7,
	}
}

// graphOrigin is origin for objects of Graph, which do not name their tenant.
func graphOrigin() decode.Origin {
	o := origin()
	o.TenantID = fallbackTenant
	return o
}

// corpusFolder is where the reference corpora are, which are no part of the project.
func corpusFolder(tb testing.TB) string {
	tb.Helper()
	folder := os.Getenv("ENTRAFLOW_CORPUS")
	require.DirExists(tb, filepath.Join(folder, "eventhub"),
		"set ENTRAFLOW_CORPUS to the folder of the reference corpora (it holds eventhub/ and graph/)")
	return folder
}

// corpus reads a file of the reference corpora.
func corpus(tb testing.TB, path ...string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join(append([]string{corpusFolder(tb)}, path...)...))
	require.NoError(tb, err)
	return body
}

// hubCorpus returns the lines of a file of records.
func hubCorpus(tb testing.TB, name string) [][]byte {
	tb.Helper()
	return bytes.Split(bytes.TrimSpace(corpus(tb, "eventhub", name)), []byte("\n"))
}

// graphCorpus returns the objects of Graph's documented answers: of a list, or the answer itself.
func graphCorpus(tb testing.TB, path string) []json.RawMessage {
	tb.Helper()
	body := corpus(tb, append([]string{"graph"}, strings.Split(path, "/")...)...)
	var page struct {
		Value json.RawMessage
	}
	require.NoError(tb, json.Unmarshal(body, &page))
	if len(page.Value) == 0 {
		return []json.RawMessage{body}
	}
	var objects []json.RawMessage
	if json.Unmarshal(page.Value, &objects) != nil {
		return []json.RawMessage{page.Value}
	}
	return objects
}

// asMap decodes JSON with names in lower case, the way the reference looks at records.
func asMap(tb testing.TB, raw []byte) map[string]any {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	require.NoError(tb, d.Decode(&value))
	lowered, ok := lowerNames(value).(map[string]any)
	require.True(tb, ok)
	return lowered
}

func lowerNames(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[strings.ToLower(name)] = lowerNames(member)
		}
		return out
	case []any:
		for i := range v {
			v[i] = lowerNames(v[i])
		}
		return v
	default:
		return v
	}
}
