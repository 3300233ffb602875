package streamer_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/streamer"
)

// append appends one message and returns its enqueued time.
func (w *world) append(partition string, e eventhubs.Event) eventhubs.Receipt {
	w.t.Helper()
	receipt, err := w.hub.Append(partition, e)
	require.NoError(w.t, err)
	return receipt
}

// unreadable is no JSON however one repairs it.
const unreadable = `{"time":"2026-05-06T04:06:06Z","category":`

// nobody is JSON, but no record of anybody.
const nobody = `{"no":"time or tenant"}`

func TestOneBadRecordStopsNothing(t *testing.T) {
	w := newWorld(t, 4)
	w.fill(0, 20, 10)
	var receipts []eventhubs.Receipt
	for p := range 4 {
		receipts = append(receipts, w.append(fmt.Sprint(p), eventhubs.Event{Body: []byte(unreadable + fmt.Sprint(p))}))
	}
	w.fill(200, 20, 10)
	r := w.start(w.config())
	w.awaitStored(eventv1.EventStream, 400)
	w.awaitStored(eventv1.DeadLetterStream, 4)
	r.wait()
	requireExactly(t, w.events(), 0, 400)

	letters := map[string]*eventv1.DeadLetter{}
	for _, d := range w.deadLetters() {
		letters[d.GetHub().GetPartition()] = d
	}
	require.Len(t, letters, 4)
	for p := range 4 {
		d := letters[fmt.Sprint(p)]
		require.Equal(t, unreadable+fmt.Sprint(p), string(d.GetRaw()))
		require.Equal(t, "unreadable_json", d.GetReason())
		require.NotEmpty(t, d.GetDetail())
		require.Equal(t, "streamer", d.GetService())
		require.Equal(t, "entra", d.GetOrigin())
		require.Equal(t, "contoso", d.GetIntegration())
		require.Empty(t, cmp.Diff(&eventv1.HubPlace{
			Namespace: namespace, Hub: hubName, ConsumerGroup: "$Default", Partition: fmt.Sprint(p),
			SequenceNumber: receipts[p].First, RecordIndex: 0,
		}, d.GetHub(), protocmp.Transform(), protocmp.IgnoreFields(&eventv1.HubPlace{}, "offset", "enqueued_at")))
		require.Equal(t, receipts[p].EnqueuedAt, d.GetHub().GetEnqueuedAt().AsTime())
		require.NotEmpty(t, d.GetHub().GetOffset())
		require.Equal(t, int64(10), w.position("$Default", fmt.Sprint(p)), "the bad record is behind the checkpoint")
	}
	require.InDelta(t, 4, r.metric("entraflow_streamer_dead_letters_total", "reason", "unreadable_json"), 0)
}

func TestABadRecordBetweenGoodOnes(t *testing.T) {
	w := newWorld(t, 1)
	w.append("0", message(signIn(tenant, 0), nobody, signIn(tenant, 1)))
	r := w.start(w.config())
	w.awaitStored(eventv1.EventStream, 2)
	w.awaitStored(eventv1.DeadLetterStream, 1)
	r.wait()
	requireExactly(t, w.events(), 0, 2)
	d := w.deadLetters()[0]
	require.True(t, bytes.Equal([]byte(nobody), d.GetRaw()))
	require.Equal(t, int32(1), d.GetHub().GetRecordIndex())
}

func TestTenants(t *testing.T) {
	nameless := strings.ReplaceAll(strings.ReplaceAll(signIn(tenant, 7), `"tenantId":"`+tenant+`",`, ""), `"resourceId":"/tenants/`+tenant+`/providers/Microsoft.aadiam",`, "")
	cases := map[string]struct {
		tenants []string
		want    map[string]string // reason of each dead letter by its tenant
		stored  int
	}{
		"one":         {[]string{tenant}, map[string]string{foreign: "tenant_mismatch"}, 2},
		"upper case":  {[]string{strings.ToUpper(tenant)}, map[string]string{foreign: "tenant_mismatch"}, 2},
		"two":         {[]string{tenant, foreign}, map[string]string{"": "tenant_missing"}, 2},
		"any":         {[]string{streamer.AnyTenant}, map[string]string{"": "tenant_missing"}, 2},
		"other alone": {[]string{foreign}, map[string]string{tenant: "tenant_mismatch"}, 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.append("0", message(signIn(tenant, 1), signIn(foreign, 2), nameless))
			cfg := w.config()
			cfg.Hubs[0].Tenants = tc.tenants
			r := w.start(cfg)
			w.awaitStored(eventv1.EventStream, tc.stored)
			w.awaitStored(eventv1.DeadLetterStream, len(tc.want))
			r.wait()
			got := map[string]string{}
			for _, d := range w.deadLetters() {
				got[d.GetTenantId()] = d.GetReason()
				require.NotEmpty(t, d.GetRaw())
			}
			require.Equal(t, tc.want, got)
			require.Len(t, w.events(), tc.stored)
		})
	}
}

func TestLargeMessages(t *testing.T) {
	const mb = 1_000_000
	w := newWorld(t, 2)
	large := strings.Replace(signIn(tenant, 0), "Adele Vance", strings.Repeat("x", mb), 1)
	damaged := unreadable + strings.Repeat("y", mb)
	w.append("0", message(large))
	w.append("0", message(signIn(tenant, 1)))
	w.append("1", eventhubs.Event{Body: []byte(damaged)})
	w.append("1", message(signIn(tenant, 2)))
	r := w.start(w.config())
	w.awaitStored(eventv1.EventStream, 3)
	w.awaitStored(eventv1.DeadLetterStream, 1)
	r.wait()
	events := w.events()
	requireExactly(t, events, 0, 3)
	for _, e := range events {
		if strings.HasPrefix(e.GetSourceId(), "00000000") {
			require.True(t, bytes.Equal([]byte(large), e.GetRaw()))
		}
	}
	d := w.deadLetters()[0]
	require.True(t, bytes.Equal([]byte(damaged), d.GetRaw()))
	require.Equal(t, "unreadable_json", d.GetReason())
}

// TestEventsDependOnTheHubAlone reads one hub into two buses: what a restarted streamer publishes again is
// the same, so the stream can drop it by its message id, and whoever does not drop it finds the same version.
func TestEventsDependOnTheHubAlone(t *testing.T) {
	w := newWorld(t, 3)
	w.fill(0, 30, 5)
	other := &world{t: t, bus: newWorld(t, 1).bus, sim: w.sim, hub: w.hub}
	other.conn = other.bus.Connect(t, "operator")
	var all [2]map[string]*eventv1.Event
	for i, each := range []*world{w, other} {
		r := each.start(each.config())
		each.awaitStored(eventv1.EventStream, 150)
		r.wait()
		all[i] = map[string]*eventv1.Event{}
		events := each.events()
		for k, m := range each.read(eventv1.EventStream) {
			all[i][m.messageID] = events[k]
		}
		require.Len(t, all[i], 150, "message ids are unique")
	}
	require.Empty(t, cmp.Diff(all[0], all[1], protocmp.Transform(), protocmp.IgnoreFields(&eventv1.Event{}, "observed_at")))
}
