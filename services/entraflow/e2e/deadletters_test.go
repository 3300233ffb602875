package e2e_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

type faultSize struct{ perPartition int }

// unreadable is no JSON however one repairs it; closed is the same with an end of its own.
const (
	unreadable = `{"time":"2026-05-06T04:06:06Z","category":`
	closed     = unreadable + `}`
)

// letter is what a dead letter must say. The bytes are compared apart.
type letter struct {
	partition string
	index     int64
	reason    string
	tenant    string
}

// TestBadRecordsStopNothing puts one unreadable record in each partition, two of them alone in a message
// and two between sound records, then a record and an unreadable one of 1 MB each, then a record of a tenant
// that the hub may not carry. Everything sound is stored; of the rest there are dead letters in the stream
// and in the table, with the bytes as they came and a reason.
func TestBadRecordsStopNothing(t *testing.T) {
	t.Parallel()
	const mb = 1_000_000
	ctx, w := newWorld(t, options{})
	require.NoError(t, w.startServices(ctx))
	b, want := newBooks(), map[letter][]byte{}
	count := sizes.faults.perPartition * partitions
	require.NoError(t, b.send(ctx, w.hub, load{count: count / 2, perMessage: 50}))

	bury := func(l letter, raw []byte) { want[l] = raw }
	for p := range partitions {
		raw := []byte(unreadable + strconv.Itoa(p))
		if p < partitions/2 {
			_, err := w.hub.append(ctx, p, raw)
			require.NoError(t, err)
			bury(letter{partition: strconv.Itoa(p), reason: "unreadable_json"}, raw)
			continue
		}
		bad := record{raw: []byte(closed)}
		before, after := signIn(tenant, 2*count+p, 0, 0), signIn(tenant, 3*count+p, 0, 0)
		at, err := w.hub.append(ctx, p, message(before, bad, after))
		require.NoError(t, err)
		b.enter(at, 0, before)
		b.enter(at, 2, after)
		bury(letter{partition: strconv.Itoa(p), index: 1, reason: "unreadable_json"}, bad.raw)
	}
	large := signIn(tenant, 4*count, 0, mb)
	at, err := w.hub.append(ctx, 0, message(large))
	require.NoError(t, err)
	b.enter(at, 0, large)
	_, err = w.hub.append(ctx, 1, []byte(unreadable+strings.Repeat("y", mb)))
	require.NoError(t, err)
	_, err = w.hub.append(ctx, 2, message(signIn(foreign, 0, 0, 0)))
	require.NoError(t, err)
	require.NoError(t, b.send(ctx, w.hub, load{first: count / 2, count: count / 2, perMessage: 50}))

	require.NoError(t, w.settle(ctx))
	conn := w.queryable(t)
	requireExactly(ctx, t, conn, b)
	largeLetter := letter{partition: "1", reason: "unreadable_json"}
	small := want[largeLetter]
	require.NotEmpty(t, small)
	bury(letter{partition: "2", reason: "tenant_mismatch", tenant: foreign}, signIn(foreign, 0, 0, 0).raw)

	for place, found := range map[string][]buried{
		"stream DEAD": w.deadLetters(ctx, t), "table dead_letters": storedDeadLetters(ctx, t, conn),
	} {
		require.Len(t, found, len(want)+1, place)
		got := map[letter][]byte{}
		for _, f := range found {
			require.NotEmpty(t, f.detail, place)
			if len(f.raw) > mb {
				require.Equal(t, largeLetter, f.letter, place)
				require.True(t, bytes.Equal(f.raw, []byte(unreadable+strings.Repeat("y", mb))), place)
				continue
			}
			got[f.letter] = f.raw
		}
		require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(letter{})), place)
	}
}

// buried is a dead letter as it is kept.
type buried struct {
	letter
	detail string
	raw    []byte
}

// deadLetters reads the stream DEAD.
func (w *world) deadLetters(ctx context.Context, t *testing.T) []buried {
	t.Helper()
	stream, err := w.operator.JetStream().Stream(ctx, eventv1.DeadLetterStream)
	require.NoError(t, err)
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	var all []buried
	for range stream.CachedInfo().State.Msgs {
		m, err := consumer.Next()
		require.NoError(t, err)
		d := &eventv1.DeadLetter{}
		require.NoError(t, proto.Unmarshal(m.Data(), d))
		all = append(all, buried{
			letter: letter{
				partition: d.GetHub().GetPartition(), index: int64(d.GetHub().GetRecordIndex()),
				reason: d.GetReason(), tenant: d.GetTenantId(),
			},
			detail: d.GetDetail(), raw: d.GetRaw(),
		})
	}
	return all
}

// storedDeadLetters reads the table dead_letters.
func storedDeadLetters(ctx context.Context, t *testing.T, conn driver.Conn) []buried {
	t.Helper()
	rows, err := conn.Query(ctx,
		"SELECT hub_partition, assumeNotNull(hub_record_index), reason, tenant_id, detail, raw FROM dead_letters FINAL")
	require.NoError(t, err)
	defer rows.Close()
	var all []buried
	for rows.Next() {
		var b buried
		var raw string
		require.NoError(t, rows.Scan(&b.partition, &b.index, &b.reason, &b.tenant, &b.detail, &raw))
		b.raw = []byte(raw)
		all = append(all, b)
	}
	require.NoError(t, rows.Err())
	return all
}
