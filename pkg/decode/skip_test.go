package decode

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// valid is json.Valid by this package, and whether the nesting was too deep.
func valid[T jsonText](s T) (ok, deep bool) {
	end, f := skipValue(s, 0)
	return f == noFault && trailing(string(s), end) == noFault, f == faultDepth
}

func TestSkipValueIsJSON(t *testing.T) {
	for text, want := range map[string]bool{
		"{}": true, "[]": true, " { } ": true, "null": true, "-0.5e+3": true, `"\u00e9\n"`: true, `{"a":[1,{"b":2}],"c":{}}`: true,
		"": false, "{": false, "[1,]": false, `{"a":1,}`: false, `{"a"}`: false, `{a:1}`: false, "01": false, "1.": false, "-": false,
		"1e": false, "+1": false, "tru": false, "nullx": false, `"\x"`: false, `"\u12"`: false, "\"\n\"": false, `"a`: false,
		"[1 2]": false, "{} {}": false, "]": false, "[}": false, `{"a":}`: false, `{"a" 1}`: false, "\"\\\"": false, ",": false,
	} {
		ok, _ := valid(text)
		require.Equal(t, want, ok, "%q", text)
		require.Equal(t, json.Valid([]byte(text)), ok, "%q", text)
	}
}

func TestSkipValueBoundsDepth(t *testing.T) {
	nest := func(n int) string { return strings.Repeat(`{"a":[`, n/2) + strings.Repeat("]}", n/2) }
	ok, _ := valid(nest(maxDepth))
	require.True(t, ok)
	_, deep := valid(nest(maxDepth + 2))
	require.True(t, deep)
}

// TestFaultsSayNothingOfTheRecord walks over every way to cut and damage a record.
func TestFaultsSayNothingOfTheRecord(t *testing.T) {
	const secret = "SECRET"
	raw := `{"` + secret + `":"` + secret + `","time":["` + secret + `",1.5,true,null,{}]}`
	var d Decoder
	for i := range raw {
		for _, damaged := range []string{raw[:i], raw[:i] + "\x01" + raw[i:], raw[:i] + "'" + raw[i:], raw[:i] + "\\" + raw[i:]} {
			_, err := d.HubRecord([]byte(damaged), Origin{})
			require.Error(t, err)
			require.NotContains(t, err.Error(), secret)
		}
	}
}

func FuzzSkipValue(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.*")
	require.NoError(f, err)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(body)
	}
	for _, text := range []string{`"\ud800\u0041"`, "1E-2", "[[[]]]", "\"\u2028\x7f\xff\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ok, deep := valid(body)
		okText, _ := valid(string(body))
		require.Equal(t, ok, okText)
		if !deep {
			require.Equal(t, json.Valid(body), ok)
		}
	})
}

// FuzzReadString compares the reader's strings with encoding/json's.
func FuzzReadString(f *testing.F) {
	for _, text := range []string{`"a"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83d\ud83d\ude00"`, `"\ude00\\\/\b\f\n\r\t\""`, `"é\u00E9"`, `"\uFFFD"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want string
		if text == "" || text[0] != '"' || json.Unmarshal([]byte(text), &want) != nil {
			return
		}
		r := reader{s: strings.ToValidUTF8(text, "\uFFFD")}
		require.NoError(t, json.Unmarshal([]byte(r.s), &want))
		require.Equal(t, want, r.str())
	})
}
