// Package tenant keeps the directory of one tenant up to date: each data type is read by itself, everything at first and
// then what has changed, and says how that goes.
//
// It reads Graph through pkg/entra and writes DIRECTORY, dead letters, cursors, runs and the service's statuses.
package tenant

import (
	"context"
	"log/slog"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/session"
	"github.com/entraflow/entraflow/services/directorysync/internal/catalogue"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
)

// Settings is what all tenants of a process share.
type Settings struct {
	Base        *session.Base
	State       state.Settings
	DeadLetters *bus.DeadLetters
	Logger      *slog.Logger
	Metrics     *Metrics
}

// service is the service's name.
const service = bus.UserDirectorySync

// Tested are the data types of the directory that a session asks for when it begins. What else there is says itself
// whether it can be read.
func Tested() []entra.DataType {
	var tested []entra.DataType
	for _, t := range catalogue.Types() {
		if _, known := entra.LookupDataType(t.ID); known {
			tested = append(tested, t.ID)
		}
	}
	return tested
}

// Reads reports whether a data type is of the directory.
func Reads(id entra.DataType) bool {
	_, known := catalogue.Find(id)
	return known
}

// Work returns the work of a session.
func Work(cfg Config, set Settings) session.Work {
	return func(ctx context.Context, s *session.Session) error {
		c := &crew{s: s, cfg: cfg, set: set, store: state.New(set.State, s.Lease, s.Record.TenantID(), s.Record.ID)}
		if err := c.hire(ctx); err != nil {
			return err
		}
		c.work(ctx)
		return nil
	}
}
