package records_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/internal/records"
)

func collect(t *testing.T, text string) (all []string) {
	t.Helper()
	require.NoError(t, records.EachOfDocument(strings.NewReader(text), func(r records.Record) error {
		prefix := ""
		if r.Raw {
			prefix = "raw "
		}
		all = append(all, prefix+string(r.Data))
		return nil
	}))
	return all
}

func TestEachOfDocument(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"nothing":                  {"", nil},
		"one record":               {"{ \"a\":1,\n \"a\":2 }", []string{"{ \"a\":1,\n \"a\":2 }"}},
		"array":                    {` [{"a":1}, 2] `, []string{`{"a":1}`, "2"}},
		"records":                  {`{"records":[{"a":1},{"b":2}]}`, []string{`{"a":1}`, `{"b":2}`}},
		"no records":               {`{"records":[]}`, nil},
		"records that are no list": {`{"records":5}`, []string{`{"records":5}`}},
		"lines":                    {"{\"a\":1}\n\n{broken\n[1,2]\n", []string{`{"a":1}`, "raw {broken", "1", "2"}},
		"invalid UTF-8":            {"{\"a\":\"\xff\"}\n{}\n", []string{"{\"a\":\"\xff\"}", "{}"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, collect(t, tt.text)) })
	}
}

func TestBatcher(t *testing.T) {
	b := records.NewBatcher(2, 40)
	message, count := b.Take()
	require.Nil(t, message)
	require.Zero(t, count)
	require.False(t, b.Full(1000), "a large record is a message of its own")
	b.Add([]byte(`{"a":1}`))
	require.False(t, b.Full(7))
	require.True(t, b.Full(40))
	b.Add([]byte(`{"b":2}`))
	require.True(t, b.Full(7))
	message, count = b.Take()
	if want := `{"records":[{"a":1},{"b":2}]}`; string(message) != want {
		t.Fatalf("got %s, want %s", message, want) // the bytes, not the meaning
	}
	require.Equal(t, 2, count)
}

// FuzzEachOfDocument loses no record that is JSON, whatever surrounds it.
func FuzzEachOfDocument(f *testing.F) {
	f.Add(`{"records":[{"a":1}]}`)
	f.Add("{}\n{x\n[]")
	f.Fuzz(func(t *testing.T, text string) {
		_ = records.EachOfDocument(strings.NewReader(text), func(r records.Record) error {
			if json.Valid(r.Data) == r.Raw {
				t.Fatalf("%q is wrongly raw %t", r.Data, r.Raw)
			}
			return nil
		})
	})
}
