package decode_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/decode"
)

// Records for the tests of Split: sound ones, and ways to damage one.
const (
	recordA = `{"time":"2026-01-01T00:00:00Z","category":"AuditLogs","tenantId":"t","properties":{"id":"a","tags":[{"k":1},{"k":2}]}}`
	recordB = `{"time":"2026-01-01T00:00:00Z","category":"SignInLogs","tenantId":"t","properties":{"id":"b"}}`
)

// shown writes the parts of a message in one line each: the reason, or "record", and the bytes.
func shown(parts []decode.Record) []string {
	var lines []string
	for i, part := range parts {
		what := "record"
		if part.Err != nil {
			what = part.Err.Reason
		}
		if part.Index != i {
			what += fmt.Sprintf(" with index %d", part.Index)
		}
		lines = append(lines, what+" "+string(part.Raw))
	}
	return lines
}

func TestSplit(t *testing.T) {
	record := func(raw string) string { return "record " + raw }
	sound := []string{record(recordA), record(recordB)}
	tests := map[string]struct {
		body string
		want []string
	}{
		"empty":           {body: ""},
		"white space":     {body: " \r\n\t"},
		"no records":      {body: `{"records":[]}`},
		"records":         {body: `{"records":[` + recordA + `,` + recordB + `]}`, want: sound},
		"records, spaces": {body: "\xEF\xBB\xBF { \"Records\" : [\n" + recordA + "\n,\n" + recordB + "\n] } \n", want: sound},
		"array":           {body: `[` + recordA + `,` + recordB + `]`, want: sound},
		"object":          {body: recordA, want: sound[:1]},
		"lines":           {body: recordA + "\n" + recordB + "\r\n", want: sound},
		"lines of messages": {
			body: `{"records":[` + recordA + `]}` + "\n" + `[` + recordB + `]`, want: sound,
		},
		"records is one object": {body: `{"records":` + recordA + `}`, want: sound[:1]},
		"members beside":        {body: `{"a":1,"records":[` + recordA + `],"b":{"c":[2]}}`, want: []string{`payload_invalid "a":1`, sound[0], `payload_invalid "b":{"c":[2]}`}},
		"elements that are none": {body: `[1,` + recordA + `,null,"x",[2]]`, want: []string{
			"payload_invalid 1", sound[0], "payload_invalid null", `payload_invalid "x"`, "payload_invalid [2]",
		}},
		"change notifications": {
			body: `{"@odata.context":"c","value":[{"subscriptionId":"s","changeType":"updated"},` + recordA + `],"validationTokens":["v"]}`,
			want: []string{
				`change_notification {"subscriptionId":"s","changeType":"updated"}`, sound[0], `payload_invalid "validationTokens":["v"]`,
			},
		},
		"value of a record":    {body: `{"time":"x","value":[{"a":1}]}`, want: []string{record(`{"time":"x","value":[{"a":1}]}`)}},
		"no JSON":              {body: "hello", want: []string{"unreadable_json hello"}},
		"no JSON and a record": {body: "hello\n" + recordA, want: []string{"unreadable_json hello", sound[0]}},
		"cut":                  {body: `{"records":[` + recordA + `,{"time":"2026`, want: []string{sound[0], record(`{"time":"2026`)}},
		"cut between":          {body: `{"records":[` + recordA + `,`, want: sound[:1]},
		"tail":                 {body: `{"records":[` + recordA + `]}]} x`, want: []string{sound[0], "unreadable_json ]} x"}},
		"bad word":             {body: `{"records":[{"a":tru},` + recordA + `]}`, want: []string{record(`{"a":tru}`), sound[0]}},
		"bad word in a list":   {body: `[tru,` + recordA + `]`, want: []string{"unreadable_json tru", sound[0]}},
		"open string":          {body: `{"records":[{"a":"x},` + recordA + `,` + recordB + `]}`, want: []string{record(`{"a":"x}`), sound[0], sound[1]}},
		"open string last": {
			body: `{"records":[` + recordA + `,{"a":"x}]}`, want: []string{sound[0], record(`{"a":"x}]}`)},
		},
		"open object": {body: `{"records":[{"a":{"b":1,` + recordA + `]}`, want: []string{record(`{"a":{"b":1`), sound[0]}},
		"single quotes": {
			body: `{'records': [{'a': 'it\'s {', 'b': [1]}, ` + recordA + `]}`,
			want: []string{record(`{'a': 'it\'s {', 'b': [1]}`), sound[0]},
		},
		"newline in a string": {body: "{\"records\":[{\"a\":\"x\ny\"}," + recordA + `]}`, want: []string{record("{\"a\":\"x\ny\"}"), sound[0]}},
		"damaged line":        {body: recordA + "\n{\"a\":\n" + recordB, want: []string{sound[0], record(`{"a":`), sound[1]}},
		"too deep": {
			body: "[" + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "," + recordA + "]",
			want: []string{"unreadable_json " + strings.Repeat("[", 70) + strings.Repeat("]", 70), sound[0]},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var d decode.Decoder
			require.Equal(t, test.want, shown(d.Split([]byte(test.body))))
		})
	}
}

