package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// pullExpiry ends a pull that found nothing.
	pullExpiry = 30 * time.Second
	// pullHeartbeat is how often the server says that a pull is alive.
	pullHeartbeat = 2 * time.Second
	// pullPoll is how often a waiting pull looks whether the connection was lost in between.
	pullPoll = 250 * time.Millisecond
	// pullRetry is the pause after the server refused a pull.
	pullRetry = 250 * time.Millisecond
)

// puller takes messages of a durable from the server into a queue. It has one pull out at a time, for
// no more than there is room for: every message it asked for is in memory and gets signs of life.
type puller struct {
	conn    *Conn
	stream  Stream
	durable Durable
	counter prometheus.Counter
	held    *held
	queue   chan *Delivery
	room    *room
}

func newPuller(c *Consumer, messages, bytes int, h *held) *puller {
	// The largest message must fit, or it would never be delivered.
	bytes = max(bytes, 2*int(c.conn.nats.MaxPayload()))
	return &puller{
		conn: c.conn, stream: c.stream, durable: c.durable,
		counter: c.metrics.delivered, held: h,
		// A message more than asked for may come after a pull ended; the slack keeps it from blocking.
		queue: make(chan *Delivery, 2*messages),
		room:  newRoom(messages, bytes),
	}
}

// run pulls until ctx is done; then it closes the queue. What is in the queue then is whoever reads
// it's to give back.
func (p *puller) run(ctx context.Context) error {
	defer close(p.queue)
	inbox := InboxPrefix(p.conn.cfg.User) + ".pull." + nuid.Next() + "."
	sub, err := p.conn.nats.SubscribeSync(inbox + "*")
	if err != nil {
		return fmt.Errorf("subscribing to deliveries: %w", err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // bounded by what is asked for
		return fmt.Errorf("subscribing to deliveries: %w", err)
	}
	defer p.giveUp(sub)
	for pull := uint64(0); ; pull++ {
		messages, bytes := p.room.wait(ctx)
		if ctx.Err() != nil {
			return nil
		}
		err := p.pull(ctx, sub, inbox+strconv.FormatUint(pull, 10), pullRequest{
			Batch: messages, MaxBytes: bytes, Expires: pullExpiry, Heartbeat: pullHeartbeat,
		})
		if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrBadSubscription) {
			return fmt.Errorf("pulling from %s: %w", p.stream.Name, err)
		}
		if err != nil {
			p.conn.set.Logger.Debug("pull refused", slog.String("stream", p.stream.Name),
				slog.String("durable", p.durable.Name), slog.Any("err", err))
			pause(ctx, pullRetry)
		}
	}
}

// pullRequest is JetStream's.
type pullRequest struct {
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

// pull asks once and queues what comes, until the pull is over or ctx is done.
func (p *puller) pull(ctx context.Context, sub *nats.Subscription, reply string, request pullRequest) error {
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	reconnects := p.conn.nats.Stats().Reconnects
	subject := "$JS.API.CONSUMER.MSG.NEXT." + p.stream.Name + "." + p.durable.Name
	if err := p.conn.nats.PublishRequest(subject, reply, text); err != nil {
		return err
	}
	for alive := time.Now(); request.Batch > 0 && ctx.Err() == nil; {
		m, err := sub.NextMsg(pullPoll)
		if errors.Is(err, nats.ErrTimeout) {
			// The server forgets a pull when the connection or the server itself goes.
			if p.conn.nats.Stats().Reconnects != reconnects || time.Since(alive) > 3*pullHeartbeat {
				return nil
			}
			continue
		}
		if err != nil {
			return err
		}
		alive = time.Now()
		if strings.HasPrefix(m.Subject, InboxPrefix(p.conn.cfg.User)) {
			if over, err := pullStatus(m, reply); over || err != nil {
				return err
			}
			continue
		}
		if p.accept(m) {
			request.Batch--
		}
	}
	return nil
}

// pullStatus says whether a message about a pull ends it.
func pullStatus(m *nats.Msg, reply string) (over bool, err error) {
	status, description := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case m.Subject != reply, status == "100":
		return false, nil // of an earlier pull, or a heartbeat
	case status == "408", status == "404",
		status == "409" && (strings.Contains(description, "MaxBytes") || strings.Contains(description, "Batch Completed")):
		return true, nil
	default:
		return true, fmt.Errorf("pull ended: %s %s", status, description)
	}
}

// accept queues a message.
func (p *puller) accept(m *nats.Msg) bool {
	d, ok := newDelivery(m)
	if !ok {
		return false // no reply to JetStream: somebody published to our inbox
	}
	p.counter.Inc()
	p.room.take(len(d.Data))
	p.held.add(d)
	p.queue <- d
	return true
}

// giveUp hands back what came too late.
func (p *puller) giveUp(sub *nats.Subscription) {
	if err := sub.Drain(); err != nil {
		return // the connection is closed
	}
	for {
		m, err := sub.NextMsg(pullPoll)
		if err != nil {
			return
		}
		if d, ok := newDelivery(m); ok {
			p.held.giveBack(d)
		}
	}
}

// newDelivery reads JetStream's metadata out of the reply subject:
// $JS.ACK[.domain.account].stream.durable.delivered.sequence.consumer_sequence.nanoseconds.pending
func newDelivery(m *nats.Msg) (*Delivery, bool) {
	rest, ok := strings.CutPrefix(m.Reply, "$JS.ACK.")
	if !ok {
		return nil, false
	}
	if strings.Count(rest, ".") > 6 {
		_, rest, _ = strings.Cut(rest, ".")
		_, rest, _ = strings.Cut(rest, ".")
	}
	stream, rest, _ := strings.Cut(rest, ".")
	_, rest, _ = strings.Cut(rest, ".")
	attempt, rest, _ := strings.Cut(rest, ".")
	sequence, rest, _ := strings.Cut(rest, ".")
	_, rest, _ = strings.Cut(rest, ".")
	nanoseconds, _, _ := strings.Cut(rest, ".")

	d := &Delivery{Subject: m.Subject, Headers: m.Header, Data: m.Data, Stream: stream, reply: m.Reply}
	var errs [3]error
	d.Attempt, errs[0] = strconv.Atoi(attempt)
	d.Sequence, errs[1] = strconv.ParseUint(sequence, 10, 64)
	var at int64
	at, errs[2] = strconv.ParseInt(nanoseconds, 10, 64)
	d.Timestamp = time.Unix(0, at).UTC()
	return d, errors.Join(errs[:]...) == nil
}
