package hub

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/pkg/entra"
)

// Ports of Event Hubs.
const (
	amqpPort      = "5672" // without TLS: emulators
	amqpsPort     = "5671"
	webSocketPort = "443"
)

// dialTimeout bounds reaching one address. A firewall that drops packets is told by it.
const dialTimeout = 8 * time.Second

// dialFunc is net.Dialer's DialContext.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// reach opens a connection as the SDK would and closes it, to learn what the SDK keeps to itself: it tries again and
// again and says no more than that time is over.
func (c Config) reach(ctx context.Context, dial dialFunc) (Cause, bool) {
	host, plain := c.host()
	port := amqpsPort
	switch {
	case plain:
		port = amqpPort
	case c.WebSockets:
		port = webSocketPort
	}
	address := withPort(host, port)
	if c.CustomEndpoint != "" {
		address = withPort(c.CustomEndpoint, port)
	}
	cause, reached := c.try(ctx, dial, address, host, plain)
	if reached || plain || c.WebSockets || cause != CauseNetworkRefused && cause != CauseNetworkTimeout {
		return cause, reached
	}
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return cause, false
	}
	// Only AMQP's port is closed: HTTPS is open in most networks.
	if _, open := c.try(ctx, dial, net.JoinHostPort(name, webSocketPort), host, false); open {
		return CausePortBlocked, false
	}
	return cause, false
}

// host returns the namespace, with a port if it has one, and whether it speaks without TLS.
func (c Config) host() (host string, plain bool) {
	if c.ConnectionString.IsZero() {
		return c.Namespace, false
	}
	parsed, err := azeventhubs.ParseConnectionString(c.ConnectionString.Reveal())
	if err != nil {
		return "", false
	}
	return strings.TrimSuffix(parsed.FullyQualifiedNamespace, "/"), parsed.Emulator
}

func (c Config) try(ctx context.Context, dial dialFunc, address, name string, plain bool) (Cause, bool) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return causeOfNetwork(err), false
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	if plain {
		return "", true
	}
	trust, err := c.tls()
	if err != nil {
		return CauseCAFile, false
	}
	trust.ServerName = name
	if err := tls.Client(conn, trust).HandshakeContext(ctx); err != nil {
		return causeOfNetwork(err), false
	}
	return "", true
}

// withPort adds the port to a host that has none.
func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// causeOfNetwork says why a connection was not made.
func causeOfNetwork(err error) Cause { return Cause(entra.Classify(err).Cause) }
