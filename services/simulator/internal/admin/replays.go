package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// maxReplays bounds the replays remembered, running or not; the oldest that ended is forgotten first.
const maxReplays = 64

var (
	errNoReplay       = errors.New("no such replay")
	errTooManyReplays = errors.New("too many replays are running")
)

// replay is a replay that runs or ran.
type replay struct {
	id   string
	hub  string
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	result eventhubs.ReplayResult
	err    error
}

// replayState is a replay as the API shows it.
type replayState struct {
	ID   string `json:"id"`
	Hub  string `json:"hub"`
	Done bool   `json:"done"`
	eventhubs.ReplayResult
	Error string `json:"error,omitempty"`
}

func (p *replay) state() replayState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := replayState{ID: p.id, Hub: p.hub, Done: p.ended(), ReplayResult: p.result}
	if p.err != nil {
		s.Error = p.err.Error()
	}
	return s
}

func (p *replay) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// startReplay starts a replay of files of this machine. With the parameter wait=true it answers when it is done.
func (a *API) startReplay(r *http.Request) (int, any, error) {
	h, err := a.hub(r)
	if err != nil {
		return 0, nil, err
	}
	var body struct {
		Path         string  `json:"path"`
		Rate         float64 `json:"rate"`
		BatchRecords int     `json:"batch_records"`
		BatchBytes   int     `json:"batch_bytes"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	//nolint:contextcheck // a replay outlives the request that starts it
	p, err := a.run(h, eventhubs.ReplayOptions{
		Path: body.Path, Rate: body.Rate, BatchRecords: body.BatchRecords, BatchBytes: body.BatchBytes,
	})
	if err != nil {
		return 0, nil, err
	}
	if r.URL.Query().Get("wait") != "true" {
		return http.StatusAccepted, p.state(), nil
	}
	select {
	case <-p.done:
		return http.StatusOK, p.state(), nil
	case <-r.Context().Done():
		return 0, nil, r.Context().Err()
	}
}

func (a *API) run(h *eventhubs.Hub, opts eventhubs.ReplayOptions) (*replay, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.forget() {
		return nil, errTooManyReplays
	}
	ctx, stop := context.WithCancel(a.ctx())
	a.lastID++
	p := &replay{id: strconv.Itoa(a.lastID), hub: h.Name(), stop: stop, done: make(chan struct{})}
	a.replays = append(a.replays, p)
	opts.Progress = func(result eventhubs.ReplayResult) {
		p.mu.Lock()
		p.result = result
		p.mu.Unlock()
	}
	a.running.Go(func() {
		defer stop()
		result, err := h.Replay(ctx, opts)
		p.mu.Lock()
		p.result, p.err = result, err
		close(p.done)
		p.mu.Unlock()
	})
	return p, nil
}

// forget makes room for one more replay, if it can.
func (a *API) forget() bool {
	if len(a.replays) < maxReplays {
		return true
	}
	for i, p := range a.replays {
		if p.ended() {
			a.replays = append(a.replays[:i:i], a.replays[i+1:]...)
			return true
		}
	}
	return false
}

func (a *API) listReplays(*http.Request) (int, any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]replayState, 0, len(a.replays))
	for _, p := range a.replays {
		all = append(all, p.state())
	}
	return http.StatusOK, all, nil
}

func (a *API) find(r *http.Request) (*replay, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := r.PathValue("id")
	for _, p := range a.replays {
		if p.id == id {
			return p, nil
		}
	}
	return nil, fmt.Errorf("replay %q: %w", id, errNoReplay)
}

func (a *API) showReplay(r *http.Request) (int, any, error) {
	p, err := a.find(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, p.state(), nil
}

// stopReplay ends a replay and answers with what it had sent.
func (a *API) stopReplay(r *http.Request) (int, any, error) {
	p, err := a.find(r)
	if err != nil {
		return 0, nil, err
	}
	p.stop()
	<-p.done
	return http.StatusOK, p.state(), nil
}
