package eventhubs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

const (
	// handshakeTimeout bounds the time from the first byte to the Open.
	handshakeTimeout = 30 * time.Second
	// closeTimeout bounds the time between a close and the client's answer.
	closeTimeout = 5 * time.Second
	// maxPending is how much output may wait for the writer before consumers pause.
	maxPending = MiB
	// maxSpare bounds the output buffer that is kept for reuse.
	maxSpare = 4 * MiB
	// channelMax bounds the sessions of a connection; each link of the SDK has its own.
	channelMax = 4095
)

// conn is one AMQP connection. One goroutine reads, one writes, one per consumer link pumps events.
//
// Locks are taken in the order conn.mu, partition.mu, log. No conn.mu is taken while another is held.
type conn struct {
	server *Server
	nc     net.Conn
	frames *amqp.FrameReader
	// maxFrame is what the client takes; it is set before any session begins.
	maxFrame int
	// plainName and plainSecret are what a PLAIN login gave.
	plainName, plainSecret string
	done                   chan struct{}
	// written is closed when the writer has ended.
	written chan struct{}
	wake    chan struct{}
	work    sync.WaitGroup

	mu       sync.Mutex
	ns       *namespace
	host     string
	out      []byte
	spare    []byte
	stalled  []*link
	sessions map[uint16]*session
	claims   map[string]claim
	cbs      *link
	// finish asks the writer to close the connection after it has written what is pending.
	finish bool
	cutOff bool
}

func newConn(s *Server, nc net.Conn) *conn {
	return &conn{
		server: s, nc: nc, frames: amqp.NewFrameReader(nc, s.cfg.MaxFrameBytes),
		done: make(chan struct{}), written: make(chan struct{}), wake: make(chan struct{}, 1),
		sessions: make(map[uint16]*session), claims: make(map[string]claim),
	}
}

func (c *conn) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	err := c.handshake()
	if err == nil {
		err = c.readFrames()
		if c.finished() {
			<-c.written
		}
	}
	c.cut()
	c.work.Wait()
	c.releaseAll()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

func (c *conn) finished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.finish
}

// cut ends the connection at once, without a word to the client.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cutOff {
		return
	}
	c.cutOff = true
	close(c.done)
	_ = c.nc.Close()
}

// handshake does the protocol headers, SASL and Open, and starts the writer.
func (c *conn) handshake() error {
	if err := c.nc.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return fmt.Errorf("setting handshake deadline: %w", err)
	}
	serverName := ""
	if t, ok := c.nc.(*tls.Conn); ok {
		if err := t.Handshake(); err != nil {
			return fmt.Errorf("shaking hands by TLS: %w", err)
		}
		serverName = t.ConnectionState().ServerName
	}
	header, err := c.frames.ReadHeader()
	if err == nil && header == amqp.HeaderSASL {
		if err = c.authenticate(); err == nil {
			header, err = c.frames.ReadHeader()
		}
	}
	if err != nil {
		return err
	}
	if err := c.write([]byte(amqp.HeaderAMQP)); err != nil {
		return err
	}
	if header != amqp.HeaderAMQP {
		return fmt.Errorf("protocol header %q: %w", header, amqp.ErrMalformed)
	}
	p, err := c.readHandshake(amqp.FrameAMQP)
	if err != nil {
		return err
	}
	open, ok := p.(*amqp.Open)
	if !ok {
		return fmt.Errorf("first performative is no open: %w", amqp.ErrMalformed)
	}
	return c.open(open, serverName)
}

