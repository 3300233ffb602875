package subscribe

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/expression"
)

// stored is an entry as a feed makes it.
func stored(tb testing.TB, sequence uint64, kind string) *entry {
	tb.Helper()
	data, err := proto.Marshal(&eventv1.Event{Id: fmt.Sprint(sequence), Kind: kind, TenantId: "t", Raw: []byte("{}")})
	require.NoError(tb, err)
	return &entry{sequence: sequence, stored: time.Unix(int64(sequence), 0), kind: kind, tenant: "t", data: data}
}

func newTestGroup(tb testing.TB, kinds []string, filter string) *group {
	tb.Helper()
	g := &group{selected: newSelection(kinds, nil), unreadable: func(error) {}}
	if filter != "" {
		compiler, err := expression.NewCompiler()
		require.NoError(tb, err)
		g.filter, err = compiler.Compile(filter)
		require.NoError(tb, err)
	}
	return g
}

// Whoever reads a ring from wherever, in steps of whatever size, beside others of its group and while it moves on, gets
// each event it chose once and in order, or is told that the ring does not hold them.
func TestARingGivesEachReaderItsEventsOnce(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
		first := random.Uint64N(100)
		r := newRing(position{created: 7, sequence: first}, 1+random.IntN(60), 1<<20)
		chosen := newTestGroup(t, []string{"signin"}, `event.id != "3" && 1 / (int(event.id) % 7) >= 0`)
		type reader struct {
			at    uint64
			got   []uint64
			start uint64
			gone  bool
		}
		readers := make([]*reader, 6)
		for i := range readers {
			readers[i] = &reader{at: first + random.Uint64N(10)}
			readers[i].start = readers[i].at
		}
		kinds := map[uint64]string{}
		head := first
		for range 60 {
			var entries []*entry
			for range random.IntN(12) {
				head += 1 + random.Uint64N(3)
				kinds[head] = []string{"signin", "audit"}[random.IntN(2)]
				entries = append(entries, stored(t, head, kinds[head]))
			}
			r.add(entries, head)
			for _, reader := range readers {
				if reader.gone || random.IntN(3) == 0 {
					continue
				}
				hits, upTo, _, ok := chosen.next(r, reader.at, 1+random.IntN(20))
				require.Equal(t, r.covers(position{created: 7, sequence: reader.at}), ok)
				if reader.gone = !ok; reader.gone {
					continue
				}
				require.GreaterOrEqual(t, upTo, reader.at)
				for _, h := range hits {
					require.Equal(t, h.entry.sequence%7 == 0, h.failed)
					reader.got = append(reader.got, h.entry.sequence)
				}
				reader.at = upTo
			}
		}
		for i, reader := range readers {
			var want []uint64
			for s := reader.start + 1; s <= reader.at; s++ {
				if kinds[s] == "signin" && s != 3 {
					want = append(want, s)
				}
			}
			require.Equal(t, want, reader.got, "seed %d, reader %d", seed, i)
		}
	}
}

// A group keeps nothing of a ring that the ring has dropped, whether its members read on, are blocked or have left.
func TestAGroupKeepsNoEntries(t *testing.T) {
	const held = 10
	r := newRing(position{created: 7}, held, 1<<20)
	idle, left := newTestGroup(t, nil, ""), newTestGroup(t, nil, "")
	var first []weak.Pointer[entry]
	func() {
		var entries []*entry
		for s := range uint64(held) {
			e := stored(t, s+1, "signin")
			entries, first = append(entries, e), append(first, weak.Make(e))
		}
		r.add(entries, held)
		for _, g := range []*group{idle, left} {
			hits, upTo, _, ok := g.next(r, 0, held)
			require.True(t, ok)
			require.Len(t, hits, held)
			require.Equal(t, uint64(held), upTo)
		}
	}()
	var more []*entry
	for s := range uint64(held) {
		more = append(more, stored(t, held+s+1, "signin"))
	}
	r.add(more, 2*held)
	runtime.GC()
	for n, e := range first {
		require.Nil(t, e.Value(), "entry %d is held though the ring dropped it", n)
	}

	// One that is too far back ends nothing for those that are not.
	_, _, _, ok := left.next(r, held-1, held)
	require.False(t, ok)
	hits, _, _, ok := left.next(r, held, held)
	require.True(t, ok)
	require.Len(t, hits, held)
	left.left()
	require.Nil(t, left.ring)
	require.Zero(t, cap(left.judged))
	hits, _, _, ok = left.next(r, held, held)
	require.True(t, ok)
	require.Len(t, hits, held, "those that stay judge again")
	require.LessOrEqual(t, len(left.judged), held)
}

