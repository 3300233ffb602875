package state_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/lease"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/members"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
)

const tenant = "75243ab2-44f8-435c-a7a6-b479385df6d4"

// shelf is a store on a real stream.
type shelf struct {
	*state.Store
	t         *testing.T
	bus       *bustest.Bus
	conn      *bus.Conn
	publisher *bus.Publisher
	held      *lease.Lease
	// stopSink stops who reads the stream.
	stopSink func()
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	b := bustest.New(t)
	stopSink := b.Drain(t, directoryv1.ObjectStream, bus.UserSink)
	s := &shelf{t: t, bus: b, stopSink: stopSink, conn: b.Connect(t, bus.UserDirectorySync)}
	s.publisher = bustest.Publisher(t, s.conn)
	gate, err := bus.NewGate(s.conn, bus.DefaultGateConfig(), directoryv1.ObjectStream)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gate.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	s.held, err = lease.Acquire(t.Context(), s.conn, lease.Settings{Name: "tenant-contoso", Holder: "one"})
	require.NoError(t, err)
	t.Cleanup(func() { s.held.Release(context.WithoutCancel(t.Context())) })
	set := state.Settings{Conn: s.conn, Publisher: s.publisher, Gate: gate, Clock: clock.Real()}
	s.Store = state.New(set, s.held, tenant, "contoso")
	return s
}

// said is what Graph says of an object.
func (s *shelf) said(raw string) object.Seen {
	s.t.Helper()
	seen, err := object.Read([]byte(raw), "id", time.Now())
	require.NoError(s.t, err)
	return seen
}

// membership is what Graph says of a group's members.
func (s *shelf) membership(group string, added, removed []string) object.Seen {
	s.t.Helper()
	var links []map[string]any
	for _, id := range added {
		links = append(links, map[string]any{"@odata.type": "#microsoft.graph.user", "id": id})
	}
	for _, id := range removed {
		links = append(links, map[string]any{"id": id, "@removed": map[string]string{"reason": "deleted"}})
	}
	raw, err := json.Marshal(map[string]any{"id": group, "displayName": group, "members@delta": links})
	require.NoError(s.t, err)
	return s.said(string(raw))
}

func (s *shelf) apply(kind string, seen ...object.Seen) int {
	s.t.Helper()
	n, err := s.Apply(s.t.Context(), kind, seen)
	require.NoError(s.t, err)
	return n
}

// last is the state of an object, nil if there is none.
func (s *shelf) last(kind, id string) *directoryv1.Object {
	s.t.Helper()
	subject := directoryv1.ObjectSubject(kind, tenant, id)
	found, err := bus.Last(s.t.Context(), s.conn, directoryv1.ObjectStream, []string{subject})
	require.NoError(s.t, err)
	if _, ok := found[subject]; !ok {
		return nil
	}
	o := &directoryv1.Object{}
	require.NoError(s.t, proto.Unmarshal(found[subject].Data, o))
	return o
}

// members are the members of a group, those of all its shards, and how many shards there are.
func (s *shelf) members(group string) (all []string, shards int) {
	s.t.Helper()
	ids, err := s.Known(s.t.Context(), members.Kind)
	require.NoError(s.t, err)
	for _, id := range ids {
		if of, _, _ := members.ParseID(id); of != group {
			continue
		}
		shards++
		shard := s.last(members.Kind, id).GetGroupMembers()
		require.LessOrEqual(s.t, len(shard.GetMembers()), members.MaxShard)
		for _, m := range shard.GetMembers() {
			all = append(all, m.GetId())
		}
	}
	slices.Sort(all)
	return all, shards
}

func names(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%08x-0000-4000-8000-%012x", i*2654435761%(1<<32), i))
	}
	return all
}

func TestOnlyWhatIsNewIsWritten(t *testing.T) {
	s := newShelf(t)
	ada, bob := s.said(`{"id":"a","displayName":"Ada"}`), s.said(`{"id":"b","displayName":"Bob"}`)
	require.Equal(t, 2, s.apply("user", ada, bob))
	require.Equal(t, 0, s.apply("user", ada, bob))
	require.Equal(t, 2, s.apply("user", s.said(`{"id":"a","displayName":"A"}`), bob, s.said(`{"id":"a","displayName":"Ada"}`)),
		"an object may come several times")
	require.Equal(t, "Ada", s.last("user", "a").GetDisplayName())
	require.Equal(t, 1, s.apply("user", s.said(`{"id":"a","@removed":{"reason":"changed"}}`)))
	require.True(t, s.last("user", "a").GetDeleted())
	known, err := s.Known(t.Context(), "user")
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, known)
}

func TestAGroupGrowsAndGoes(t *testing.T) {
	const all = 20_000
	s := newShelf(t)
	for from := 0; from < all; from += 4000 {
		s.apply("group", s.membership("g", names(from, from+4000), nil))
	}
	got, shards := s.members("g")
	want := names(0, all)
	slices.Sort(want)
	require.Equal(t, want, got)
	require.GreaterOrEqual(t, shards, 32)

	require.Equal(t, 0, s.apply("group", s.membership("g", names(0, 100), nil)), "said again")
	s.apply("group", s.membership("g", names(all, all+1), names(5, 7)))
	got, _ = s.members("g")
	require.Len(t, got, all-1)
	require.NotContains(t, got, names(5, 6)[0])

	s.apply("group", s.said(`{"id":"g","@removed":{"reason":"changed"}}`))
	got, shards = s.members("g")
	require.Empty(t, got)
	require.Zero(t, shards)
	s.apply("group", s.membership("g", names(0, 3), nil))
	got, shards = s.members("g")
	require.Len(t, got, 3, "it is back")
	require.Equal(t, 1, shards)
}

