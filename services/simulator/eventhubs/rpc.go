package eventhubs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// maxReplies bounds the replies that wait for credit on one link, and maxClaims the tokens of a connection.
const (
	maxReplies = 64
	maxClaims  = 4096
)

// rpc is one of the two links of $cbs or $management: the client sends requests on one and gets replies on the other.
type rpc struct {
	receiver
	address string
	// replyTo is the target address of a reply link; requests name it.
	replyTo string
	replies [][]byte
}

func (s *session) bindRPC(l *link, a *amqp.Attach, address string) error {
	if address == addressCBS && !l.sends {
		if s.conn.cbs != nil {
			return refuse(conditionNotAllowed, "Only one $cbs sender is allowed on a connection.")
		}
		s.conn.cbs = l
	}
	l.rpc = &rpc{address: address, replyTo: a.Target.Address}
	l.attached(a)
	if !l.sends {
		l.request(0, uint32(s.conn.server.cfg.LinkCredit))
	}
	return nil
}

// sendReplies sends what waits, as far as the credit goes. Replies may come before the client gave credit.
func (r *rpc) sendReplies(l *link) {
	s := l.session
	for len(r.replies) > 0 && l.credit > 0 {
		d := amqp.Delivery{Channel: s.channel, Handle: l.handle, ID: s.nextDelivery, Message: r.replies[0]}
		r.replies = r.replies[1:]
		s.conn.out = amqp.AppendDelivery(s.conn.out, d, s.conn.maxFrame)
		frames := uint32(d.Frames(s.conn.maxFrame))
		s.nextDelivery++
		s.nextOutgoing += frames
		s.remoteWindow -= min(frames, s.remoteWindow)
		l.deliveryCount++
		l.credit--
	}
}

// response is what an RPC answers; body, if any, appends the amqp-value.
type response struct {
	status int32
	text   string
	body   func(b []byte) []byte
}

// serveRPC answers one request on the reply link that it names.
func (c *conn) serveRPC(l *link, d delivery) {
	m, err := amqp.ParseMessage(d.message)
	if err == nil && d.tooLarge {
		err = errors.New("request too large")
	}
	if err != nil {
		c.settle(l, d, amqp.Error{Condition: conditionDecode, Description: err.Error()})
		return
	}
	var r response
	if l.rpc.address == addressCBS {
		r = c.putToken(m)
	} else {
		r = c.manage(m)
	}
	encoded := encodeResponse(r, m.MessageID())
	c.settle(l, d, amqp.Error{})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, reply := range l.session.links {
		if reply.sends && !reply.dead && reply.rpc != nil && reply.rpc.replyTo == m.ReplyTo() && len(reply.rpc.replies) < maxReplies {
			reply.rpc.replies = append(reply.rpc.replies, encoded)
			reply.rpc.sendReplies(reply)
			c.flush()
			return
		}
	}
}

func encodeResponse(r response, correlation amqp.Value) []byte {
	b, mark := amqp.OpenProperties(nil)
	for range 5 {
		b = amqp.AppendNull(b)
	}
	b = amqp.CloseCompound(amqp.AppendValue(b, correlation), mark, 6)
	b, mark = amqp.OpenApplication(b)
	b = amqp.AppendInt(amqp.AppendString(b, "status-code"), r.status)
	b = amqp.AppendString(amqp.AppendString(b, "status-description"), r.text)
	b = amqp.CloseCompound(b, mark, 4)
	b = amqp.AppendValueSection(b)
	if r.body == nil {
		return amqp.AppendNull(b)
	}
	return r.body(b)
}

// putToken judges a token and keeps the claim that it gives.
func (c *conn) putToken(m amqp.Message) response {
	operation, _ := m.Application.Lookup("operation").Text()
	tokenType, _ := m.Application.Lookup("type").Text()
	audience, _ := m.Application.Lookup("name").Text()
	token, ok := m.Body.Text()
	if operation != "put-token" || !ok || audience == "" {
		return response{status: 400, text: "BadRequest: put-token needs a name and a token as text."}
	}
	now := c.server.set.TokenNow()
	granted, err := c.ns.judge(tokenType, token, audience, now)
	if err == nil {
		err = c.keep(granted, now)
	}
	if refused, ok := errors.AsType[*tokenError](err); ok {
		c.server.counters.tokensRefused.Add(1)
		return response{status: refused.status, text: refused.text}
	}
	c.server.counters.tokensAccepted.Add(1)
	return response{status: 202, text: "Accepted"}
}

