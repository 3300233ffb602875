package jsonwalk_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
)

func TestSet(t *testing.T) {
	const object = `{"a":1,"b":{"c":"}"},"d":[1,2]}`
	names := []string{"d", "e", "b", "z"}
	got := jsonwalk.Set([]byte(object), names, map[string]string{"a": "null", "e": `"x"`, "d": "", "z": ""})
	require.Empty(t, cmp.Diff(`{"a":null,"b":{"c":"}"},"e":"x"}`, string(got)))
	require.Empty(t, cmp.Diff(`{"c":"}"}`, string(jsonwalk.Get([]byte(object), "b"))))
	require.Nil(t, jsonwalk.Get([]byte(object), "c"))
}

// FuzzMembers holds the scanner of members against encoding/json.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[{"c":"}"}],"d":{"e":null}}`))
	f.Add([]byte(` { "a" : "x\\" , "b" : true } `))
	f.Fuzz(func(t *testing.T, object []byte) {
		var want map[string]json.RawMessage
		if json.Unmarshal(object, &want) != nil || want == nil {
			return
		}
		got := map[string]string{}
		jsonwalk.Members(object, func(key, value []byte) {
			var name string
			if json.Unmarshal([]byte(`"`+string(key)+`"`), &name) == nil {
				got[name] = string(value)
			}
		})
		require.Len(t, got, len(want))
		for name, value := range want {
			require.Equal(t, string(value), got[name])
		}
	})
}
