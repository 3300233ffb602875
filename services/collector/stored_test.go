package collector_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// stream returns everything that is in a stream under a subject, in its order.
func (w *world) stream(name, subject string) [][]byte {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := w.operator.JetStream().Stream(ctx, name)
	require.NoError(w.tb, err)
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subject))
	require.NoError(w.tb, err)
	n := 0
	for _, messages := range info.State.Subjects {
		n += int(messages)
	}
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubjects: []string{subject},
	})
	require.NoError(w.tb, err)
	all := make([][]byte, 0, n)
	for len(all) < n {
		batch, err := consumer.Fetch(min(n-len(all), 5000))
		require.NoError(w.tb, err)
		for m := range batch.Messages() {
			all = append(all, m.Data())
		}
		require.NoError(w.tb, batch.Error())
	}
	return all
}

// events returns the events of a tenant, in the order of the stream.
func (w *world) events(tenantID string) []*eventv1.Event {
	w.tb.Helper()
	var all []*eventv1.Event
	for _, data := range w.stream(eventv1.EventStream, "events.v1.*."+tenantID) {
		e := &eventv1.Event{}
		require.NoError(w.tb, proto.Unmarshal(data, e))
		require.Equal(w.tb, tenantID, e.GetTenantId())
		all = append(all, e)
	}
	return all
}

// collected are the source ids by kind.
func (w *world) collected(tenantID string) map[string]map[string]bool {
	found := map[string]map[string]bool{}
	for _, e := range w.events(tenantID) {
		if found[e.GetKind()] == nil {
			found[e.GetKind()] = map[string]bool{}
		}
		id, _, _ := strings.Cut(e.GetSourceId(), "@") // a risky user's names the state, too
		found[e.GetKind()][id] = true
	}
	return found
}

// truth are the ids of a tenant that a query chooses, by kind.
func (w *world) truth(tenantID string, q tenant.Query, logs ...string) map[string]map[string]bool {
	w.tb.Helper()
	source, err := w.sim.Tenant(tenantID)
	require.NoError(w.tb, err)
	generated, ok := source.(*tenant.Tenant)
	require.True(w.tb, ok)
	if len(logs) == 0 {
		logs = tenant.Logs()
	}
	want := map[string]map[string]bool{}
	for _, log := range logs {
		kind, _, _ := strings.Cut(log, ".")
		if want[kind] == nil {
			want[kind] = map[string]bool{}
		}
		for id := range generated.IDs(log, q) {
			want[kind][id] = true
		}
	}
	return want
}

// missing counts what is wanted and not collected, by kind.
func missing(want, have map[string]map[string]bool) map[string]int {
	lacks := map[string]int{}
	for kind, ids := range want {
		for id := range ids {
			if !have[kind][id] {
				lacks[kind]++
			}
		}
	}
	return lacks
}

// requireComplete checks that everything that was there at a time is stored, nothing that never was, and no dead letter.
func (w *world) requireComplete(tenantID string, at time.Time, logs ...string) {
	w.tb.Helper()
	have := w.collected(tenantID)
	want := w.truth(tenantID, tenant.Query{To: at, At: at}, logs...)
	require.Empty(w.tb, cmp.Diff(map[string]int{}, missing(want, have)), "missing")
	now := w.sim.Now()
	require.Empty(w.tb, cmp.Diff(map[string]int{}, missing(have, w.truth(tenantID, tenant.Query{To: now, At: now}))), "invented")
	require.Empty(w.tb, w.stream(eventv1.DeadLetterStream, "dead.>"))
	total := 0
	for _, ids := range want {
		total += len(ids)
	}
	require.Positive(w.tb, total)
}

// awaitRun waits until a run of a trigger has ended and returns it.
func (w *world) awaitRun(integration string, trigger controlv1.RunTrigger) *controlv1.Run {
	w.tb.Helper()
	var ended *controlv1.Run
	eventually(w.tb, trigger.String()+" of "+integration, func() bool {
		for _, r := range w.listRuns(integration) {
			if r.GetTrigger() == trigger && r.GetEndTime() != nil {
				ended = r
				return true
			}
		}
		return false
	})
	return ended
}

func (w *world) listRuns(integration string) []*controlv1.Run {
	w.tb.Helper()
	all, err := w.runs.List(context.Background(), integration)
	require.NoError(w.tb, err)
	return all
}

// status is how an integration stands; never nil.
func (w *world) status(integration string) *controlv1.IntegrationStatus {
	w.tb.Helper()
	s, err := w.runs.Status(context.Background(), integration)
	require.NoError(w.tb, err)
	if s == nil {
		return &controlv1.IntegrationStatus{}
	}
	return s
}

// dataTypes are the data types of a run, by name.
func dataTypes(r *controlv1.Run) map[string]*controlv1.DataTypeProgress {
	all := map[string]*controlv1.DataTypeProgress{}
	for _, t := range r.GetDataTypes() {
		all[t.GetDataType()] = t
	}
	return all
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