func (c *conn) keep(granted claim, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, old := range c.claims {
		if !old.expires.IsZero() && now.After(old.expires) {
			delete(c.claims, path)
		}
	}
	if _, known := c.claims[granted.path]; !known && len(c.claims) >= maxClaims {
		return &tokenError{status: 403, text: fmt.Sprintf("QuotaExceeded: a connection may hold %d tokens.", maxClaims)}
	}
	c.claims[granted.path] = granted
	return nil
}

// manage answers a READ of $management.
func (c *conn) manage(m amqp.Message) response {
	operation, _ := m.Application.Lookup("operation").Text()
	name, _ := m.Application.Lookup("name").Text()
	kind, _ := m.Application.Lookup("type").Text()
	if operation != "READ" {
		return response{status: 400, text: "BadRequest: unknown operation '" + operation + "'."}
	}
	h := c.ns.hub(name)
	if h == nil {
		return response{status: 404, text: "The messaging entity '" + name + "' could not be found."}
	}
	if !c.mayRead(strings.ToLower(name), m) {
		return response{status: 401, text: fmt.Sprintf(unauthorizedTextFormat, "Manage,EntityRead", name)}
	}
	switch kind {
	case typeHub:
		return response{status: 200, text: "OK", body: h.appendInfo}
	case typePartition:
		id, _ := m.Application.Lookup("partition").Text()
		p, err := h.partition(id)
		if err != nil {
			return response{status: 404, text: "The partition '" + id + "' could not be found."}
		}
		return response{status: 200, text: "OK", body: func(b []byte) []byte { return h.appendPartitionInfo(b, p) }}
	}
	return response{status: 400, text: "BadRequest: unknown type '" + kind + "'."}
}

// mayRead tells whether a claim of the connection, or the token in the request itself, lets it read about a hub.
func (c *conn) mayRead(hub string, m amqp.Message) bool {
	c.mu.Lock()
	allowed := c.allowed(hub+"/"+addressManagement, rightAll) || c.allowed(hub, rightAll)
	c.mu.Unlock()
	token, given := m.Application.Lookup("security_token").Text()
	if allowed || !given {
		return allowed
	}
	tokenType := tokenTypeJWT
	if strings.HasPrefix(token, sasPrefix) {
		tokenType = tokenTypeSAS
	}
	_, err := c.ns.judge(tokenType, token, "amqps://"+c.host+"/"+hub, c.server.set.TokenNow())
	return err == nil
}

const (
	typeHub       = "com.microsoft:eventhub"
	typePartition = "com.microsoft:partition"
)

// appendInfo appends the hub's description. The types of the values are those the SDK insists on.
func (h *Hub) appendInfo(b []byte) []byte {
	ids := make([]string, 0, len(h.partitions))
	for _, p := range h.partitions {
		ids = append(ids, p.id)
	}
	factor := int32(1)
	if h.cfg.GeoReplication {
		factor = 2
	}
	b, mark := amqp.OpenMap(b)
	b = amqp.AppendString(amqp.AppendString(b, "name"), h.cfg.Name)
	b = amqp.AppendString(amqp.AppendString(b, "type"), typeHub)
	b = amqp.AppendTimestamp(amqp.AppendString(b, "created_at"), h.created.UnixMilli())
	b = amqp.AppendInt(amqp.AppendString(b, "partition_count"), int32(len(ids)))
	b = amqp.AppendStrings(amqp.AppendString(b, "partition_ids"), ids...)
	b = amqp.AppendInt(amqp.AppendString(b, "georeplication_factor"), factor)
	return amqp.CloseCompound(b, mark, 12)
}

func (h *Hub) appendPartitionInfo(b []byte, p *partition) []byte {
	bounds := p.log.Bounds()
	b, mark := amqp.OpenMap(b)
	b = amqp.AppendString(amqp.AppendString(b, "name"), h.cfg.Name)
	b = amqp.AppendString(amqp.AppendString(b, "type"), typePartition)
	b = amqp.AppendString(amqp.AppendString(b, "partition"), p.id)
	b = amqp.AppendLong(amqp.AppendString(b, "begin_sequence_number"), bounds.Begin)
	b = amqp.AppendLong(amqp.AppendString(b, "last_enqueued_sequence_number"), bounds.Last)
	b = amqp.AppendString(amqp.AppendString(b, "last_enqueued_offset"), bounds.LastOffset)
	b = amqp.AppendTimestamp(amqp.AppendString(b, "last_enqueued_time_utc"), bounds.LastEnqueuedMS)
	b = amqp.AppendTimestamp(amqp.AppendString(b, "runtime_info_retrieval_time_utc"), h.server.set.Now().UnixMilli())
	b = amqp.AppendBool(amqp.AppendString(b, "is_partition_empty"), bounds.Empty)
	return amqp.CloseCompound(b, mark, 18)
}