// TestSplitKeepsNeighbors damages one record of a message at every byte: the others must come out whole.
func TestSplitKeepsNeighbors(t *testing.T) {
	var d decode.Decoder
	body := []byte(`{"records":[` + recordB + `,` + recordA + `,` + recordB + `]}`)
	start := len(`{"records":[` + recordB + `,`)
	for i := range recordA {
		for _, c := range []byte{'"', '{', '}', '[', ']', '\\', ',', '\n', 0, '\'', 0xFF} {
			damaged := bytes.Clone(body)
			damaged[start+i] = c
			n := 0
			for _, part := range d.Split(damaged) {
				if string(part.Raw) == recordB && part.Err == nil {
					n++
				}
			}
			require.Equal(t, 2, n, "%q at %d", c, i)
		}
	}
}

func TestSplitGzip(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(`{"records":[` + recordA + `]}`))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	var d decode.Decoder
	require.Equal(t, []string{"record " + recordA}, shown(d.Split(zipped.Bytes())))

	for name, body := range map[string][]byte{
		"no gzip": []byte("\x1F\x8Bx"),
		"cut":     zipped.Bytes()[:zipped.Len()-9],
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{"unreadable_json " + string(body)}, shown(d.Split(body)))
		})
	}
	small := decode.New(decode.Limits{MaxInflated: 100})
	parts := small.Split(zipped.Bytes())
	require.Len(t, parts, 1)
	require.Contains(t, parts[0].Err.Detail, "more than 100 bytes")
}

func TestSplitBoundsRecords(t *testing.T) {
	d := decode.New(decode.Limits{MaxRecords: 2})
	require.Equal(t,
		[]string{"record {}", "record {}", `too_many_records {"a":1},{}]}`},
		shown(d.Split([]byte(`{"records":[{},{},{"a":1},{}]}`))))
	require.Equal(t,
		[]string{"record {}", "record {}", `too_many_records {"a":,{}]}`},
		shown(d.Split([]byte(`{"records":[{},{},{"a":,{}]}`))))
}

// TestSplitBoundsWork gives the search for sound records the worst to do: it must end soon all the same.
func TestSplitBoundsWork(t *testing.T) {
	var d decode.Decoder
	body := []byte(`{"records":[{"a":` + strings.Repeat(`,{"time":1,"category":2,"x":`, 40_000))
	parts := d.Split(body)
	total := 0
	for _, part := range parts {
		total += len(part.Raw)
	}
	require.GreaterOrEqual(t, total, len(body)-len(parts)-len(`{"records":[`))
}

// TestSplitLargeUnreadable is a message of 1 MB that cannot be read: one part, all of its bytes.
func TestSplitLargeUnreadable(t *testing.T) {
	var d decode.Decoder
	body := append([]byte(`{"records":[{"time":"`), bytes.Repeat([]byte{'x', '{', 0}, 350_000)...)
	parts := d.Split(body)
	require.Len(t, parts, 1)
	require.Equal(t, body[len(`{"records":[`):], parts[0].Raw)
	_, err := d.HubRecord(parts[0].Raw, origin())
	requireReason(t, err, decode.ReasonUnreadableJSON)
}
