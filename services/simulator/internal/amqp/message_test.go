package amqp_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// messages are encoded by go-amqp, the oracle.
func messages() map[string]*goamqp.Message {
	return map[string]*goamqp.Message{
		"data": goamqp.NewMessage([]byte("hello")),
		"everything": {
			Header:              &goamqp.MessageHeader{Durable: true, Priority: 3, DeliveryCount: 100},
			DeliveryAnnotations: goamqp.Annotations{"dropped": "x"},
			Annotations:         goamqp.Annotations{"x-opt-partition-key": "key", "own": int64(-9), "map": map[string]any{"a": true}},
			Properties: &goamqp.MessageProperties{
				MessageID: "id", ReplyTo: new("reply"), ContentType: new("text/plain"), CorrelationID: uint64(7),
				CreationTime: new(time.UnixMilli(1_700_000_000_123)), GroupID: new("group"), GroupSequence: new(uint32(9)),
			},
			ApplicationProperties: map[string]any{
				"string": "v", "int": int32(-1), "long": int64(1) << 40, "bool": true, "double": 1.5, "binary": []byte{0, 255},
				"time": time.UnixMilli(5), "ubyte": uint8(8), "uuid": goamqp.UUID{1, 2, 3},
			},
			Data:   [][]byte{[]byte("one"), bytes.Repeat([]byte("two"), 200)},
			Footer: goamqp.Annotations{"f": "g"},
		},
		"value":    {Value: map[string]any{"n": int64(1), "list": []any{"a", nil, uint32(0)}}},
		"sequence": {Sequence: [][]any{{"a", int64(1)}, {"b"}}},
	}
}

