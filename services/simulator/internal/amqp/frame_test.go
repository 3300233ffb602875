package amqp_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	goamqp "github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// both is a performative that is sent and read here.
type both interface {
	amqp.Outgoing
	amqp.Performative
}

func TestPerformativesRoundTrip(t *testing.T) {
	e := amqp.Error{Condition: "amqp:not-found", Description: "gone"}
	some := amqp.Some[uint32]
	source := amqp.Terminus{Present: true, Address: "hub"}
	tests := map[string]both{
		"open":        &amqp.Open{ContainerID: "c", Hostname: "h", MaxFrameBytes: some(512), ChannelMax: 9, IdleTimeoutMS: some(3)},
		"close":       &amqp.Close{Error: e},
		"close clean": &amqp.Close{},
		"begin":       &amqp.Begin{RemoteChannel: some(3), NextOutgoingID: 1, IncomingWindow: 5000, OutgoingWindow: 6, HandleMax: 7},
		"end":         &amqp.End{Error: e},
		"attach": &amqp.Attach{
			Name: "n", Handle: 300, Receiver: true, SenderSettleMode: some(1), ReceiverSettleMode: some(0),
			Source: source, Target: source, InitialDeliveryCount: some(0), MaxMessageBytes: 1 << 20,
		},
		"attach refused": &amqp.Attach{Name: "n"},
		"flow": &amqp.Flow{
			NextIncomingID: some(0), IncomingWindow: 1, NextOutgoingID: 2, OutgoingWindow: 3,
			Handle: some(0), DeliveryCount: some(4), LinkCredit: some(0), Drain: true,
		},
		"session flow":         &amqp.Flow{NextIncomingID: some(8), IncomingWindow: 1, NextOutgoingID: 2, OutgoingWindow: 3},
		"detach":               &amqp.Detach{Handle: 1, Closed: true, Error: e},
		"disposition accepted": &amqp.Disposition{Receiver: true, First: 5, Settled: true},
		"disposition rejected": &amqp.Disposition{Receiver: true, First: 5, Last: some(6), Settled: true, Error: e},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			frame := amqp.AppendFrame(nil, amqp.FrameAMQP, 7, want)
			r := amqp.NewFrameReader(iotest.OneByteReader(bytes.NewReader(frame)), 65536)
			f, err := r.ReadFrame()
			require.NoError(t, err)
			require.Equal(t, uint16(7), f.Channel)
			got, payload, err := amqp.Decode(f.Body)
			require.NoError(t, err)
			require.Empty(t, payload)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(amqp.Value{})); diff != "" {
				t.Fatal(diff)
			}
			_, err = r.ReadFrame()
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

func TestDeliveryInFrames(t *testing.T) {
	for _, size := range []int{0, 1, 447, 448, 449, 5000} {
		body := bytes.Repeat([]byte{'x'}, size)
		message, err := (&goamqp.Message{Data: [][]byte{body}}).MarshalBinary()
		require.NoError(t, err)
		d := amqp.Delivery{Channel: 2, Handle: 300, ID: 70000, Message: message}
		const maxFrame = 512
		wire := amqp.AppendDelivery(nil, d, maxFrame)
		r := amqp.NewFrameReader(bytes.NewReader(wire), maxFrame)
		var got []byte
		frames := 0
		for {
			f, err := r.ReadFrame()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, "no frame may exceed the bound")
			p, payload, err := amqp.Decode(f.Body)
			require.NoError(t, err)
			transfer, ok := p.(*amqp.Transfer)
			require.True(t, ok)
			require.True(t, transfer.Settled, "the SDK settles nothing")
			require.Equal(t, uint32(300), transfer.Handle)
			require.Equal(t, frames == 0, transfer.DeliveryID.Set)
			got = append(got, payload...)
			frames++
			require.Equal(t, len(got) < len(message), transfer.More)
		}
		require.Equal(t, d.Frames(maxFrame), frames)
		require.Equal(t, message, got)
	}
}

func TestReadFrameRefuses(t *testing.T) {
	tests := map[string]struct {
		wire []byte
		want error
	}{
		"too large":           {[]byte{0, 1, 0, 1, 2, 0, 0, 0}, amqp.ErrMalformed},
		"too small":           {[]byte{0, 0, 0, 7, 2, 0, 0, 0}, amqp.ErrMalformed},
		"data before header":  {[]byte{0, 0, 0, 8, 1, 0, 0, 0}, amqp.ErrMalformed},
		"data behind the end": {[]byte{0, 0, 0, 8, 3, 0, 0, 0}, amqp.ErrMalformed},
		"cut header":          {[]byte{0, 0, 0, 8}, io.ErrUnexpectedEOF},
		"cut body":            {[]byte{0, 0, 0, 9, 2, 0, 0, 0}, io.ErrUnexpectedEOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := amqp.NewFrameReader(bytes.NewReader(tt.wire), 65536).ReadFrame()
			require.ErrorIs(t, err, tt.want)
		})
	}
	extended := []byte{0, 0, 0, 13, 3, 0, 0, 5, 9, 9, 9, 9, 0x40}
	f, err := amqp.NewFrameReader(bytes.NewReader(extended), 65536).ReadFrame()
	require.NoError(t, err)
	require.Equal(t, amqp.Frame{Channel: 5, Body: []byte{0x40}}, f, "extended headers are skipped")
}

func FuzzDecode(f *testing.F) {
	for _, p := range []amqp.Outgoing{
		&amqp.Attach{Name: "n", Source: amqp.Terminus{Present: true, Address: "a"}, MaxMessageBytes: 1},
		&amqp.Flow{Handle: amqp.Some[uint32](1)}, &amqp.Disposition{Error: amqp.Error{Condition: "c"}}, &amqp.Open{},
	} {
		f.Add(amqp.AppendFrame(nil, amqp.FrameAMQP, 0, p)[8:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, payload, err := amqp.Decode(body)
		if (p == nil) != (err != nil) {
			t.Fatalf("%v with error %v", p, err)
		}
		if len(payload) > len(body) {
			t.Fatal("payload grows")
		}
	})
}
