package bus_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

func object(id int, version uint64, deleted bool) *directoryv1.Object {
	return &directoryv1.Object{
		Object: "user", TenantId: tenant, Id: strconv.Itoa(id), Integration: "contoso", Version: version,
		ObservedAt: timestamppb.Now(), Deleted: deleted,
	}
}

func TestState(t *testing.T) {
	const users = 3000 // more than one request and one batch take
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserDirectorySync)
	publisher := bustest.Publisher(t, conn)
	none := uint64(0)
	batch := publisher.NewBatch()
	subjects := make([]string, users)
	for i := range users {
		o := object(i, 1, i%10 == 0)
		subjects[i] = o.BusSubject()
		require.NoError(t, batch.Publish(t.Context(), o, bus.PublishOptions{ExpectedLastSubjectSequence: &none}))
	}
	require.NoError(t, batch.Wait(t.Context()))

	_, err := publisher.Publish(t.Context(), object(7, 2, false), bus.PublishOptions{ExpectedLastSubjectSequence: &none})
	require.ErrorIs(t, err, bus.ErrWrongSequence, "somebody else wrote it")
	found, err := bus.Last(t.Context(), conn, directoryv1.ObjectStream, append(subjects, object(users, 0, false).BusSubject()))
	require.NoError(t, err)
	require.Len(t, found, users)
	for i, subject := range subjects {
		got := &directoryv1.Object{}
		require.NoError(t, proto.Unmarshal(found[subject].Data, got))
		require.Equal(t, strconv.Itoa(i), got.GetId())
		require.Equal(t, i%10 == 0, found[subject].Deleted)
	}
	sequence := found[subjects[7]].Sequence
	ack, err := publisher.Publish(t.Context(), object(7, 2, true), bus.PublishOptions{ExpectedLastSubjectSequence: &sequence})
	require.NoError(t, err)

	known := map[string]uint64{}
	tombstones := 0
	err = bus.Known(t.Context(), conn, directoryv1.ObjectStream, directoryv1.ObjectFilter("user", tenant, ""),
		func(subject string, sequence uint64, deleted bool) error {
			known[subject] = sequence
			if deleted {
				tombstones++
			}
			return nil
		})
	require.NoError(t, err)
	require.Len(t, known, users)
	require.Equal(t, ack.Sequence, known[subjects[7]])
	require.Equal(t, users/10+1, tombstones)

	err = bus.Known(t.Context(), conn, directoryv1.ObjectStream, directoryv1.ObjectFilter("group", tenant, ""),
		func(string, uint64, bool) error { return bus.ErrRefused })
	require.NoError(t, err, "there are none")
	err = bus.Known(t.Context(), conn, directoryv1.ObjectStream, directoryv1.ObjectFilter("user", tenant, ""),
		func(string, uint64, bool) error { return bus.ErrRefused })
	require.ErrorIs(t, err, bus.ErrRefused)
}