func (c *conn) open(open *amqp.Open, serverName string) error {
	c.mu.Lock()
	c.ns, c.host = c.server.route(open.Hostname, serverName), open.Hostname
	c.adoptPlain()
	c.mu.Unlock()
	c.maxFrame = c.server.cfg.MaxFrameBytes
	if open.MaxFrameBytes.Set {
		c.maxFrame = min(c.maxFrame, int(open.MaxFrameBytes.Value))
	}
	if c.maxFrame < 512 {
		return fmt.Errorf("max-frame-size %d: %w", c.maxFrame, amqp.ErrMalformed)
	}
	reply := &amqp.Open{
		ContainerID:   "entraflow-simulator",
		Hostname:      open.Hostname,
		MaxFrameBytes: amqp.Some(uint32(c.server.cfg.MaxFrameBytes)),
		ChannelMax:    channelMax,
		IdleTimeoutMS: amqp.Some(uint32(c.server.cfg.IdleTimeout.Milliseconds())),
	}
	if err := c.write(amqp.AppendFrame(nil, amqp.FrameAMQP, 0, reply)); err != nil {
		return err
	}
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("clearing handshake deadline: %w", err)
	}
	c.work.Go(func() { c.writeLoop(heartbeat(c.server.cfg.HeartbeatInterval, open.IdleTimeoutMS)) })
	return nil
}

// heartbeat is the longest silence to keep: the configured one, or a third of what the client bears.
func heartbeat(configured time.Duration, idle amqp.Optional[uint32]) time.Duration {
	if configured < 0 || !idle.Set || idle.Value == 0 {
		return configured
	}
	return min(configured, time.Duration(idle.Value)*time.Millisecond/3)
}

// write writes to the client; only the handshake and the writer call it.
func (c *conn) write(b []byte) error {
	if _, err := c.nc.Write(b); err != nil {
		return fmt.Errorf("writing to client: %w", err)
	}
	return nil
}

func (c *conn) readHandshake(frameType byte) (amqp.Performative, error) {
	for {
		frame, err := c.frames.ReadFrame()
		if err != nil {
			return nil, err
		}
		if len(frame.Body) == 0 {
			continue
		}
		if frame.Type != frameType {
			return nil, fmt.Errorf("frame type %d: %w", frame.Type, amqp.ErrMalformed)
		}
		p, _, err := amqp.Decode(frame.Body)
		return p, err
	}
}

// writeLoop writes what is pending, and a heartbeat after a silence of interval (never if it is negative).
func (c *conn) writeLoop(interval time.Duration) {
	defer close(c.written)
	var beat <-chan time.Time
	if interval > 0 {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		beat = ticker.C
	}
	idle := false
	for {
		due := false
		select {
		case <-c.wake:
		case <-beat:
			due = idle
			idle = true
			c.detachExpired()
		case <-c.done:
			return
		}
		buf, finish := c.takePending()
		if len(buf) == 0 && due {
			buf = amqp.AppendHeartbeat(buf)
		}
		if len(buf) > 0 {
			idle = false
			if c.write(buf) != nil {
				c.cut()
				return
			}
		}
		if finish {
			return
		}
		c.giveBack(buf)
	}
}

func (c *conn) takePending() (buf []byte, finish bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	buf = c.out
	c.out, c.spare = c.spare[:0], nil
	for _, l := range c.stalled {
		l.wakeUp()
	}
	c.stalled = c.stalled[:0]
	return buf, c.finish
}

func (c *conn) giveBack(buf []byte) {
	if cap(buf) > maxSpare {
		return
	}
	c.mu.Lock()
	c.spare = buf[:0]
	c.mu.Unlock()
}

// flush lets the writer run. Call it with mu held, after appending to out.
func (c *conn) flush() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close sends a close with an error. The connection ends when the client has answered it, or after closeTimeout:
// closing the socket at once could take the frame back from a client that is still sending. Call it with mu held.
func (c *conn) close(e amqp.Error) {
	if c.finish {
		return
	}
	c.out = amqp.AppendFrame(c.out, amqp.FrameAMQP, 0, &amqp.Close{Error: e})
	c.finish = true
	_ = c.nc.SetDeadline(time.Now().Add(closeTimeout)) // fails only if the connection is gone
	c.flush()
}
