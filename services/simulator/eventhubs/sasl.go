package eventhubs

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

var errAuthentication = errors.New("SASL authentication refused")

// authenticate does SASL. All mechanisms but PLAIN let the client in without a claim: it brings them by $cbs.
func (c *conn) authenticate() error {
	if err := c.write([]byte(amqp.HeaderSASL)); err != nil {
		return err
	}
	offer := &amqp.SASLMechanisms{Names: []string{"MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"}}
	if err := c.write(amqp.AppendFrame(nil, amqp.FrameSASL, 0, offer)); err != nil {
		return err
	}
	p, err := c.readHandshake(amqp.FrameSASL)
	if err != nil {
		return err
	}
	init, ok := p.(*amqp.SASLInit)
	if !ok {
		return fmt.Errorf("performative is no sasl-init: %w", amqp.ErrMalformed)
	}
	outcome := &amqp.SASLOutcome{}
	switch init.Mechanism {
	case "MSSBCBS", "ANONYMOUS", "EXTERNAL":
	case "PLAIN":
		if !c.plain(init.Response) {
			outcome.Code = 1
		}
	default:
		outcome.Code = 1
	}
	if err := c.write(amqp.AppendFrame(nil, amqp.FrameSASL, 0, outcome)); err != nil {
		return err
	}
	if outcome.Code != 0 {
		return errAuthentication
	}
	return nil
}

// plain checks a key name and secret. The namespace is not known before the Open, so a key of any namespace lets the
// client in, and adoptPlain gives it rights in its own only.
func (c *conn) plain(response []byte) bool {
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 {
		return false
	}
	c.plainName, c.plainSecret = string(parts[1]), string(parts[2])
	return slices.ContainsFunc(c.server.namespaces, func(ns *namespace) bool {
		_, ok := ns.checkPlain(c.plainName, c.plainSecret)
		return ok
	})
}

func (n *namespace) checkPlain(name, secret string) (right, bool) {
	k, known := n.keys[name]
	return k.rights, known && subtle.ConstantTimeCompare([]byte(k.secret), []byte(secret)) == 1
}

// adoptPlain turns a PLAIN login into a claim on the whole namespace.
func (c *conn) adoptPlain() {
	if rights, ok := c.ns.checkPlain(c.plainName, c.plainSecret); ok {
		c.claims[""] = claim{rights: rights}
	}
}
