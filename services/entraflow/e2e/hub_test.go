package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

const (
	hubName    = "entra"
	partitions = 4
)

// hub is the simulated Event Hub as its admin API shows it.
type hub struct {
	// ConnectionString, Admin and AdminToken are what the simulator announces.
	ConnectionString string `json:"connection_string"`
	AMQP             string `json:"amqp"`
	Admin            string `json:"admin"`
	AdminToken       string `json:"admin_token"`
}

// receipt is where the hub put a message.
type receipt struct {
	Partition  int
	Sequence   int64
	EnqueuedAt time.Time
}

// append appends a message to a partition, whatever it holds.
func (h *hub) append(ctx context.Context, partition int, body []byte) (receipt, error) {
	var answer struct {
		Partition  string    `json:"partition"`
		Sequence   int64     `json:"sequence_number"`
		EnqueuedAt time.Time `json:"enqueued_at"`
	}
	path := "/v1/hubs/" + hubName + "/events?partition=" + strconv.Itoa(partition)
	if err := h.do(ctx, http.MethodPost, path, body, &answer); err != nil {
		return receipt{}, err
	}
	if answer.Partition != strconv.Itoa(partition) {
		return receipt{}, fmt.Errorf("appending to partition %d: it went to %q", partition, answer.Partition)
	}
	return receipt{Partition: partition, Sequence: answer.Sequence, EnqueuedAt: answer.EnqueuedAt}, nil
}

// state is what the hub holds.
func (h *hub) state(ctx context.Context) (eventhubs.HubState, error) {
	var state eventhubs.HubState
	return state, h.do(ctx, http.MethodGet, "/v1/hubs/"+hubName, nil, &state)
}

func (h *hub) do(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+h.Admin+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+h.AdminToken)
	response, err := answers.Do(request)
	if err != nil {
		return fmt.Errorf("asking the hub: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("asking the hub: %s %s: status %d", method, path, response.StatusCode)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("reading the hub's answer: %w", err)
	}
	return nil
}
