package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// findRequest is JetStream's request for a message: the first not older than StartTime, or the first of
// Subject from Sequence on. nats.go has no function for the former.
type findRequest struct {
	StartTime *time.Time `json:"start_time,omitempty"`
	Sequence  uint64     `json:"seq,omitempty"`
	Subject   string     `json:"next_by_subj,omitempty"`
	NoHeaders bool       `json:"no_hdr"`
}

// found is where a message stands and since when.
type found struct {
	Sequence uint64    `json:"seq"`
	Time     time.Time `json:"time"`
}

func find(ctx context.Context, conn *Conn, stream string, request findRequest) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request.NoHeaders = true
	text, err := json.Marshal(request)
	if err != nil {
		return found{}, err
	}
	m, err := conn.nats.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, text)
	if err != nil {
		return found{}, fmt.Errorf("finding a message: %w", err)
	}
	var answer struct {
		Message found               `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return found{}, fmt.Errorf("finding a message: %w", err)
	}
	if answer.Error != nil {
		return found{}, fmt.Errorf("finding a message: %w", answer.Error)
	}
	return answer.Message, nil
}
