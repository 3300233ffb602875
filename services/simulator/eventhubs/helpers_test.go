package eventhubs_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	wire "github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// retrying returns the server with clients that retry fast.
func (p *pipeServer) retrying() *pipeServer {
	q := *p
	q.retry = azeventhubs.RetryOptions{MaxRetries: 100, RetryDelay: 10 * time.Millisecond, MaxRetryDelay: 100 * time.Millisecond}
	return &q
}

func requireCode(t *testing.T, err error, code azeventhubs.ErrorCode) {
	t.Helper()
	var e *azeventhubs.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, err.Error())
}

// requireCondition checks the AMQP condition of an error. The SDK keeps it in the text only.
func requireCondition(t *testing.T, err error, condition string) {
	t.Helper()
	require.ErrorContains(t, err, "Condition: "+condition+",")
}

// signedConnection is a connection string with an embedded signature.
func signedConnection(t *testing.T, host, key, secret string, expires time.Time) string {
	t.Helper()
	expiry := fmt.Sprint(expires.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(host + "\n" + expiry))
	signature := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return fmt.Sprintf("Endpoint=sb://%s;SharedAccessSignature=SharedAccessSignature sr=%s&sig=%s&se=%s&skn=%s",
		host, host, signature, expiry, key)
}

// rawConn is a client that speaks in frames.
type rawConn struct {
	t      *testing.T
	nc     net.Conn
	frames *wire.FrameReader
}

