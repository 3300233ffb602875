package grpcserver

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/entraflow/entraflow/pkg/config"
)

// ErrUnauthenticated is returned by an Authenticator for a token it does not know. A client
// without a token gets the same answer.
var ErrUnauthenticated = NewError(codes.Unauthenticated, "UNAUTHENTICATED",
	"a valid bearer token is needed", "send the metadata authorization: Bearer <token>")

// Authenticator finds out who holds a token. It is called for each call, concurrently. It
// compares in constant time, and returns ErrUnauthenticated for a token it does not know; any
// other error refuses the call too and is shown as every error of a method is.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (Identity, error)
}

// Identity is who makes a call. The zero Identity may see nothing.
type Identity struct {
	// Subject names the holder in audit messages.
	Subject string
	// Tenants are the tenants the holder may see; AllTenants means every one there is.
	Tenants    []string
	AllTenants bool
}

// MaySee reports whether the holder may see data of the tenant.
func (i Identity) MaySee(tenant string) bool {
	return i.AllTenants || slices.Contains(i.Tenants, tenant)
}

type identityKey struct{}

// Caller returns who makes the call with this context; false in a public method.
func Caller(ctx context.Context) (Identity, bool) {
	identity, ok := ctx.Value(identityKey{}).(Identity)
	return identity, ok
}

// StaticToken is an Authenticator that knows one token. An empty token opens nothing.
type StaticToken struct {
	Token    config.Secret
	Identity Identity
}

// Authenticate compares hashes of the tokens in constant time.
func (s StaticToken) Authenticate(_ context.Context, token string) (Identity, error) {
	if !s.Token.Equal(config.NewSecret(token)) || s.Token.IsZero() {
		return Identity{}, ErrUnauthenticated
	}
	return s.Identity, nil
}

// authenticate returns ctx with the identity of the caller.
func (s *Server) authenticate(ctx context.Context, method string) (context.Context, error) {
	if s.public[method] {
		return ctx, nil
	}
	token, ok := bearerToken(ctx)
	if !ok {
		return ctx, ErrUnauthenticated
	}
	identity, err := s.set.Authenticator.Authenticate(ctx, token)
	if err != nil {
		return ctx, err
	}
	return context.WithValue(ctx, identityKey{}, identity), nil
}

// bearerToken returns the token of a call that has exactly one.
func bearerToken(ctx context.Context) (string, bool) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}