// TestASplitThatWasBrokenOff leaves a split at each of its steps and lets the next change finish it.
func TestASplitThatWasBrokenOff(t *testing.T) {
	for step := range 5 {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			s := newShelf(t)
			s.apply("group", s.membership("g", names(0, 1500), nil)) // in 4 shards
			s.breakSplit("g", 4, 8, step)
			s.apply("group", s.membership("g", names(1500, 1501), names(0, 1)))
			got, shards := s.members("g")
			want := names(1, 1501)
			slices.Sort(want)
			require.Equal(t, want, slices.Compact(got))
			require.Len(t, got, len(want), "each in one shard")
			require.Equal(t, 8, shards)
			require.EqualValues(t, 8, s.last(members.Kind, "g-0").GetGroupMembers().GetShards())
		})
	}
}

// breakSplit writes the first steps of a split: the mark in shard 0, then new shards.
func (s *shelf) breakSplit(group string, from, to uint32, steps int) {
	s.t.Helper()
	put := func(shard uint32, change func(*directoryv1.GroupMembers)) {
		id := members.ID(group, shard)
		o := s.last(members.Kind, id)
		if o == nil {
			o = &directoryv1.Object{Object: members.Kind, TenantId: tenant, Id: id, Integration: "contoso", Version: 1}
		}
		payload := &directoryv1.GroupMembers{GroupId: group, Shard: shard}
		if o.GetGroupMembers() != nil {
			payload = o.GetGroupMembers()
		}
		change(payload)
		o.Payload, o.Version = &directoryv1.Object_GroupMembers{GroupMembers: payload}, o.GetVersion()+1
		_, err := s.publisher.Publish(s.t.Context(), o, bus.PublishOptions{})
		require.NoError(s.t, err)
	}
	put(0, func(m *directoryv1.GroupMembers) { m.Shards, m.SplittingTo = from, to })
	layout := members.Layout{Shards: from, SplittingTo: to}
	for i := range steps {
		shard := from - 1 - uint32(i)/2 //nolint:gosec // small
		list := s.last(members.Kind, members.ID(group, shard)).GetGroupMembers().GetMembers()
		if i%2 == 0 { // the new one
			parts := layout.Split(shard, list)
			put(shard+from, func(m *directoryv1.GroupMembers) { m.Members = parts[shard+from] })
			continue
		}
		parts := layout.Split(shard, list)
		put(shard, func(m *directoryv1.GroupMembers) { m.Members = parts[shard] })
	}
}

func TestSweep(t *testing.T) {
	s := newShelf(t)
	s.apply("group", s.membership("g", names(0, 5), nil), s.membership("h", names(0, 2), nil), s.said(`{"id":"i","owners@delta":[{"id":"o"},{"id":"p"}]}`))
	census := state.NewCensus()
	_, err := s.Sweep(t.Context(), "group", census, time.Now())
	require.Error(t, err, "a reading that did not come to its end says nothing")

	census.Count([]object.Seen{s.membership("g", names(0, 3), nil), s.said(`{"id":"i","owners@delta":[{"id":"p"}]}`)})
	census.Complete()
	written, err := s.Sweep(t.Context(), "group", census, time.Now())
	require.NoError(t, err)
	require.Equal(t, 3, written)
	got, _ := s.members("g")
	require.Len(t, got, 3)
	gone := s.last("group", "h")
	require.True(t, gone.GetDeleted())
	require.Equal(t, directoryv1.Change_CHANGE_VANISHED, gone.GetChange())
	got, _ = s.members("h")
	require.Empty(t, got)
	require.Len(t, s.last("group", "i").GetGroup().GetOwners(), 1)
	written, err = s.Sweep(t.Context(), "group", census, time.Now())
	require.NoError(t, err)
	require.Zero(t, written)
}

func TestAHolderThatLostItsLeaseWritesNothing(t *testing.T) {
	s := newShelf(t)
	require.Equal(t, 1, s.apply("user", s.said(`{"id":"a","displayName":"Ada"}`)))
	s.held.Release(t.Context())
	_, err := s.Apply(t.Context(), "user", []object.Seen{s.said(`{"id":"a","displayName":"old"}`)})
	require.ErrorIs(t, err, lease.ErrLost)
	require.Equal(t, "Ada", s.last("user", "a").GetDisplayName())
}

// TestNoStateIsPushedOutUnread: the stream keeps 16 states of an object, so the writer waits before it has so many that the
// sink has not stored.
func TestNoStateIsPushedOutUnread(t *testing.T) {
	s := newShelf(t)
	s.apply("user", s.said(`{"id":"a","displayName":"0"}`), s.said(`{"id":"b","displayName":"0"}`))
	s.stopSink()
	said := func(i int) object.Seen { return s.said(fmt.Sprintf(`{"id":"a","displayName":"%d"}`, i)) }
	written := 0
	for i := range 30 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := s.Apply(ctx, "user", []object.Seen{said(i + 1)})
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			break
		}
		written++
	}
	require.Greater(t, written, 8)
	require.Less(t, written, 16)
	require.Equal(t, 1, s.apply("user", s.said(`{"id":"b","displayName":"1"}`)), "another object has room")

	s.bus.Drain(t, directoryv1.ObjectStream, bus.UserSink)
	for i := range 30 {
		s.apply("user", said(100+i))
	}
	require.Equal(t, "129", s.last("user", "a").GetDisplayName())
}
