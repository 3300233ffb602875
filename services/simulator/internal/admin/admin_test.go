package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/simulator/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type client struct {
	t    *testing.T
	api  *admin.API
	hubs *eventhubs.Server
}

func newClient(t *testing.T) *client {
	t.Helper()
	hubs, err := eventhubs.New(eventhubs.DefaultConfig(), eventhubs.Settings{})
	require.NoError(t, err)
	api := admin.New(t.Context(), hubs, config.NewSecret("secret"))
	t.Cleanup(api.Close)
	return &client{t: t, api: api, hubs: hubs}
}

// do sends a request, checks the status and decodes the answer into out, unless that is nil.
func (c *client) do(method, path, body string, status int, out any) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	c.api.ServeHTTP(w, r)
	require.Equal(c.t, status, w.Code, w.Body.String())
	if out != nil {
		require.NoError(c.t, json.Unmarshal(w.Body.Bytes(), out))
	}
}

func TestTokenIsNeeded(t *testing.T) {
	c := newClient(t)
	for _, header := range []string{"", "Bearer wrong", "secret", "Basic secret"} {
		r := httptest.NewRequest(http.MethodGet, "/v1/state", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		c.api.ServeHTTP(w, r)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.NotContains(t, w.Body.String(), "hubs")
	}
}

func TestHubs(t *testing.T) {
	c := newClient(t)
	c.do("POST", "/v1/hubs", `{"name":"new","partitions":2,"consumer_groups":["g"]}`, http.StatusCreated, nil)
	c.do("POST", "/v1/hubs", `{"name":"new","partitions":2}`, http.StatusConflict, nil)
	c.do("POST", "/v1/hubs", `{"name":"bad name","partitions":2}`, http.StatusBadRequest, nil)
	c.do("POST", "/v1/hubs", `{"name":"x","partitions":0}`, http.StatusBadRequest, nil)
	c.do("POST", "/v1/hubs", `{"title":"x"}`, http.StatusBadRequest, nil)
	c.do("POST", "/v1/hubs", `{"namespace":"none","name":"x","partitions":1}`, http.StatusNotFound, nil)
	var hubs []eventhubs.HubState
	c.do("GET", "/v1/hubs", "", http.StatusOK, &hubs)
	require.Len(t, hubs, 2)
	var hub eventhubs.HubState
	c.do("PATCH", "/v1/hubs/new", `{"enabled":false}`, http.StatusOK, &hub)
	require.False(t, hub.Enabled)
	c.do("POST", "/v1/hubs/new/events", "x", http.StatusConflict, nil)
	c.do("GET", "/v1/hubs/none", "", http.StatusNotFound, nil)
	c.do("GET", "/v1/none", "", http.StatusNotFound, nil)
}

func TestAppend(t *testing.T) {
	c := newClient(t)
	var receipt struct {
		Partition      string
		SequenceNumber int64 `json:"sequence_number"`
	}
	c.do("POST", "/v1/hubs/entra/events?partition=2", "raw \x00 bytes", http.StatusCreated, &receipt)
	c.do("POST", "/v1/hubs/entra/events?partition=2", "again", http.StatusCreated, &receipt)
	require.Equal(t, "2", receipt.Partition)
	require.Equal(t, int64(1), receipt.SequenceNumber)
	c.do("POST", "/v1/hubs/entra/events?partition=9", "x", http.StatusNotFound, nil)
	var result eventhubs.ReplayResult
	c.do("POST", "/v1/hubs/entra/records?batch_records=2", "{}\n{}\nnot json\n{}", http.StatusCreated, &result)
	require.Equal(t, int64(4), result.Records)
	require.Equal(t, int64(3), result.Messages)
	require.Equal(t, int64(1), result.Raw)
	c.do("POST", "/v1/hubs/entra/records?batch_records=x", "{}", http.StatusBadRequest, nil)
	var state eventhubs.State
	c.do("GET", "/v1/state", "", http.StatusOK, &state)
	require.Equal(t, int64(5), total(state.Hubs[0]))
}

func total(h eventhubs.HubState) (n int64) {
	for _, p := range h.Partitions {
		n += p.EventsIn
	}
	return n
}

func TestReplays(t *testing.T) {
	c := newClient(t)
	path := filepath.Join(t.TempDir(), "a.ndjson")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("{}\n", 250)), 0o600))
	var state struct {
		ID      string
		Done    bool
		Records int64
		Error   string
	}
	c.do("POST", "/v1/hubs/entra/replays?wait=true", `{"path":"`+path+`"}`, http.StatusOK, &state)
	require.True(t, state.Done)
	require.Equal(t, int64(250), state.Records)
	c.do("POST", "/v1/hubs/entra/replays", `{"path":"`+path+`","rate":1,"batch_records":1}`, http.StatusAccepted, &state)
	require.False(t, state.Done)
	c.do("DELETE", "/v1/replays/"+state.ID, "", http.StatusOK, &state)
	require.True(t, state.Done)
	require.Less(t, state.Records, int64(250))
	require.Contains(t, state.Error, "canceled")
	c.do("POST", "/v1/hubs/entra/replays?wait=true", `{"path":"`+path+`.none"}`, http.StatusOK, &state)
	require.Contains(t, state.Error, "no such file")
	var all []json.RawMessage
	c.do("GET", "/v1/replays", "", http.StatusOK, &all)
	require.Len(t, all, 3)
	c.do("GET", "/v1/replays/9", "", http.StatusNotFound, nil)
}

func TestFaults(t *testing.T) {
	c := newClient(t)
	var report eventhubs.FaultReport
	c.do("POST", "/v1/faults", `{"kind":"reject","hub":"entra","count":3}`, http.StatusCreated, &report)
	c.do("POST", "/v1/faults", `{"kind":"delay","delay_ms":50}`, http.StatusCreated, nil)
	c.do("POST", "/v1/faults", `{"kind":"cut"}`, http.StatusCreated, nil)
	c.do("POST", "/v1/faults", `{"kind":"boil"}`, http.StatusBadRequest, nil)
	var all []eventhubs.StandingFault
	c.do("GET", "/v1/faults", "", http.StatusOK, &all)
	require.Len(t, all, 2)
	require.Equal(t, "com.microsoft:server-busy", all[0].Condition)
	require.Equal(t, 50, all[1].DelayMS)
	c.do("DELETE", "/v1/faults/"+report.ID, "", http.StatusNoContent, nil)
	c.do("DELETE", "/v1/faults/"+report.ID, "", http.StatusNotFound, nil)
	c.do("DELETE", "/v1/faults", "", http.StatusNoContent, nil)
	require.Empty(t, c.hubs.Faults())
}

func TestLargeBodiesAreRefused(t *testing.T) {
	c := newClient(t)
	r := httptest.NewRequest(http.MethodPost, "/v1/hubs/entra/events", io.LimitReader(zeros{}, 40<<20))
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	c.api.ServeHTTP(w, r)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