// A group whose filter panics is as it was before: its members get nothing twice.
func TestAPanicLeavesAGroupAsItWas(t *testing.T) {
	r := newRing(position{created: 7}, 10, 1<<20)
	r.add([]*entry{stored(t, 1, "signin"), {sequence: 2, kind: "signin", data: []byte("\xff")}}, 2)
	g := newTestGroup(t, nil, "")
	g.unreadable = func(error) { panic("injected") }
	require.Panics(t, func() { g.next(r, 0, 10) })
	g.unreadable = func(error) {}
	hits, upTo, _, ok := g.next(r, 0, 10)
	require.True(t, ok)
	require.Equal(t, uint64(2), upTo)
	require.Len(t, hits, 1)
}

func TestARingKeepsWithinItsBounds(t *testing.T) {
	size := len(stored(t, 10, "signin").data)
	r := newRing(position{created: 7, sequence: 9}, 100, 3*size)
	changed := r.change()
	r.add([]*entry{stored(t, 10, "signin"), stored(t, 11, "signin"), stored(t, 12, "signin"), stored(t, 13, "signin")}, 13)
	<-changed
	require.False(t, r.covers(position{created: 7, sequence: 9}))
	require.True(t, r.covers(position{created: 7, sequence: 10}))
	require.True(t, r.covers(position{created: 7, sequence: 99}), "it will come")
	require.False(t, r.covers(position{created: 8, sequence: 10}), "another stream")
	view, ok := r.after(10, 2)
	require.True(t, ok)
	require.Equal(t, uint64(12), view.upTo)
	require.Equal(t, uint64(13), view.head)
	r.end()
	require.False(t, r.covers(position{created: 7, sequence: 12}))
	_, ok = r.after(12, 1)
	require.False(t, ok)
}

// Equal choices are one group, so that each event is judged once for all.
func TestEqualChoicesAreOneGroup(t *testing.T) {
	var all groups
	enter := func(kind, tenant, text string) (*group, func()) {
		g, leave, err := all.enter(newSelection([]string{kind}, []string{tenant}), text, func() (*group, error) { return &group{}, nil })
		require.NoError(t, err)
		return g, leave
	}
	a, leaveA := enter("signin", "t", "true")
	b, leaveB := enter("signin", "t", "true")
	c, leaveC := enter("signin", "t", "false")
	require.Same(t, a, b)
	require.NotSame(t, a, c)
	leaveA()
	require.Len(t, all.byKey, 2)
	leaveB()
	leaveC()
	require.Empty(t, all.byKey)
}

// An entry is encoded as the field events of a response, without its raw bytes.
func TestAnEntryIsAFieldOfAResponse(t *testing.T) {
	e := stored(t, 1, "signin")
	require.NoError(t, e.load(func(error) {}))
	number, kind, n := protowire.ConsumeTag(e.bare)
	require.Equal(t, protowire.Number(eventsField), number)
	require.Equal(t, protowire.BytesType, kind)
	content, _ := protowire.ConsumeBytes(e.bare[n:])
	event := &eventv1.Event{}
	require.NoError(t, proto.Unmarshal(content, event))
	require.True(t, proto.Equal(&eventv1.Event{Id: "1", Kind: "signin", TenantId: "t"}, event))

	failures := 0
	broken := &entry{data: []byte("\xff")}
	for range 2 {
		require.Error(t, broken.load(func(error) { failures++ }))
	}
	require.Equal(t, 1, failures)
}
