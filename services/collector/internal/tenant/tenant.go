// Package tenant collects the logs of one tenant: it looks at what can be read, reads what is missing and then
// what is new, and says how that goes.
//
// It reads Graph through pkg/entra and writes events, dead letters, cursors, runs and the integration's status. A
// window counts as read only when everything in it has its PubAck; whoever holds no lease any more changes no
// cursor.
package tenant

import (
	"context"
	"log/slog"
	"strings"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/slots"
	"github.com/entraflow/entraflow/pkg/session"
)

// Settings is what all tenants of a process share.
type Settings struct {
	Base        *session.Base
	Publisher   *bus.Publisher
	DeadLetters *bus.DeadLetters
	Slots       slots.Slots
	Recent      *Recent
	Decoders    Decoders
	Clock       clock.Clock
	Logger      *slog.Logger
	Metrics     *Metrics
}

// service names the service in keys, texts and metrics.
const service = "collector"

// Tested are the data types that a test asks for: all that are collected, and the users, which tell whether the
// directory can be read.
func Tested() []entra.DataType {
	tested := []entra.DataType{entra.Users}
	for _, info := range entra.DataTypes() {
		if info.Log {
			tested = append(tested, info.ID)
		}
	}
	return tested
}

// Reads reports whether a data type is collected: the logs are.
func Reads(id entra.DataType) bool {
	info, known := entra.LookupDataType(id)
	return known && info.Log
}

// Work returns the work of a session: collecting.
func Work(cfg Config, set Settings) session.Work {
	return func(ctx context.Context, s *session.Session) error {
		c := &crew{s: s, id: s.Record.ID, cfg: cfg, set: set}
		if err := c.hire(ctx); err != nil {
			return err
		}
		c.work(ctx)
		return nil
	}
}

// kindOf is what decode calls the records of a data type.
func kindOf(id entra.DataType) string {
	kind, _, _ := strings.Cut(string(id), ".")
	return kind
}
