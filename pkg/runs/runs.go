// Package runs keeps what services do for integrations and did: runs with their progress, and how each integration
// stands, in the bucket runs.
//
// Each service writes under its own name and sees only what is its own (Store); the gateway reads what all wrote (Reader).
// A run is written by revision: of two holders of a lease the later one wins, and the earlier one gets ErrTaken.
package runs

import (
	"errors"
	"strings"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var (
	// ErrNotFound is returned for a run that there is not.
	ErrNotFound = errors.New("no such run")
	// ErrExists is returned by Create for an id that is taken.
	ErrExists = errors.New("the run exists already")
	// ErrTaken is returned for a write to what somebody else wrote meanwhile.
	ErrTaken = errors.New("the run was taken over")
)

// Kept is how many ended runs of an integration Prune leaves, of each service.
const Kept = 100

// The second part of a key; the first is the service that writes it, the third the integration's id.
const (
	kindRun    = "run"
	kindStatus = "status"
)

// Name returns the resource name of a run.
func Name(integration, id string) string { return "integrations/" + integration + "/runs/" + id }

// Parse returns the ids in a run's resource name; ok is false if it is none.
func Parse(name string) (integration, id string, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "integrations" || parts[2] != "runs" || parts[1] == "" || parts[3] == "" {
		return "", "", false
	}
	return parts[1], parts[3], true
}

// Ended reports whether nothing more will happen in a run of that state.
func Ended(s controlv1.RunState) bool { return s > controlv1.RunState_RUN_STATE_RUNNING }
