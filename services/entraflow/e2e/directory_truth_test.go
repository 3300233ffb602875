package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/entraflow/internal/directory"
)

// truth reads what the simulator has of kinds.
func (s *simulatedTenant) directory(ctx context.Context, kinds []string) (directory.Directory, error) {
	d := directory.New()
	for _, c := range directory.Collections() {
		if !slices.Contains(kinds, c.Kind) {
			continue
		}
		lines, err := s.collection(ctx, c.Name)
		if err != nil {
			return d, err
		}
		err = errors.Join(d.TakeTruth(c.Kind, lines), lines.Close())
		if err != nil {
			return d, err
		}
	}
	return d, nil
}

// streamed reads DIRECTORY from the start as a new reader does, and returns the size of its largest message.
func (w *world) streamed(ctx context.Context, kinds []string) (d directory.Directory, largest int, err error) {
	d = directory.New()
	consumer, err := w.operator.JetStream().OrderedConsumer(ctx, directoryv1.ObjectStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
		FilterSubjects: []string{directoryv1.ObjectFilter("", w.tenant.Tenant.TenantID, "")},
	})
	if err != nil {
		return d, 0, err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return d, 0, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return d, 0, err
	}
	defer messages.Stop()
	for left := info.NumPending; left > 0; left-- {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return d, 0, err
		}
		largest = max(largest, len(m.Data()))
		o := &directoryv1.Object{}
		if err := proto.Unmarshal(m.Data(), o); err != nil {
			return d, 0, err
		}
		if err := d.Take(o, kinds); err != nil {
			return d, 0, err
		}
	}
	return d, largest, nil
}

// agreed says how much was compared.
type agreed struct {
	objects, links, largest int
	took                    time.Duration
}

// agree waits until DIRECTORY is what the simulator has, and then the store. The simulator must be quiet. Without kinds all
// that are compared are.
func (w *world) agree(ctx context.Context, t *testing.T, kinds ...string) (agreed, error) {
	t.Helper()
	if len(kinds) == 0 {
		kinds = allKinds()
	}
	truth, a, err := w.agreeStreamed(ctx, kinds)
	if err != nil {
		return a, err
	}
	if err := w.storedAll(ctx, directoryv1.ObjectStream); err != nil {
		return a, err
	}
	d, err := directory.ReadStore(ctx, w.queryable(t), kinds)
	if err == nil {
		err = d.DiffersFrom(truth)
	}
	if err != nil {
		return a, fmt.Errorf("comparing the store: %w", err)
	}
	return a, nil
}

func allKinds() (kinds []string) {
	for _, c := range directory.Collections() {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

// agreeStreamed waits until DIRECTORY is what the simulator has, and returns that.
func (w *world) agreeStreamed(ctx context.Context, kinds []string) (truth directory.Directory, a agreed, err error) {
	began := time.Now()
	if truth, err = w.tenant.directory(ctx, kinds); err != nil {
		return truth, a, err
	}
	a.links = len(truth.Links)
	for _, all := range truth.Objects {
		a.objects += len(all)
	}
	err = eventually(ctx, "DIRECTORY to be the truth", func() (bool, error) {
		d, largest, err := w.streamed(ctx, kinds)
		a.largest = largest
		err = errors.Join(err, d.DiffersFrom(truth))
		if err != nil {
			return false, errors.Join(err, pause(ctx, time.Second)) // comparing is dear
		}
		return true, nil
	})
	a.took = time.Since(began)
	return truth, a, err
}
