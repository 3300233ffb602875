package eventhubs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

const (
	waitFor = 10 * time.Second
	tick    = time.Millisecond
)

func writeFile(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// byTime reads all events of the hub and returns them in the order of their enqueued time, which must be distinct.
func byTime(t *testing.T, s *pipeServer) []*azeventhubs.ReceivedEventData {
	t.Helper()
	at := make(map[int64]*azeventhubs.ReceivedEventData)
	var first, last int64 = 1 << 62, 0
	consumer := s.consumer(connectionAll)
	for _, p := range s.hub.State().Partitions {
		reader := s.reader(consumer, p.ID, azeventhubs.PartitionClientOptions{StartPosition: earliest})
		for _, e := range receive(timeout(t), t, reader, int(p.EventsIn)) {
			ms := e.EnqueuedTime.UnixMilli()
			require.NotContains(t, at, ms, "two messages at one millisecond")
			at[ms], first, last = e, min(first, ms), max(last, ms)
		}
	}
	var all []*azeventhubs.ReceivedEventData
	for ms := first; ms <= last; ms++ {
		if e := at[ms]; e != nil {
			all = append(all, e)
		}
	}
	return all
}

// TestReplayKeepsOrder replays files of each form and finds all records, in the files' order, by the hub's clock.
func TestReplayKeepsOrder(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "b.ndjson", "{\"n\":4}\n\n  {\"n\":5, \"n\":5}  \nnot json\n{\"records\":[{\"n\":6},{\"n\":7}]}\n{\"n\":8}")
	writeFile(t, folder, "a.json", `{"records": [{"n":0}, {"n":1}]}`)
	writeFile(t, folder, "a2.json", "[{\"n\":2},\n {\"n\":3}]")
	writeFile(t, folder, "c.json", "{\n  \"n\": 9\n}")
	writeFile(t, folder, "d.json", "{\"n\":10}\n{\"n\":11}\n{broken")
	writeFile(t, folder, "README.md", "not a record")
	s := newPipeServer(t, testConfig(3), eventhubs.Settings{})
	var progress []int64
	result, err := s.hub.Replay(timeout(t), eventhubs.ReplayOptions{
		Path: folder, BatchRecords: 3,
		Progress: func(r eventhubs.ReplayResult) { progress = append(progress, r.Records) },
	})
	require.NoError(t, err)
	var got []string
	messages := byTime(t, s)
	for _, m := range messages {
		var body struct {
			Records []struct{ N int }
		}
		if err := json.Unmarshal(m.Body, &body); err != nil {
			got = append(got, string(m.Body))
			continue
		}
		require.LessOrEqual(t, len(body.Records), 3)
		for _, r := range body.Records {
			got = append(got, fmt.Sprint(r.N))
		}
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "not json", "6", "7", "8", "9", "10", "11", "{broken"}, got)
	require.Equal(t, int64(14), result.Records)
	require.Equal(t, int64(2), result.Raw)
	require.Equal(t, 5, result.Files)
	require.Equal(t, int64(len(messages)), result.Messages)
	require.Equal(t, result.Records, progress[len(progress)-1])
	var in []int64
	for _, p := range s.hub.State().Partitions {
		in = append(in, p.EventsIn)
	}
	require.Equal(t, []int64{2, 2, 2}, in, "messages go round the partitions")
	require.Contains(t, string(messages[1].Body), `{"n":5, "n":5}`, "records keep their bytes")
}

func TestReplayBoundsMessages(t *testing.T) {
	folder := t.TempDir()
	record := `{"x":"` + strings.Repeat("y", 100_000) + `"}`
	path := writeFile(t, folder, "a.ndjson", strings.Repeat(record+"\n", 5)+`{"x":"`+strings.Repeat("z", 400_000)+`"}`)
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	result, err := s.hub.Replay(timeout(t), eventhubs.ReplayOptions{Path: path})
	require.NoError(t, err)
	require.Equal(t, int64(6), result.Records)
	require.Equal(t, int64(4), result.Messages, "2+2+1 records of 100 kB, and a large one alone")
	for _, e := range readAll(t, s, 4)[:3] {
		require.LessOrEqual(t, len(e.Body), eventhubs.DefaultBatchBytes)
	}
}

func TestReplayRate(t *testing.T) {
	path := writeFile(t, t.TempDir(), "a.ndjson", strings.Repeat("{}\n", 1000))
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
		start := time.Now()
		_, err := s.hub.Replay(t.Context(), eventhubs.ReplayOptions{Path: path, Rate: 100, BatchRecords: 10})
		require.NoError(t, err)
		require.Equal(t, 9900*time.Millisecond, time.Since(start), "a hundred messages, the first at once")
		start = time.Now()
		_, err = s.hub.Replay(t.Context(), eventhubs.ReplayOptions{Path: path, BatchRecords: 1})
		require.NoError(t, err)
		require.InDelta(t, time.Second, time.Since(start), float64(10*time.Millisecond), "one message a millisecond at most")
	})
}

func TestReplayFails(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	_, err := s.hub.Replay(t.Context(), eventhubs.ReplayOptions{Path: filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = s.hub.Replay(t.Context(), eventhubs.ReplayOptions{Path: t.TempDir()})
	require.ErrorContains(t, err, "no .json, .ndjson or .jsonl file")
	path := writeFile(t, t.TempDir(), "a.ndjson", "{}\n{}\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.hub.Replay(ctx, eventhubs.ReplayOptions{Path: path})
	require.ErrorIs(t, err, context.Canceled)
	s.hub.SetEnabled(false)
	_, err = s.hub.Replay(t.Context(), eventhubs.ReplayOptions{Path: path})
	require.ErrorIs(t, err, eventhubs.ErrDisabled)
}
