package decode_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// seed adds the synthetic records, alone and as a message.
func seed(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/records/*.in")
	require.NoError(f, err)
	var all [][]byte
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(raw)
		all = append(all, raw)
	}
	f.Add([]byte(`{"records":[` + string(bytes.Join(all, []byte(","))) + `]}`))
	f.Add([]byte(`{"value":[{"subscriptionId":"s"}]}`))
}

// checkSound checks what holds for every event: it can be sent, and its stored part gives it again.
func checkSound(t *testing.T, e *eventv1.Event, err error) {
	t.Helper()
	if err != nil {
		var fault *decode.Error
		require.ErrorAs(t, err, &fault)
		return
	}
	body, err := proto.Marshal(e)
	require.NoError(t, err, "an event must be valid protobuf, its strings UTF-8")
	var again eventv1.Event
	require.NoError(t, proto.Unmarshal(body, &again))
	require.NoError(t, e.GetOccurredAt().CheckValid())
	require.NotEmpty(t, e.GetKind())
	require.NotEmpty(t, e.GetTenantId())
	require.NotEmpty(t, e.GetCategory())
	require.NotNil(t, e.GetPayload())
	checkRedecode(t, e)
}

func FuzzSplit(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.HasPrefix(body, []byte("\x1F\x8B")) {
			return
		}
		var d decode.Decoder
		before := bytes.Clone(body)
		parts := d.Split(body)
		require.Equal(t, before, body)
		checkNothingLost(t, body, parts)
		require.Equal(t, shown(parts), shown(d.Split(body)))
	})
}

// wrapping matches what may stand between parts: brackets, separators, the names of wrappers and the
// metadata beside a value array.
var wrapping = regexp.MustCompile(`(?is)^(\xEF\xBB\xBF)?([\s,\[\]{}]|["']*(records|value)["'\s]*:|"@.*)*$`)

// checkNothingLost shows that the parts lie in the body one behind the other, but for members that stand
// before a list and are told first, and that no byte is lost between them.
func checkNothingLost(t *testing.T, body []byte, parts []decode.Record) {
	t.Helper()
	gaps := bytes.Clone(body)
	for i, part := range parts {
		require.Equal(t, i, part.Index)
		require.NotEmpty(t, part.Raw)
		from := int(uintptr(unsafe.Pointer(unsafe.SliceData(part.Raw))) - uintptr(unsafe.Pointer(unsafe.SliceData(body))))
		require.GreaterOrEqual(t, from, 0)
		require.LessOrEqual(t, from+len(part.Raw), len(body))
		for at := from; at < from+len(part.Raw); at++ {
			gaps[at] = ','
		}
	}
	require.Regexp(t, wrapping, string(gaps))
}

func FuzzHubRecord(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d decode.Decoder
		before := bytes.Clone(raw)
		e, err := d.HubRecord(raw, graphOrigin())
		require.Equal(t, before, raw)
		checkSound(t, e, err)
		again, err2 := d.HubRecord(raw, graphOrigin())
		require.Equal(t, err, err2)
		require.Empty(t, cmp.Diff(e, again, protocmp.Transform()))
	})
}

func FuzzGraphObject(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d decode.Decoder
		for _, category := range []string{"SignInLogs", "AuditLogs", "UserRiskEvents", "RiskyUsers", "ProvisioningLogs", "New"} {
			e, err := d.GraphObject(category, raw, graphOrigin())
			checkSound(t, e, err)
		}
	})
}
