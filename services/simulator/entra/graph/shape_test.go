package graph

import (
	"bytes"
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
