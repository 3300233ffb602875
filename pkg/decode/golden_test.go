package decode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// TestGolden decodes synthetic records of every category, with every oddity that the corpus lacks.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/records/*.in")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".in"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			var d decode.Decoder
			e, err := d.HubRecord(raw, origin())
			requireGolden(t, strings.TrimSuffix(file, ".in")+".golden.json", goldenOf(t, raw, e, err))
			if err == nil {
				checkRedecode(t, e)
			}
		})
	}
}

// goldenOf writes an event or an error as JSON, and the raw bytes behind it where they are not the input's.
func goldenOf(tb testing.TB, raw []byte, e *eventv1.Event, err error) []byte {
	tb.Helper()
	if fault, ok := errors.AsType[*decode.Error](err); ok {
		text, err := json.Marshal(fault)
		require.NoError(tb, err)
		return indented(tb, text)
	}
	require.NoError(tb, err)
	shown := proto.CloneOf(e)
	shown.Raw = nil
	text, err := protojson.Marshal(shown)
	require.NoError(tb, err)
	text = indented(tb, text)
	if bytes.Equal(e.GetRaw(), raw) {
		return text
	}
	return append(append(text, e.GetRaw()...), '\n')
}

// indented makes protojson's deliberately unstable spaces stable.
func indented(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	require.NoError(tb, json.Indent(&out, text, "", "  "))
	out.WriteByte('\n')
	return out.Bytes()
}

func requireGolden(tb testing.TB, file string, got []byte) {
	tb.Helper()
	if *update {
		require.NoError(tb, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(tb, err, "run with -update to write it")
	require.Equal(tb, string(want), string(got))
}
