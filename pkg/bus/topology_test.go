package bus_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/entraflow/entraflow/pkg/bus"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

func TestEveryMessageHasARowAndEveryRowAMessage(t *testing.T) {
	routes := bus.Routes()
	require.NotEmpty(t, routes)
	var withRow []string
	for _, route := range routes {
		row, ok := bus.FindStream(route.Stream)
		require.True(t, ok, "%s travels on %s, which has no row in Streams", route.Message, route.Stream)
		require.Contains(t, row.Subjects, route.Subjects())
		withRow = append(withRow, row.Name)
	}
	for _, row := range bus.Streams() {
		require.Contains(t, withRow, row.Name, "no message travels on %s", row.Name)
		require.NotEmpty(t, row.Writers, row.Name)
		if row.Name != statev1.CommandStream { // what was asked for is kept in the bucket runs
			require.Contains(t, row.Required(), bus.UserSink, "%s must reach ClickHouse", row.Name)
		}
		makesRoom := slices.ContainsFunc(row.Durables, func(d bus.Durable) bool { return d.Trims })
		require.NotEqual(t, row.MaxMessagesPerSubject > 0, makesRoom, "%s keeps its state or makes room", row.Name)
	}
}

func TestRoutesMatchTheMessages(t *testing.T) {
	for _, route := range bus.Routes() {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(route.Message)
		require.NoError(t, err)
		m, ok := kind.New().Interface().(bus.Message)
		require.True(t, ok, "%s has no generated BusSubject", route.Message)
		require.Equal(t, route.Stream, m.BusStream())
		require.Equal(t, strings.Count(route.Template, "."), strings.Count(m.BusSubject(), "."))
		require.True(t, strings.HasPrefix(m.BusSubject(), strings.SplitN(route.Template, "{", 2)[0]))
	}
}

func TestRowsNameKnownUsers(t *testing.T) {
	users := bus.Users()
	for _, s := range bus.Streams() {
		for _, user := range slices.Concat(s.Writers, s.Followers, s.Required()) {
			require.Contains(t, users, user)
		}
	}
	for _, b := range bus.Buckets() {
		for _, user := range slices.Concat(b.Writers, b.Readers) {
			require.Contains(t, users, user)
		}
	}
}

func TestTopologyCoversBlobs(t *testing.T) {
	blobs := slices.IndexFunc(bus.Buckets(), func(b bus.Bucket) bool { return b.Name == bus.BucketBlobs })
	for _, s := range bus.Streams() {
		if !s.Blobs {
			continue
		}
		require.Greater(t, bus.Buckets()[blobs].MaxAge, s.MaxAge+bus.BlobRefreshAge, "a message of %s may outlive its blob", s.Name)
	}
}

// `make generate` writes both files.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	for path, want := range map[string]string{
		"../../docs/streams.md":              bus.StreamsDoc(),
		"../../deploy/nats/permissions.conf": bus.PermissionsConf(),
	} {
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%s is stale: run make generate", path)
	}
}
