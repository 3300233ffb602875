package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// historyWithin is how long it takes to make the changes: DIRECTORY keeps 16 states of an object, and a group that many
// changes touch has one for each time that Graph is asked.
const historyWithin = 8 * time.Second

// TestDirectoryHistory takes the sink away while a directory changes. Once it is back the history has every state that
// DIRECTORY ever had, as one who read the stream all the time saw them.
func TestDirectoryHistory(t *testing.T) {
	t.Parallel()
	size := sizes.directory
	ctx, w, c := newDirectoryWorld(t, 1, 0, &tenantOptions{users: size.users})
	require.NoError(t, w.startServices(ctx))
	watching, err := w.watchDirectory(ctx)
	require.NoError(t, err)
	w.integrate(ctx, t)
	_, err = w.agree(ctx, t)
	require.NoError(t, err)
	before := watching.last()

	w.sink.kill()
	changes, err := w.tenant.change(ctx, c.seed, size.history, float64(size.history)/historyWithin.Seconds())
	require.NoError(t, err)
	_, _, err = w.agreeStreamed(ctx, allKinds())
	require.NoError(t, err)
	require.NoError(t, w.sink.start(ctx))
	a := w.tellAgreed(ctx, t, changes)

	seen, err := watching.stop(ctx, w)
	require.NoError(t, err)
	away, hottest := 0, 0
	perObject := map[string]int{}
	for s, sequence := range seen {
		if sequence > before {
			away++
			perObject[s.object+"/"+s.id]++
			hottest = max(hottest, perObject[s.object+"/"+s.id])
		}
	}
	t.Logf("%d objects had %d states, %d of them while the sink was away, one object %d", a.objects, len(seen), away, hottest)
	require.NoError(t, w.compareHistory(ctx, w.queryable(t), seen))
}

// version is a state of an object.
type version struct {
	object, id string
	version    uint64
}

// watcher reads DIRECTORY all the time.
type watcher struct {
	cancel   context.CancelFunc
	messages jetstream.MessagesContext
	ended    chan error
	// seen are the states by their sequences; last is asked for by position.
	seen     map[version]uint64
	position chan uint64
}

// watchDirectory begins to read DIRECTORY from the start.
func (w *world) watchDirectory(ctx context.Context) (*watcher, error) {
	consumer, err := w.operator.JetStream().OrderedConsumer(ctx, directoryv1.ObjectStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &watcher{cancel: cancel, messages: messages, ended: make(chan error, 1), seen: map[version]uint64{}, position: make(chan uint64, 1)}
	r.position <- 0
	go func() { r.ended <- r.watch(ctx) }()
	return r, nil
}

var errMissed = errors.New("the reader of DIRECTORY missed a message")

func (r *watcher) watch(ctx context.Context) error {
	for last := uint64(0); ; {
		m, err := r.messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Stream != last+1 {
			return fmt.Errorf("%w: %d comes after %d", errMissed, meta.Sequence.Stream, last)
		}
		last = meta.Sequence.Stream
		o := &directoryv1.Object{}
		if err := proto.Unmarshal(m.Data(), o); err != nil {
			return err
		}
		r.seen[version{o.GetObject(), o.GetId(), o.GetVersion()}] = last
		<-r.position
		r.position <- last
	}
}

// last is the sequence that was read last.
func (r *watcher) last() uint64 {
	last := <-r.position
	r.position <- last
	return last
}

// stop returns all states once the stream was read to its end.
func (r *watcher) stop(ctx context.Context, w *world) (map[version]uint64, error) {
	stream, err := w.operator.JetStream().Stream(ctx, directoryv1.ObjectStream)
	if err != nil {
		return nil, err
	}
	end := stream.CachedInfo().State.LastSeq
	err = eventually(ctx, "DIRECTORY to be read", func() (bool, error) { return r.last() >= end, nil })
	r.cancel()
	r.messages.Stop()
	return r.seen, errors.Join(err, <-r.ended)
}

// compareHistory returns how the history differs from the states that there were; nil if it does not.
func (w *world) compareHistory(ctx context.Context, conn driver.Conn, seen map[version]uint64) error {
	rows, err := conn.Query(ctx, "SELECT object, id, version, stream_sequence FROM directory_history FINAL")
	if err != nil {
		return err
	}
	defer rows.Close()
	missing := maps.Clone(seen)
	var foreign []string
	for rows.Next() {
		var s version
		var sequence uint64
		if err := rows.Scan(&s.object, &s.id, &s.version, &sequence); err != nil {
			return err
		}
		if missing[s] != sequence {
			foreign = append(foreign, fmt.Sprintf("%+v at %d, not %d", s, sequence, missing[s]))
		}
		delete(missing, s)
	}
	if err := rows.Err(); err != nil || len(missing)+len(foreign) == 0 {
		return err
	}
	lost := map[string]int{}
	for s := range missing {
		lost[s.object+"/"+s.id]++
	}
	return fmt.Errorf("of %d states %d of %d objects are missing %v, %d are others %v", len(seen), len(missing), len(lost),
		some(slices.Sorted(maps.Keys(lost))), len(foreign), some(foreign))
}
