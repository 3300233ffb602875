package bus

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func TestNewDelivery(t *testing.T) {
	for name, reply := range map[string]string{
		"today's form":  "$JS.ACK.EVENTS.sink.3.17.20.1700000000000000001.5",
		"with a domain": "$JS.ACK.hub.A1b2C3.EVENTS.sink.3.17.20.1700000000000000001.5",
	} {
		t.Run(name, func(t *testing.T) {
			d, ok := newDelivery(&nats.Msg{Reply: reply, Subject: "events.v1.signin.t", Data: []byte("x")})
			require.True(t, ok)
			require.Equal(t, &Delivery{
				Subject: "events.v1.signin.t", Data: []byte("x"), Stream: "EVENTS", Sequence: 17, Attempt: 3,
				Timestamp: time.Unix(1_700_000_000, 1).UTC(), reply: reply,
			}, d)
		})
	}
	for _, reply := range []string{"", "_INBOX_sink.x", "$JS.ACK.", "$JS.ACK.EVENTS.sink.a.b.c.d.e", "$JS.ACK.EVENTS.sink.1"} {
		_, ok := newDelivery(&nats.Msg{Reply: reply})
		require.False(t, ok, reply)
	}
}

func TestParseAck(t *testing.T) {
	for name, c := range map[string]struct {
		message nats.Msg
		want    Ack
		cause   retryCause
		err     error
	}{
		"stored":         {message: nats.Msg{Data: []byte(`{"stream":"EVENTS","seq":7}`)}, want: Ack{Stream: "EVENTS", Sequence: 7}},
		"duplicate":      {message: nats.Msg{Data: []byte(`{"stream":"EVENTS","seq":7,"duplicate": true}`)}, want: Ack{"EVENTS", 7, true}},
		"with a domain":  {message: nats.Msg{Data: []byte(`{"stream":"X","domain":"hub","seq":7}`)}, want: Ack{Stream: "X", Sequence: 7}},
		"other spelling": {message: nats.Msg{Data: []byte(` {"seq":7, "stream":"DEAD", "duplicate":true}`)}, want: Ack{"DEAD", 7, true}},
		"no message":     {message: nats.Msg{Data: []byte(`{"stream":"EVENTS","seq":0}`)}, cause: causeServer},
		"garbage":        {message: nats.Msg{Data: []byte(`{"stream":"EVENTS`)}, cause: causeServer},
		"nobody":         {message: nats.Msg{Header: nats.Header{"Status": {"503"}}}, cause: causeNoStream, err: nats.ErrNoResponders},
		"full": {
			message: nats.Msg{Data: []byte(`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`)},
			cause:   causeFull,
		},
		"wrong sequence": {message: nats.Msg{Data: []byte(`{"error":{"code":400,"err_code":10071}}`)}, cause: causeFinal, err: ErrWrongSequence},
		"too large":      {message: nats.Msg{Data: []byte(`{"error":{"code":400,"err_code":10054}}`)}, cause: causeFinal, err: ErrTooLarge},
		"bad request":    {message: nats.Msg{Data: []byte(`{"error":{"code":400,"err_code":10003}}`)}, cause: causeFinal, err: ErrRefused},
		"busy":           {message: nats.Msg{Data: []byte(`{"error":{"code":429,"err_code":10167}}`)}, cause: causeServer},
	} {
		t.Run(name, func(t *testing.T) {
			ack, cause, err := parseAck(&c.message)
			require.Equal(t, c.want, ack)
			require.Equal(t, c.cause, cause)
			require.Equal(t, c.cause != "", err != nil)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
		})
	}
}

func TestDeniedSubject(t *testing.T) {
	subject, ok := deniedSubject(errors.Join(nats.ErrPermissionViolation,
		errors.New(`Permissions Violation for Publish to "events.v1.Signin.t"`)))
	require.True(t, ok)
	require.Equal(t, "events.v1.Signin.t", subject)
	_, ok = deniedSubject(nats.ErrPermissionViolation)
	require.False(t, ok)
	_, ok = deniedSubject(errors.New(`Permissions Violation for Publish to "x"`))
	require.False(t, ok)
}