// dialRaw connects up to the Open.
func dialRaw(t *testing.T, s *pipeServer) *rawConn {
	t.Helper()
	nc, err := s.dial(t.Context(), azeventhubs.WebSocketConnParams{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	c := &rawConn{t: t, nc: nc, frames: wire.NewFrameReader(nc, 65536)}
	c.write([]byte(wire.HeaderAMQP))
	header, err := c.frames.ReadHeader()
	require.NoError(t, err)
	require.Equal(t, wire.HeaderAMQP, header)
	c.send(0, &wire.Open{ContainerID: "raw", Hostname: "sim.test", ChannelMax: 10})
	c.expect(&wire.Open{})
	return c
}

func (c *rawConn) write(b []byte) {
	c.t.Helper()
	_, err := c.nc.Write(b)
	require.NoError(c.t, err)
}

func (c *rawConn) send(channel uint16, p wire.Outgoing) {
	c.t.Helper()
	c.write(wire.AppendFrame(nil, wire.FrameAMQP, channel, p))
}

// expect reads the next performative, which must be of the type of p.
func (c *rawConn) expect(p wire.Performative) wire.Performative {
	c.t.Helper()
	for {
		f, err := c.frames.ReadFrame()
		require.NoError(c.t, err)
		if len(f.Body) == 0 {
			continue
		}
		got, _, err := wire.Decode(f.Body)
		require.NoError(c.t, err)
		require.IsType(c.t, p, got)
		return got
	}
}

// transfers counts the transfer frames that come until nothing comes for a second of the bubble's time.
func (c *rawConn) transfers() int {
	c.t.Helper()
	n := 0
	for {
		require.NoError(c.t, c.nc.SetReadDeadline(time.Now().Add(time.Second)))
		f, err := c.frames.ReadFrame()
		if err != nil {
			require.ErrorIs(c.t, err, os.ErrDeadlineExceeded)
			return n
		}
		p, _, err := wire.Decode(f.Body)
		require.NoError(c.t, err)
		require.IsType(c.t, &wire.Transfer{}, p)
		n++
	}
}

// drain reads until the server ends the connection.
func (c *rawConn) drain() {
	for {
		if _, err := c.frames.ReadFrame(); err != nil {
			return
		}
	}
}

// client is a go-amqp client, for what the SDK never does.
func (p *pipeServer) client(ctx context.Context, opts *amqp.ConnOptions) (*amqp.Conn, error) {
	nc, err := p.dial(ctx, azeventhubs.WebSocketConnParams{})
	require.NoError(p.tb, err)
	if opts.HostName == "" {
		opts.HostName = "sim.test"
	}
	return amqp.NewConn(ctx, nc, opts)
}

// rawSender is a producer link of a rawConn.
type rawSender struct{ *rawConn }

// loginRaw connects with all claims, by SASL PLAIN, and begins a session with the given window.
func loginRaw(t *testing.T, s *pipeServer, window uint32) *rawConn {
	t.Helper()
	nc, err := s.dial(t.Context(), azeventhubs.WebSocketConnParams{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	c := &rawConn{t: t, nc: nc, frames: wire.NewFrameReader(nc, 65536)}
	c.login()
	c.send(0, &wire.Open{ContainerID: "raw", Hostname: "sim.test", ChannelMax: 10})
	c.expect(&wire.Open{})
	c.send(0, &wire.Begin{IncomingWindow: window, OutgoingWindow: 100, HandleMax: 10})
	c.expect(&wire.Begin{})
	return c
}

// newRawSender attaches a producer to the hub.
func newRawSender(t *testing.T, s *pipeServer) *rawSender {
	t.Helper()
	c := loginRaw(t, s, 100)
	c.send(0, &wire.Attach{
		Name: "raw", Source: wire.Terminus{Present: true, Address: "here"},
		Target: wire.Terminus{Present: true, Address: "hub"}, InitialDeliveryCount: wire.Some[uint32](0),
	})
	c.expect(&wire.Attach{})
	c.expect(&wire.Flow{})
	return &rawSender{c}
}

// login does SASL PLAIN and the AMQP header.
func (c *rawConn) login() {
	c.t.Helper()
	c.write([]byte(wire.HeaderSASL))
	header, err := c.frames.ReadHeader()
	require.NoError(c.t, err)
	require.Equal(c.t, wire.HeaderSASL, header)
	_, err = c.frames.ReadFrame()
	require.NoError(c.t, err)
	b, frame := wire.OpenFrame(nil, wire.FrameSASL, 0)
	b, list := wire.OpenList(wire.AppendDescriptor(b, 0x41))
	b = wire.AppendBinary(wire.AppendSymbol(b, "PLAIN"), "\x00all\x00c2VjcmV0")
	c.write(wire.CloseFrame(wire.CloseCompound(b, list, 2), frame))
	_, err = c.frames.ReadFrame()
	require.NoError(c.t, err)
	c.write([]byte(wire.HeaderAMQP))
	_, err = c.frames.ReadHeader()
	require.NoError(c.t, err)
}

// transferPart is one frame of a message.
type transferPart struct {
	payload       []byte
	more, aborted bool
}

func (c *rawSender) transfer(id uint32, part transferPart) {
	c.t.Helper()
	b, frame := wire.OpenFrame(nil, wire.FrameAMQP, 0)
	b, list := wire.OpenList(wire.AppendDescriptor(b, 0x14))
	b = wire.AppendUint(wire.AppendUint(b, 0), id)
	b = wire.AppendUint(wire.AppendBinary(b, "tag"), 0)
	b = wire.AppendBool(wire.AppendBool(b, false), part.more)
	b = wire.AppendNull(wire.AppendNull(wire.AppendNull(b)))
	b = wire.CloseCompound(wire.AppendBool(b, part.aborted), list, 10)
	c.write(wire.CloseFrame(append(b, part.payload...), frame))
}

// message sends a message with one data section in frames of at most 60,000 bytes and returns the condition it is
// rejected with, if it is.
func (c *rawSender) message(id uint32, data []byte) string {
	c.t.Helper()
	rest := wire.AppendDataSection(nil, data)
	for len(rest) > 0 {
		part := rest[:min(60_000, len(rest))]
		rest = rest[len(part):]
		c.transfer(id, transferPart{payload: part, more: len(rest) > 0})
	}
	d, ok := c.expect(&wire.Disposition{}).(*wire.Disposition)
	require.True(c.t, ok)
	require.Equal(c.t, id, d.First)
	require.True(c.t, d.Settled)
	return d.Error.Condition
}
