package bus_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// The vectors never change and -update does not touch them: ids in streams, tables and other
// people's systems depend on them.
func TestGoldenIDs(t *testing.T) {
	var vectors []struct {
		Name, Tenant, Kind, SourceID, Raw string
		Event, Graph                      string
	}
	golden(t, "ids.json", &vectors)
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			require.Equal(t, v.Event, bus.EventID(v.Tenant, v.Kind, v.SourceID, []byte(v.Raw)))
			require.Equal(t, v.Graph, bus.GraphMessageID(v.Tenant, v.Kind, []byte(v.Raw)))
		})
	}
}

func TestGoldenVersions(t *testing.T) {
	var vectors []struct {
		Name      string
		Complete  bool
		Clock     time.Time
		Partition int
		Sequence  int64
		Index     int
		Version   uint64
		Parts     bus.VersionParts
	}
	golden(t, "versions.json", &vectors)
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			require.Equal(t, v.Version, bus.Version(v.Complete, v.Clock, v.Partition, v.Sequence, v.Index))
			require.Empty(t, cmp.Diff(v.Parts, bus.ParseVersion(v.Version)))
		})
	}
}

func TestGoldenDeadLetterIDs(t *testing.T) {
	var vectors []struct {
		Name   string
		Letter json.RawMessage
		ID     string
	}
	golden(t, "dead_letters.json", &vectors)
	require.NotEmpty(t, vectors)
	conn := bustest.New(t).Connect(t, bus.UserStreamer)
	writer := bus.NewDeadLetters(conn, bustest.Publisher(t, conn))
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			letter := new(eventv1.DeadLetter)
			require.NoError(t, protojson.Unmarshal(v.Letter, letter))
			require.Equal(t, bus.PublishOptions{MessageID: "dead:" + v.ID}, writer.Seal(letter))
			require.Equal(t, v.ID, letter.GetId())
		})
	}
}

func TestIDsTellPartsApart(t *testing.T) {
	ids := map[string]string{}
	for _, parts := range [][4]string{
		{"a", "b", "c", ""},
		{"ab", "", "c", ""},
		{"", "ab", "c", ""},
		{"a", "bc", "", ""},
		{"a", "b", "", "c"},
		{"a", "b", "", ""},
		{"a", "", "b", "c"},
		{"b", "a", "c", ""},
	} {
		id := bus.EventID(parts[0], parts[1], parts[2], []byte(parts[3]))
		require.Len(t, id, 32)
		require.Empty(t, ids[id], "%q", parts)
		ids[id] = parts[0]
	}
	require.Equal(t, bus.EventID("a", "b", "", nil), bus.EventID("a", "b", "", []byte{}))
	require.Equal(t, bus.EventID("a", "b", "c", nil), bus.EventID("a", "b", "c", []byte("anything")), "the record's bytes do not matter where the source gives an id")
}

func TestVersionsOrder(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	ascending := []uint64{
		bus.Version(false, at, 31, 63, 1023),
		bus.Version(false, at.Add(time.Millisecond), 0, 0, 0),
		bus.Version(true, at.Add(-24*time.Hour), 0, 0, 0), // complete beats newer and poorer
		bus.Version(true, at, 0, 0, 0),
		bus.Version(true, at, 0, 0, 1),
		bus.Version(true, at, 0, 1, 0),
		bus.Version(true, at, 1, 0, 0),
		bus.Version(true, at.Add(time.Millisecond), 0, 0, 0),
	}
	for i := range ascending[1:] {
		require.Less(t, ascending[i], ascending[i+1], "at %d", i)
	}
}

func TestMessageIDs(t *testing.T) {
	require.Equal(t, "hub:ns.example/logs/3:42:1", bus.HubMessageID("ns.example", "logs", "3", 42, 1))
	require.Equal(t, "dead:abc", bus.DeadLetterMessageID(&eventv1.DeadLetter{Id: "abc"}))
}

func TestKeys(t *testing.T) {
	key := bus.Key("ns.example", "logs", "$Default", "", "0")
	require.Equal(t, "ns=2Eexample.logs.=24Default._.0", key)
	parts, ok := bus.ParseKey(key)
	require.True(t, ok)
	require.Equal(t, []string{"ns.example", "logs", "$Default", "", "0"}, parts)
	_, ok = bus.ParseKey("a..b")
	require.False(t, ok)
}

func golden(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}
