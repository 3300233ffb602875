package graph

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// place is where a walk goes on.
type place struct {
	// positions of the logs, by their order in options.logs; done ones are finished.
	positions []tenant.Position
	done      []bool
	// at and count are for ascending walks: the time to go on from, and how many of its records were returned.
	at    time.Time
	count int
	// index is for collections of the directory.
	index int
}

const (
	macBytes  = 8
	finished  = "!"
	separator = ","
)

func (p place) text(kind string) string {
	switch kind {
	case kindAscending:
		return strconv.FormatInt(p.at.UnixNano(), 36) + separator + strconv.Itoa(p.count)
	case kindDirectory:
		return strconv.Itoa(p.index)
	}
	parts := make([]string, len(p.positions))
	for i := range p.positions {
		parts[i] = p.positions[i].String()
		if p.done[i] {
			parts[i] = finished
		}
	}
	return strings.Join(parts, separator)
}

// The kinds of walks; a token of one is none of another.
const (
	kindDescending = "d"
	kindAscending  = "a"
	kindDirectory  = "o"
	kindDelta      = "c"
)

func (c *call) kind() string {
	switch {
	case c.delta:
		return kindDelta
	case c.resource.logs == nil:
		return kindDirectory
	case c.opts.ascending:
		return kindAscending
	}
	return kindDescending
}

// seal makes an opaque token of a place. It holds for the tenant, collection and kind of walk, and survives a restart.
func (c *call) seal(p place) string {
	return c.sign(p.text(c.kind()))
}

// sign makes an opaque token of a text, and verify takes the text out again if it is one of sign's.
func (c *call) sign(text string) string {
	return hex.EncodeToString(append(c.mac(text), text...))
}

func (c *call) verify(token string) (text string, ok bool) {
	b, err := hex.DecodeString(token)
	if err != nil || len(b) < macBytes || !hmac.Equal(b[:macBytes], c.mac(string(b[macBytes:]))) {
		return "", false
	}
	return string(b[macBytes:]), true
}

func (c *call) mac(text string) []byte {
	m := hmac.New(sha256.New, []byte("skiptoken of "+c.tenant.ID()))
	_, _ = m.Write([]byte(c.resource.path + c.parent + c.kind() + text)) // never fails
	return m.Sum(nil)[:macBytes]
}

func (c *call) readToken(q url.Values) *apiError {
	if !q.Has("$skiptoken") {
		return nil
	}
	c.opts.token = q.Get("$skiptoken")
	if c.opts.token == "" {
		return badRequest("Invalid Skip Token, skip token is null")
	}
	if c.resource.path == pathProvisioning && !q.Has("$top") {
		return badRequest("Invalid Skip Token, $top is missing")
	}
	return nil
}

// start is the place that the token says, or the beginning.
func (c *call) start() (place, *apiError) {
	p := place{positions: make([]tenant.Position, len(c.opts.logs)), done: make([]bool, len(c.opts.logs))}
	if c.opts.token == "" {
		return p, nil
	}
	text, ok := c.verify(c.opts.token)
	if !ok || !p.read(c.kind(), text) {
		return p, badRequest("Invalid Skip Token")
	}
	return p, nil
}

func (p *place) read(kind, text string) bool {
	parts := strings.Split(text, separator)
	switch kind {
	case kindAscending:
		if len(parts) != 2 {
			return false
		}
		nanos, err := strconv.ParseInt(parts[0], 36, 64)
		count, err2 := strconv.Atoi(parts[1])
		p.at, p.count = time.Unix(0, nanos).UTC(), count
		return err == nil && err2 == nil
	case kindDirectory:
		index, err := strconv.Atoi(text)
		p.index = index
		return err == nil && index >= 0
	}
	if len(parts) != len(p.positions) {
		return false
	}
	for i, part := range parts {
		if p.done[i] = part == finished; p.done[i] {
			continue
		}
		if p.positions[i].UnmarshalText([]byte(part)) != nil {
			return false
		}
	}
	return true
}
