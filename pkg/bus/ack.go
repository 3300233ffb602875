package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// retryCause is why a message is sent again; it is a label of a metric.
type retryCause string

const (
	causeFinal      retryCause = "final" // never: sending again cannot help
	causeTimeout    retryCause = "timeout"
	causeConnection retryCause = "connection"
	causeNoStream   retryCause = "no_stream"
	causeFull       retryCause = "stream_full"
	causeServer     retryCause = "server"
)

const (
	// codeStoreFailed has no name in nats.go. With DiscardNew it means that the stream is full.
	codeStoreFailed jetstream.ErrorCode = 10077

	statusBadRequest   = 400
	statusNoResponders = "503"
)

// parseAck reads a PubAck. The error's cause says whether sending again can help.
func parseAck(m *nats.Msg) (Ack, retryCause, error) {
	if ack, ok := scanAck(m.Data); ok {
		return ack, "", nil
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == statusNoResponders {
		return Ack{}, causeNoStream, nats.ErrNoResponders
	}
	var answer struct {
		Stream    string              `json:"stream"`
		Sequence  uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return Ack{}, causeServer, fmt.Errorf("reading acknowledgement: %w", err)
	}
	if answer.Error != nil {
		cause, err := refusal(answer.Error)
		return Ack{}, cause, err
	}
	if answer.Stream == "" || answer.Sequence == 0 {
		return Ack{}, causeServer, errors.New("reading acknowledgement: it names no message")
	}
	return Ack{Stream: answer.Stream, Sequence: answer.Sequence, Duplicate: answer.Duplicate}, "", nil
}

// refusal sorts what the server says no with.
func refusal(err *jetstream.APIError) (retryCause, error) {
	switch {
	case err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence, err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return causeFinal, fmt.Errorf("%w: %w", ErrWrongSequence, err)
	case err.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return causeFinal, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err.ErrorCode == codeStoreFailed:
		return causeFull, err
	case err.Code == statusBadRequest:
		return causeFinal, fmt.Errorf("%w: %w", ErrRefused, err)
	default:
		return causeServer, err
	}
}

// sendCause sorts what the client says no with.
func sendCause(err error) (retryCause, error) {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return causeFinal, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return causeFinal, fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrBadHeaderMsg):
		return causeFinal, fmt.Errorf("%w: %w", ErrRefused, err)
	default:
		return causeConnection, err
	}
}

// scanAck reads the PubAck as nats-server writes it, {"stream":"EVENTS","seq":7}, without
// reflection: there is one for every message. What looks otherwise is left to encoding/json.
func scanAck(data []byte) (Ack, bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return Ack{}, false
	}
	name, rest, _ := bytes.Cut(rest, []byte(`"`))
	rest, ok = bytes.CutPrefix(rest, []byte(`,"seq":`))
	if !ok {
		return Ack{}, false
	}
	rest, ok = bytes.CutSuffix(rest, []byte("}"))
	if !ok {
		return Ack{}, false
	}
	digits, duplicate := bytes.CutSuffix(rest, []byte(`,"duplicate": true`))
	sequence, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || sequence == 0 {
		return Ack{}, false
	}
	return Ack{Stream: streamName(name), Sequence: sequence, Duplicate: duplicate}, true
}
