package admin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

func (a *API) state(*http.Request) (int, any, error) { return http.StatusOK, a.hubs.State(), nil }

func (a *API) listHubs(*http.Request) (int, any, error) {
	return http.StatusOK, a.hubs.State().Hubs, nil
}

// hub finds the hub of a request; the parameter namespace may name another than the first.
func (a *API) hub(r *http.Request) (*eventhubs.Hub, error) {
	return a.hubs.Hub(r.URL.Query().Get("namespace"), r.PathValue("hub"))
}

func (a *API) createHub(r *http.Request) (int, any, error) {
	var body struct {
		Namespace      string   `json:"namespace"`
		Name           string   `json:"name"`
		Partitions     int      `json:"partitions"`
		ConsumerGroups []string `json:"consumer_groups"`
		RetentionBytes int      `json:"retention_bytes"`
		GeoReplication bool     `json:"geo_replication"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	h, err := a.hubs.CreateHub(body.Namespace, eventhubs.HubConfig{
		Name: body.Name, Partitions: body.Partitions, ConsumerGroups: body.ConsumerGroups,
		RetentionBytes: body.RetentionBytes, GeoReplication: body.GeoReplication,
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, h.State(), nil
}

func (a *API) showHub(r *http.Request) (int, any, error) {
	h, err := a.hub(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, h.State(), nil
}

func (a *API) changeHub(r *http.Request) (int, any, error) {
	h, err := a.hub(r)
	if err != nil {
		return 0, nil, err
	}
	var body struct {
		Enabled *bool `json:"enabled"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	if body.Enabled != nil {
		h.SetEnabled(*body.Enabled)
	}
	return http.StatusOK, h.State(), nil
}

// receipt is the answer to what was appended.
type receipt struct {
	Partition      string `json:"partition"`
	SequenceNumber int64  `json:"sequence_number"`
	EnqueuedAt     string `json:"enqueued_at"`
}

// appendEvent appends the request's body, whatever it is, as one event. Parameters: partition, key.
func (a *API) appendEvent(r *http.Request) (int, any, error) {
	h, err := a.hub(r)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, badRequest(err)
	}
	query := r.URL.Query()
	got, err := h.Append(query.Get("partition"), eventhubs.Event{
		Body: body, PartitionKey: query.Get("key"), ContentType: r.Header.Get("Content-Type"),
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, receipt{
		Partition: got.Partition, SequenceNumber: got.First,
		EnqueuedAt: got.EnqueuedAt.Format("2006-01-02T15:04:05.000Z"),
	}, nil
}

// appendRecords appends the records in the request's body (NDJSON, or one JSON document) as replays do. Parameters:
// batch_records, batch_bytes.
func (a *API) appendRecords(r *http.Request) (int, any, error) {
	h, err := a.hub(r)
	if err != nil {
		return 0, nil, err
	}
	records, err := number(r, "batch_records")
	if err != nil {
		return 0, nil, err
	}
	size, err := number(r, "batch_bytes")
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, badRequest(err)
	}
	result, err := h.ReplayFrom(r.Context(), bytes.NewReader(body), eventhubs.ReplayOptions{
		BatchRecords: records, BatchBytes: size,
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, result, nil
}

func number(r *http.Request, name string) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, badRequest(fmt.Errorf("%s: %q is no number", name, text))
	}
	return n, nil
}

func (a *API) listFaults(*http.Request) (int, any, error) { return http.StatusOK, a.hubs.Faults(), nil }

func (a *API) injectFault(r *http.Request) (int, any, error) {
	var f eventhubs.Fault
	if err := decode(r, &f); err != nil {
		return 0, nil, err
	}
	report, err := a.hubs.Inject(f)
	return http.StatusCreated, report, err
}

func (a *API) clearFault(r *http.Request) (int, any, error) {
	return http.StatusNoContent, nil, a.hubs.ClearFault(r.PathValue("id"))
}
