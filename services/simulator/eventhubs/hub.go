package eventhubs

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/hublog"
)

// Errors of the Go API.
var (
	// ErrNotFound says that there is no such namespace, hub, partition or fault.
	ErrNotFound = errors.New("not found")
	// ErrBadHub says that a hub's configuration makes no sense.
	ErrBadHub = errors.New("hub not understood")
	// ErrExists says that the hub exists already.
	ErrExists = errors.New("exists already")
	// ErrDisabled says that the hub is disabled.
	ErrDisabled = errors.New("hub is disabled")
	// ErrClosed says that the server was closed.
	ErrClosed = errors.New("server is closed")
)

// Hub is one event hub. All methods are safe for concurrent use.
type Hub struct {
	server     *Server
	namespace  *namespace
	cfg        HubConfig
	created    time.Time
	disabled   atomic.Bool
	roundRobin atomic.Uint64
	partitions []*partition

	stampMu   sync.Mutex
	lastStamp int64
}

type partition struct {
	id  string
	log *hublog.Log

	mu      sync.Mutex
	readers []*link
}

func newHub(s *Server, ns *namespace, cfg HubConfig) *Hub {
	if cfg.RetentionBytes == 0 {
		cfg.RetentionBytes = DefaultRetentionBytes
	}
	cfg.ConsumerGroups = slices.Clone(cfg.ConsumerGroups)
	if !slices.ContainsFunc(cfg.ConsumerGroups, func(g string) bool { return strings.EqualFold(g, DefaultGroup) }) {
		cfg.ConsumerGroups = append([]string{DefaultGroup}, cfg.ConsumerGroups...)
	}
	h := &Hub{server: s, namespace: ns, cfg: cfg, created: s.set.Now().UTC().Truncate(time.Millisecond)}
	for i := range cfg.Partitions {
		h.partitions = append(h.partitions, &partition{
			id:  strconv.Itoa(i),
			log: hublog.New(cfg.RetentionBytes, cfg.GeoReplication, cfg.FirstSequence),
		})
	}
	return h
}

// Name is the hub's name.
func (h *Hub) Name() string { return h.cfg.Name }

// Namespace is the name of the hub's namespace.
func (h *Hub) Namespace() string { return h.namespace.cfg.Name }

// Partitions is the number of partitions; their ids are "0" to one below it.
func (h *Hub) Partitions() int { return len(h.partitions) }

// SetEnabled disables or enables the hub. Disabling detaches its links with com.microsoft:entity-disabled, and
// attaches, sends and appends fail until it is enabled again.
func (h *Hub) SetEnabled(enabled bool) {
	h.disabled.Store(!enabled)
	if enabled {
		return
	}
	h.server.eachLink(h.allLinks(), func(l *link) { l.detach(conditionDisabled, disabledText(h.cfg.Name)) })
}

// Enabled tells whether the hub takes links.
func (h *Hub) Enabled() bool { return !h.disabled.Load() }

func (h *Hub) allLinks() target { return target{namespace: h.Namespace(), hub: h.cfg.Name} }

func (h *Hub) partition(id string) (*partition, error) {
	i, err := strconv.Atoi(id)
	if err != nil || i < 0 || i >= len(h.partitions) || h.partitions[i].id != id {
		return nil, fmt.Errorf("partition %q of hub %q: %w", id, h.cfg.Name, ErrNotFound)
	}
	return h.partitions[i], nil
}

func (h *Hub) hasGroup(name string) bool {
	return slices.ContainsFunc(h.cfg.ConsumerGroups, func(g string) bool { return strings.EqualFold(g, name) })
}

// pick returns the partition of a key, always the same, or the next in turn if there is no key.
func (h *Hub) pick(key string, hasKey bool) *partition {
	n := uint64(len(h.partitions))
	if !hasKey {
		return h.partitions[(h.roundRobin.Add(1)-1)%n]
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key)) // a hash never fails
	return h.partitions[hash.Sum64()%n]
}

// stamp is the enqueued time of ordinary events, in Unix milliseconds.
func (h *Hub) stamp() int64 {
	now := h.server.set.Now().UnixMilli()
	h.stampMu.Lock()
	defer h.stampMu.Unlock()
	h.lastStamp = max(h.lastStamp, now)
	return now
}

// distinctStamp reserves an enqueued time later than every one before it in the hub.
func (h *Hub) distinctStamp() int64 {
	now := h.server.set.Now().UnixMilli()
	h.stampMu.Lock()
	defer h.stampMu.Unlock()
	h.lastStamp = max(h.lastStamp+1, now)
	return h.lastStamp
}
