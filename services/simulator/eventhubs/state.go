package eventhubs

import (
	"slices"
	"strings"
	"time"
)

// State is what a server holds and has counted since its start.
type State struct {
	Hubs []HubState `json:"hubs"`
	// OpenConnections is the number now; the other fields count since the start.
	OpenConnections    int   `json:"open_connections"`
	Connections        int64 `json:"connections"`
	TokensAccepted     int64 `json:"tokens_accepted"`
	TokensRefused      int64 `json:"tokens_refused"`
	LinksRefused       int64 `json:"links_refused"`
	DeliveriesRejected int64 `json:"deliveries_rejected"`
}

// HubState describes a hub.
type HubState struct {
	Namespace      string           `json:"namespace"`
	Name           string           `json:"name"`
	Enabled        bool             `json:"enabled"`
	GeoReplication bool             `json:"geo_replication"`
	CreatedAt      time.Time        `json:"created_at"`
	ConsumerGroups []string         `json:"consumer_groups"`
	Partitions     []PartitionState `json:"partitions"`
}

// PartitionState describes a partition. Bytes are those of encoded events.
type PartitionState struct {
	ID            string        `json:"id"`
	Begin         int64         `json:"begin_sequence_number"`
	Last          int64         `json:"last_sequence_number"`
	LastOffset    string        `json:"last_offset"`
	LastEnqueued  time.Time     `json:"last_enqueued_at"`
	EventsIn      int64         `json:"events_in"`
	EventsOut     int64         `json:"events_out"`
	EventsTrimmed int64         `json:"events_trimmed"`
	BytesIn       int64         `json:"bytes_in"`
	BytesOut      int64         `json:"bytes_out"`
	BytesKept     int64         `json:"bytes_kept"`
	Readers       []ReaderState `json:"readers"`
}

// ReaderState describes a consumer link.
type ReaderState struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	// Epoch is absent for a reader without one.
	Epoch *int64 `json:"epoch,omitempty"`
}

// State returns a copy of the server's state, hubs by namespace and name.
func (s *Server) State() State {
	state := State{
		OpenConnections:    len(s.connections()),
		Connections:        s.counters.connections.Load(),
		TokensAccepted:     s.counters.tokensAccepted.Load(),
		TokensRefused:      s.counters.tokensRefused.Load(),
		LinksRefused:       s.counters.linksRefused.Load(),
		DeliveriesRejected: s.counters.deliveriesRejected.Load(),
	}
	for _, h := range s.Hubs() {
		state.Hubs = append(state.Hubs, h.State())
	}
	return state
}

// Hubs returns all hubs in the order of the namespaces, then by name.
func (s *Server) Hubs() []*Hub {
	var all []*Hub
	for _, ns := range s.namespaces {
		ns.mu.RLock()
		hubs := make([]*Hub, 0, len(ns.hubs))
		for _, h := range ns.hubs {
			hubs = append(hubs, h)
		}
		ns.mu.RUnlock()
		slices.SortFunc(hubs, func(a, b *Hub) int { return strings.Compare(a.cfg.Name, b.cfg.Name) })
		all = append(all, hubs...)
	}
	return all
}

// State returns a copy of the hub's state. Its counters are read partition by partition, not at one moment.
func (h *Hub) State() HubState {
	state := HubState{
		Namespace: h.Namespace(), Name: h.cfg.Name, Enabled: h.Enabled(), GeoReplication: h.cfg.GeoReplication,
		CreatedAt: h.created, ConsumerGroups: slices.Clone(h.cfg.ConsumerGroups),
	}
	for _, p := range h.partitions {
		state.Partitions = append(state.Partitions, p.state())
	}
	return state
}

func (p *partition) state() PartitionState {
	bounds, stats := p.log.Bounds(), p.log.Stats()
	state := PartitionState{
		ID: p.id, Begin: bounds.Begin, Last: bounds.Last, LastOffset: bounds.LastOffset,
		LastEnqueued: time.UnixMilli(bounds.LastEnqueuedMS).UTC(),
		EventsIn:     stats.EventsIn, EventsOut: stats.EventsOut, EventsTrimmed: stats.EventsTrimmed,
		BytesIn: stats.BytesIn, BytesOut: stats.BytesOut, BytesKept: stats.BytesKept,
		Readers: []ReaderState{},
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.readers {
		r := ReaderState{Group: l.consumer.group, Name: l.consumer.receiver}
		if l.consumer.hasEpoch {
			epoch := l.consumer.epoch
			r.Epoch = &epoch
		}
		state.Readers = append(state.Readers, r)
	}
	return state
}
