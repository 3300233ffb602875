package directorysync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// kinds are the collections whose truth is compared object by object, with the kind that they have in DIRECTORY.
var kinds = map[tenant.Collection]string{
	tenant.Users: "user", tenant.Groups: "group", tenant.Devices: "device",
	tenant.Applications: "application", tenant.ServicePrincipals: "service_principal",
}

// directory is what a new reader of DIRECTORY has: the last state of each object, by kind and id. Tombstones are left out.
type directory map[string]map[string]*directoryv1.Object

// read reads DIRECTORY from the start as a new reader does.
func (w *world) read(tenantID string) directory {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	consumer, err := w.operator.JetStream().OrderedConsumer(ctx, directoryv1.ObjectStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{directoryv1.ObjectFilter("", tenantID, "")},
	})
	require.NoError(w.tb, err)
	info, err := consumer.Info(ctx)
	require.NoError(w.tb, err)
	all := directory{}
	messages, err := consumer.Messages()
	require.NoError(w.tb, err)
	defer messages.Stop()
	for left := info.NumPending; left > 0; left-- {
		m, err := messages.Next(jetstream.NextContext(ctx))
		require.NoError(w.tb, err)
		o := &directoryv1.Object{}
		require.NoError(w.tb, proto.Unmarshal(m.Data(), o))
		if all[o.GetObject()] == nil {
			all[o.GetObject()] = map[string]*directoryv1.Object{}
		}
		delete(all[o.GetObject()], o.GetId())
		if !o.GetDeleted() {
			all[o.GetObject()][o.GetId()] = o
		}
	}
	return all
}

// members are the members of each group, from all shards together.
func (d directory) members() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, o := range d["group_members"] {
		shard := o.GetGroupMembers()
		if all[shard.GetGroupId()] == nil {
			all[shard.GetGroupId()] = map[string]string{}
		}
		for _, m := range shard.GetMembers() {
			all[shard.GetGroupId()][m.GetId()] = m.GetKind()
		}
	}
	return all
}

// truth is a collection as the simulator has it, by id.
func (w *world) truth(tenantID string, c tenant.Collection) map[string]map[string]any {
	w.tb.Helper()
	d, err := w.sim.Directory(tenantID)
	require.NoError(w.tb, err)
	var text bytes.Buffer
	require.NoError(w.tb, d.WriteTruth(&text, c, time.Now()))
	all := map[string]map[string]any{}
	for line := range strings.Lines(text.String()) {
		var o map[string]any
		require.NoError(w.tb, json.Unmarshal([]byte(line), &o))
		id, _ := o["id"].(string)
		all[id] = o
	}
	return all
}

// differences says where DIRECTORY is not the simulator's truth.
func (w *world) differences(tenantID string) (all []string) {
	w.tb.Helper()
	stored := w.read(tenantID)
	members := stored.members()
	for c, kind := range kinds {
		truth := w.truth(tenantID, c)
		for id, want := range truth {
			got, known := stored[kind][id]
			if !known {
				all = append(all, fmt.Sprintf("%s %s is missing", kind, id))
				continue
			}
			all = append(all, properties(kind, got, want)...)
			if kind == "user" {
				managers := map[string]string{}
				if manager := got.GetUser().GetManagerId(); manager != "" {
					managers[manager] = "user"
				}
				all = append(all, links("manager", id, managers, want["manager"])...)
			}
			if kind == "group" {
				all = append(all, links("members", id, members[id], want["members"])...)
				owners := map[string]string{}
				for _, o := range got.GetGroup().GetOwners() {
					owners[o.GetId()] = o.GetKind()
				}
				all = append(all, links("owners", id, owners, want["owners"])...)
			}
		}
		for id := range stored[kind] {
			if _, exists := truth[id]; !exists {
				all = append(all, fmt.Sprintf("%s %s is gone", kind, id))
			}
		}
	}
	slices.Sort(all)
	return all
}

// properties compares what Graph was asked for.
func properties(kind string, got *directoryv1.Object, want map[string]any) (all []string) {
	var have map[string]any
	if err := json.Unmarshal(got.GetRaw(), &have); err != nil {
		return []string{fmt.Sprintf("%s %s has no readable record: %v", kind, got.GetId(), err)}
	}
	for name, value := range have {
		if !reflect.DeepEqual(value, want[name]) {
			all = append(all, fmt.Sprintf("%s %s: %s is %v, want %v", kind, got.GetId(), name, value, want[name]))
		}
	}
	const least = 5
	if len(have) < least {
		all = append(all, fmt.Sprintf("%s %s has %d properties", kind, got.GetId(), len(have)))
	}
	return all
}

// links compares a relation. A link to what is deleted for the time being may be there or not.
func links(relation, group string, got map[string]string, want any) (all []string) {
	wanted, optional := map[string]bool{}, map[string]bool{}
	list, _ := want.([]any)
	for _, one := range list {
		link, _ := one.(map[string]any)
		id, _ := link["id"].(string)
		if gone, _ := link["deleted"].(bool); gone {
			optional[id] = true
			continue
		}
		wanted[id] = true
		if _, ok := got[id]; !ok {
			all = append(all, fmt.Sprintf("%s lacks %s among its %s", group, id, relation))
		}
	}
	for id := range got {
		if !wanted[id] && !optional[id] {
			all = append(all, fmt.Sprintf("%s has %s among its %s", group, id, relation))
		}
	}
	return all
}

// agree waits until DIRECTORY is the truth.
func (w *world) agree(tenantID string, within time.Duration) {
	w.tb.Helper()
	deadline := time.Now().Add(within)
	for {
		differences := w.differences(tenantID)
		if len(differences) == 0 {
			return
		}
		if time.Now().After(deadline) {
			const shown = 20
			require.Fail(w.tb, "DIRECTORY is not the truth", "%d differences:\n%s", len(differences),
				strings.Join(differences[:min(shown, len(differences))], "\n"))
			return
		}
		pause(200 * time.Millisecond)
	}
}

func pause(d time.Duration) { <-time.After(d) }
