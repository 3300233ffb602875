package runs

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// SetStatus writes how an integration stands as far as this service goes.
func (s *Store) SetStatus(ctx context.Context, integration string, status *controlv1.IntegrationStatus) error {
	value, err := proto.Marshal(status)
	if err != nil {
		return fmt.Errorf("encoding status: %w", err)
	}
	if _, err := s.kv.Put(ctx, bus.Key(s.service, kindStatus, integration), value); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}

// Status returns how an integration stands, by Merge; nil if nobody has written that.
func (r *Reader) Status(ctx context.Context, integration string) (*controlv1.IntegrationStatus, error) {
	written := map[string]*controlv1.IntegrationStatus{}
	err := r.read(ctx, r.keys(kindStatus, integration), func(entry jetstream.KeyValueEntry) error {
		status := &controlv1.IntegrationStatus{}
		written[entry.Key()] = status
		return proto.Unmarshal(entry.Value(), status)
	})
	if err != nil {
		return nil, fmt.Errorf("reading status: %w", err)
	}
	ordered := make([]*controlv1.IntegrationStatus, 0, len(written))
	for _, key := range slices.Sorted(maps.Keys(written)) { // by service
		ordered = append(ordered, written[key])
	}
	return Merge(ordered), nil
}

// Merge makes one status of those that several services wrote of an integration; nil of none. It has the data types of
// all. Its problem says that no service reads anything; where others do, the data types of the service that cannot say
// why. Its report is the newest, with what only others tested. What it is given is not changed, but may be shared.
func Merge(written []*controlv1.IntegrationStatus) *controlv1.IntegrationStatus {
	if len(written) == 0 {
		return nil
	}
	if len(written) == 1 {
		return written[0]
	}
	all := &controlv1.IntegrationStatus{Report: mergeReports(written)}
	if !slices.ContainsFunc(written, func(s *controlv1.IntegrationStatus) bool { return s.GetProblem() == nil }) {
		all.Problem = written[0].GetProblem()
	}
	for _, s := range written {
		for _, t := range s.GetDataTypes() {
			if all.GetProblem() == nil && s.GetProblem() != nil && t.GetProblem() == nil {
				t = proto.CloneOf(t)
				t.Problem = s.GetProblem()
			}
			all.DataTypes = append(all.DataTypes, t)
		}
		if s.GetUpdateTime().AsTime().After(all.GetUpdateTime().AsTime()) {
			all.UpdateTime = s.GetUpdateTime()
		}
	}
	return all
}

func mergeReports(written []*controlv1.IntegrationStatus) *controlv1.ConnectionReport {
	var newest *controlv1.ConnectionReport
	for _, s := range written {
		r := s.GetReport()
		if r != nil && (newest == nil || r.GetTestTime().AsTime().After(newest.GetTestTime().AsTime())) {
			newest = r
		}
	}
	if newest == nil {
		return nil
	}
	all := proto.CloneOf(newest)
	for _, s := range written {
		if s.GetReport() == newest {
			continue
		}
		for _, t := range s.GetReport().GetDataTypes() {
			addDataType(all, t)
		}
		for _, a := range s.GetReport().GetActions() {
			if !slices.ContainsFunc(all.GetActions(), func(known *controlv1.ActionReport) bool { return known.GetAction() == a.GetAction() }) {
				all.Actions = append(all.Actions, a)
			}
		}
	}
	return all
}

// addDataType adds what a report lacks. Of two that tested the same, the one who reads it counts.
func addDataType(report *controlv1.ConnectionReport, t *controlv1.DataTypeReport) {
	i := slices.IndexFunc(report.GetDataTypes(), func(known *controlv1.DataTypeReport) bool { return known.GetDataType() == t.GetDataType() })
	switch {
	case i < 0:
		report.DataTypes = append(report.DataTypes, t)
	case t.GetEnabled() && !report.GetDataTypes()[i].GetEnabled():
		report.DataTypes[i] = t
	}
}
