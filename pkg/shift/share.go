package shift

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
)

// errSurplus ends the work for a tenant that another replica shall have.
var errSurplus = errors.New("another replica has room for it")

// replicaPrefix begins the name of the lease by which a replica says that it is there.
const replicaPrefix = "replica-"

// share bounds the tenants of this replica: as many as there are for each of the replicas, rounded up. It is safe for
// concurrent use.
type share struct {
	mu       sync.Mutex
	tenants  int
	replicas int // 0 until they were counted
	reserved int
	working  map[string]func()
	// over is for how many looks in turn this replica has had too many.
	over int
}

func newShare() share { return share{working: map[string]func(){}} }

func (s *share) count(tenants int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants = tenants
}

// most is how many tenants this replica may have.
func (s *share) most() int {
	if s.replicas == 0 {
		return 0
	}
	return (s.tenants + s.replicas - 1) / s.replicas
}

// reserve takes a place for a tenant, if there is one.
func (s *share) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved >= s.most() {
		return false
	}
	s.reserved++
	return true
}

func (s *share) unreserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved--
}

func (s *share) begin(id string, giveUp func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working[id] = giveUp
}

func (s *share) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.working, id)
}

// look takes note of how many replicas there are, and gives up what this one has too many of if it had so at the look
// before as well: a replica that comes and goes moves nothing. It returns how many it gave up.
func (s *share) look(replicas int) (surplus int) {
	const looks = 2
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas = max(replicas, 1)
	surplus = max(len(s.working)-s.most(), 0)
	if surplus == 0 {
		s.over = 0
		return 0
	}
	if s.over++; s.over < looks {
		return 0
	}
	s.over = 0
	ids := slices.Sorted(maps.Keys(s.working))
	for _, id := range ids[len(ids)-surplus:] {
		s.working[id]()
		delete(s.working, id)
	}
	return surplus
}

func countReplicas(ctx context.Context, service string, leases jetstream.KeyValue) (n int, err error) {
	keys, err := leases.ListKeysFiltered(ctx, bus.Key(service)+".*")
	if err != nil {
		return 0, fmt.Errorf("counting replicas: %w", err)
	}
	for key := range keys.Keys() { // read to its end, or its goroutine stays
		if parts, ok := bus.ParseKey(key); ok && len(parts) == 2 && isReplica(parts[1]) {
			n++
		}
	}
	return n, nil
}

func isReplica(name string) bool {
	return len(name) > len(replicaPrefix) && name[:len(replicaPrefix)] == replicaPrefix
}
