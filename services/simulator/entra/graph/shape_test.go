package graph

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShape(t *testing.T) {
	const object = `{"id":"1","incomingTokenType":"refreshToken","text":"a \"}, b","o":{"id":"2","x":[1,{"y":"]"}]},"n":null,"riskDetail":"none"}`
	tests := map[string]struct {
		shape shape
		want  string
	}{
		"as it is": {shape{}, object},
		"future":   {shape{future: future}, `{"id":"1","incomingTokenType":"unknownFutureValue","text":"a \"}, b","o":{"id":"2","x":[1,{"y":"]"}]},"n":null,"riskDetail":"none"}`},
		"keep":     {shape{keep: []string{"o", "n", "absent"}}, `{"o":{"id":"2","x":[1,{"y":"]"}]},"n":null}`},
		"drop":     {shape{drop: []string{"o", "text"}, future: future}, `{"id":"1","incomingTokenType":"unknownFutureValue","n":null,"riskDetail":"none"}`},
		"replace":  {shape{replace: map[string]string{"riskDetail": `"hidden"`}, keep: []string{"riskDetail"}}, `{"riskDetail":"hidden"}`},
		"nothing":  {shape{keep: []string{"absent"}}, `{}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			tt.shape.append(&b, []byte(object))
			require.Equal(t, tt.want, b.String())
		})
	}
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
		members(object, func(key, value []byte) {
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
