package grpcserver

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

const (
	maxTouched   = 100
	maxUserAgent = 200
)

// Call is a call under way. Its fields do not change once the method runs; Touch and Name may be called concurrently.
type Call struct {
	// Method is the full method; Known says that there is such a one.
	Method string
	Known  bool
	// RequestID is the id that the caller finds in the header x-request-id and in errors.
	RequestID string
	// Began is when it came, by the server's clock.
	Began time.Time
	// Address is where the client is, without port. Transport is "grpc" or "rest".
	Address, Transport string
	// UserAgent is what the client says of itself, at most 200 bytes.
	UserAgent string
	// Identity is the caller's. Zero: nobody known. Its role is unspecified if none lets the call in.
	Identity Identity
	// Request is the first message of the client. Nil: none came.
	Request proto.Message

	mu      sync.Mutex
	tenants []string
	target  string
}

type callKey struct{}

// Touch notes tenants that the call in ctx is about. Outside of a call it does nothing.
func Touch(ctx context.Context, tenants ...string) {
	call, ok := ctx.Value(callKey{}).(*Call)
	if !ok {
		return
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	for _, tenant := range tenants {
		if len(call.tenants) < maxTouched && !slices.Contains(call.tenants, tenant) {
			call.tenants = append(call.tenants, tenant)
		}
	}
}

// Name notes what the call in ctx is about where its request does not say so. Outside of a call it does nothing.
func Name(ctx context.Context, target string) {
	call, ok := ctx.Value(callKey{}).(*Call)
	if !ok {
		return
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	call.target = target
}

// Target returns what Name noted. Empty: nothing.
func (c *Call) Target() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.target
}

// Touched returns the tenants that the call is about, at most 100.
func (c *Call) Touched() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tenants)
}

// taker is whose bounds a call counts in: each token of one holder has its own, so that one which runs wild does not keep
// its holder from revoking it. Empty: nobody's.
func (c *Call) taker() string {
	if c.Identity.Subject == "" {
		return ""
	}
	return c.Identity.Subject + "\x00" + c.Identity.APIToken
}

func newCall(ctx context.Context, method, requestID string, now time.Time) *Call {
	call := &Call{Method: method, RequestID: requestID, Began: now, Transport: "grpc"}
	agentKey := "user-agent"
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		if p.Addr.Network() == InProcess {
			call.Transport, agentKey = "rest", UserAgentKey
			call.Address = first(ctx, ClientAddressKey)
		} else if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
			call.Address = host
		}
	}
	call.UserAgent = strings.ToValidUTF8(first(ctx, agentKey), "")
	if len(call.UserAgent) > maxUserAgent {
		call.UserAgent = strings.ToValidUTF8(call.UserAgent[:maxUserAgent], "")
	}
	return call
}

func first(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}