func TestParseMessageOfGoAMQP(t *testing.T) {
	for name, want := range messages() {
		t.Run(name, func(t *testing.T) {
			encoded, err := want.MarshalBinary()
			require.NoError(t, err)
			m, err := amqp.ParseMessage(encoded)
			require.NoError(t, err)

			// Put together again from its parts, it must mean the same to go-amqp.
			again := append([]byte(nil), m.Header...)
			if m.Annotations.IsMap() {
				again = amqp.AppendValue(again, m.Annotations)
			}
			again = append(again, m.Bare...)
			var got goamqp.Message
			require.NoError(t, got.UnmarshalBinary(again))
			var expected goamqp.Message
			require.NoError(t, expected.UnmarshalBinary(encoded))
			expected.DeliveryAnnotations = nil
			if diff := cmp.Diff(&expected, &got, cmpopts.IgnoreUnexported(goamqp.Message{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestMessageFields(t *testing.T) {
	encoded, err := messages()["everything"].MarshalBinary()
	require.NoError(t, err)
	m, err := amqp.ParseMessage(encoded)
	require.NoError(t, err)
	id, _ := m.MessageID().Text()
	require.Equal(t, "id", id)
	require.Equal(t, "reply", m.ReplyTo())
	key, _ := m.Annotations.Lookup("x-opt-partition-key").Text()
	require.Equal(t, "key", key)
	own, _ := m.Annotations.Lookup("own").Int()
	require.Equal(t, int64(-9), own)
	text, _ := m.Application.Lookup("string").Text()
	require.Equal(t, "v", text)
	require.True(t, m.Application.Lookup("none").IsNull())
	body, _ := m.Body.Binary()
	require.Equal(t, "one", string(body))
}

// TestAppendedMessageInGoAMQP encodes here and decodes there.
func TestAppendedMessageInGoAMQP(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_123)
	b, mark := amqp.OpenAnnotations(nil)
	b = amqp.AppendLong(amqp.AppendSymbol(b, "seq"), 1<<40)
	b = amqp.AppendTimestamp(amqp.AppendSymbol(b, "at"), now.UnixMilli())
	b = amqp.CloseCompound(b, mark, 4)
	b, mark = amqp.OpenProperties(b)
	b = amqp.CloseCompound(amqp.AppendString(b, "id"), mark, 1)
	b, mark = amqp.OpenApplication(b)
	values := map[string]any{
		"null": nil, "bool": false, "string": "s", "binary": []byte("b"), "int32": int32(-3), "int64": int64(-4),
		"uint32": uint32(5), "uint64": uint64(1) << 50, "float64": 2.5, "time": now.UTC(),
	}
	for name, v := range values {
		var ok bool
		b, ok = amqp.AppendAny(amqp.AppendString(b, name), v)
		require.True(t, ok, name)
	}
	b = amqp.CloseCompound(b, mark, 2*len(values))
	b = amqp.AppendDataSection(b, []byte("body"))
	var got goamqp.Message
	require.NoError(t, got.UnmarshalBinary(b))
	want := goamqp.Message{
		Annotations:           goamqp.Annotations{"seq": int64(1) << 40, "at": now.UTC()},
		Properties:            &goamqp.MessageProperties{MessageID: "id"},
		ApplicationProperties: values,
		Data:                  [][]byte{[]byte("body")},
	}
	if diff := cmp.Diff(&want, &got, cmpopts.IgnoreUnexported(goamqp.Message{})); diff != "" {
		t.Fatal(diff)
	}

	var value goamqp.Message
	require.NoError(t, value.UnmarshalBinary(amqp.AppendStrings(amqp.AppendValueSection(nil), "0", "1")))
	require.Equal(t, []string{"0", "1"}, value.Value, "an array, not a list")

	_, ok := amqp.AppendAny(nil, struct{}{})
	require.False(t, ok)
}

func TestEachEvent(t *testing.T) {
	inner := []*goamqp.Message{goamqp.NewMessage([]byte("a")), goamqp.NewMessage(bytes.Repeat([]byte("b"), 1000))}
	batch := goamqp.Message{Format: amqp.BatchFormat, Annotations: goamqp.Annotations{"x-opt-partition-key": "k"}}
	for _, m := range inner {
		encoded, err := m.MarshalBinary()
		require.NoError(t, err)
		batch.Data = append(batch.Data, encoded)
	}
	encoded, err := batch.MarshalBinary()
	require.NoError(t, err)
	var got [][]byte
	require.NoError(t, amqp.EachEvent(encoded, func(e []byte) error {
		got = append(got, slices.Clone(e))
		return nil
	}))
	require.Equal(t, batch.Data, got)
}

func TestParseMessageRefuses(t *testing.T) {
	data := amqp.AppendDataSection(nil, []byte("x"))
	properties, mark := amqp.OpenProperties(nil)
	properties = amqp.CloseCompound(properties, mark, 0)
	tests := map[string][]byte{
		"no section":            amqp.AppendString(nil, "x"),
		"sections out of order": append(slices.Clone(data), properties...),
		"data that is no bytes": amqp.AppendString(amqp.AppendDescriptor(nil, 0x75), "x"),
		"unknown section":       amqp.AppendString(amqp.AppendDescriptor(nil, 0x79), "x"),
		"cut":                   data[:len(data)-1],
	}
	for name, encoded := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := amqp.ParseMessage(encoded)
			require.ErrorIs(t, err, amqp.ErrMalformed)
		})
	}
}

// FuzzParseMessage holds the parser against go-amqp: what is accepted here must not be taken apart there.
func FuzzParseMessage(f *testing.F) {
	for _, m := range messages() {
		encoded, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := amqp.ParseMessage(data)
		if err != nil {
			return
		}
		_, _ = m.MessageID(), m.ReplyTo()
		_ = amqp.EachEvent(data, func(e []byte) error {
			_, err := amqp.ParseMessage(e)
			return err
		})
		parts := append(slices.Clone(m.Header), m.Bare...)
		if _, err := amqp.ParseMessage(parts); err != nil {
			t.Fatalf("parts of a sound message are unsound: %v", err)
		}
	})
}
