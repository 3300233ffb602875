// Package admin is the simulator's admin API: HTTP and JSON over an Event Hubs server. It shows state, makes hubs,
// appends and replays records and injects faults. It reads the files that a replay names. Every request needs the
// bearer token.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// maxBodyBytes bounds a request; Event Hubs carries 20 MiB at most.
const maxBodyBytes = 32 << 20

// API is an http.Handler. Close it when nothing uses it any more.
type API struct {
	hubs    *eventhubs.Server
	token   config.Secret
	mux     *http.ServeMux
	ctx     func() context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	lastID  int
	replays []*replay
}

// New returns the API over a server, for clients with the token. Replays outlive the requests that start them; they
// end with ctx.
func New(ctx context.Context, hubs *eventhubs.Server, token config.Secret) *API {
	ctx, stop := context.WithCancel(ctx)
	a := &API{hubs: hubs, token: token, mux: http.NewServeMux(), ctx: func() context.Context { return ctx }, stop: stop}
	for pattern, handle := range map[string]func(*http.Request) (int, any, error){
		"GET /v1/state":               a.state,
		"GET /v1/hubs":                a.listHubs,
		"POST /v1/hubs":               a.createHub,
		"GET /v1/hubs/{hub}":          a.showHub,
		"PATCH /v1/hubs/{hub}":        a.changeHub,
		"POST /v1/hubs/{hub}/events":  a.appendEvent,
		"POST /v1/hubs/{hub}/records": a.appendRecords,
		"POST /v1/hubs/{hub}/replays": a.startReplay,
		"GET /v1/replays":             a.listReplays,
		"GET /v1/replays/{id}":        a.showReplay,
		"DELETE /v1/replays/{id}":     a.stopReplay,
		"GET /v1/faults":              a.listFaults,
		"POST /v1/faults":             a.injectFault,
		"DELETE /v1/faults":           a.clearFault,
		"DELETE /v1/faults/{id}":      a.clearFault,
	} {
		a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
			status, body, err := handle(r)
			if err != nil {
				status, body = statusOf(err), map[string]string{"error": err.Error()}
			}
			reply(w, status, body)
		})
	}
	return a
}

// Mount adds what handler does under a path prefix, behind the token and with bodies bounded. Mount before serving.
func (a *API) Mount(prefix string, handler http.Handler) {
	a.mux.Handle(prefix, http.MaxBytesHandler(handler, maxBodyBytes))
}

// Close ends the replays and waits for them.
func (a *API) Close() {
	a.stop()
	a.running.Wait()
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !a.token.Equal(config.NewSecret(token)) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		reply(w, http.StatusUnauthorized, map[string]string{"error": "a bearer token is needed"})
		return
	}
	a.mux.ServeHTTP(w, r)
}

func reply(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

// errBadRequest says that the request cannot be understood.
var errBadRequest = errors.New("bad request")

func badRequest(err error) error { return fmt.Errorf("%w: %w", errBadRequest, err) }

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, eventhubs.ErrNotFound), errors.Is(err, errNoReplay):
		return http.StatusNotFound
	case errors.Is(err, eventhubs.ErrExists), errors.Is(err, eventhubs.ErrDisabled), errors.Is(err, errTooManyReplays):
		return http.StatusConflict
	case errors.Is(err, errBadRequest), errors.Is(err, eventhubs.ErrBadFault), errors.Is(err, eventhubs.ErrBadHub):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest(err)
	}
	return nil
}
