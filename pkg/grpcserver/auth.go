package grpcserver

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// ErrUnauthenticated is returned by an Authenticator for a proof it does not know. A client
// without any gets the same answer.
var ErrUnauthenticated = NewError(codes.Unauthenticated, "UNAUTHENTICATED",
	"a valid bearer token is needed", "send the metadata authorization: Bearer <token>")

// Proof is what a client shows of itself: a token, a verified certificate, or both. It is never empty.
type Proof struct {
	// Token is the bearer token. Empty: the client sent no authorization.
	Token string
	// Certificate is the client's, verified against TLSConfig.ClientCAFile. Nil: it has none.
	Certificate *x509.Certificate
}

// Authenticator finds out who makes a call. It is called for each call, concurrently. It compares in constant time, and
// returns ErrUnauthenticated for what it does not know; any other error refuses the call too and is shown as every error
// of a method is. With an error the identity says whose the proof was, if that is known.
type Authenticator interface {
	Authenticate(ctx context.Context, proof Proof) (Identity, error)
}

// Grant is a role and the tenants it holds for; AllTenants means every one there is.
type Grant struct {
	Role       controlv1.Role
	Tenants    []string
	AllTenants bool
}

// Identity is who makes a call. The zero Identity may see nothing.
type Identity struct {
	// Subject names the holder in audit messages; it is the same for all credentials of one holder.
	Subject string
	// DisplayName is what people call the holder. Empty: not told.
	DisplayName string
	// Credential is what was shown, APIToken the name of the token if it was one of ours.
	Credential controlv1.CredentialKind
	APIToken   string
	// Grants are what the holder may; Scopes narrow them to services ("SignInService") and methods
	// ("IntegrationService.CollectNow"), unless empty.
	Grants []Grant
	Scopes []string
	// Expires is when the credential ends. Zero: it does not.
	Expires time.Time

	// Role lets the call in hand in, for Tenants, or for every one with AllTenants. They are what Settings.Authorize
	// found in Grants.
	Role       controlv1.Role
	Tenants    []string
	AllTenants bool
}

// MaySee reports whether the holder may see data of the tenant in this call.
func (i Identity) MaySee(tenant string) bool {
	return i.AllTenants || slices.Contains(i.Tenants, tenant)
}

type identityKey struct{}

// Caller returns who makes the call with this context; false in a public method.
func Caller(ctx context.Context) (Identity, bool) {
	identity, ok := ctx.Value(identityKey{}).(Identity)
	return identity, ok
}

// WithCaller returns a context of a call that identity makes: for tests of methods, which have no server.
func WithCaller(ctx context.Context, identity Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, identity)
}

// StaticToken is an Authenticator that knows one token. An empty token opens nothing.
type StaticToken struct {
	Token    config.Secret
	Identity Identity
}

// Authenticate compares hashes of the tokens in constant time.
func (s StaticToken) Authenticate(_ context.Context, proof Proof) (Identity, error) {
	if !s.Token.Equal(config.NewSecret(proof.Token)) || s.Token.IsZero() {
		return Identity{}, ErrUnauthenticated
	}
	return s.Identity, nil
}

// authenticate returns ctx with the identity of the caller, and notes it in the call.
func (s *Server) authenticate(ctx context.Context, call *Call) (context.Context, error) {
	if s.public[call.Method] {
		return ctx, nil
	}
	proof, ok := proofOf(ctx)
	if !ok {
		return ctx, ErrUnauthenticated
	}
	identity, err := s.set.Authenticator.Authenticate(ctx, proof)
	if err != nil {
		// Whose a refused proof was is worth knowing; what it gave is not.
		call.Identity = Identity{
			Subject: identity.Subject, DisplayName: identity.DisplayName,
			Credential: identity.Credential, APIToken: identity.APIToken,
		}
		return ctx, err
	}
	call.Identity = identity
	return WithCaller(ctx, identity), nil
}

// authorize returns ctx with the identity as the method lets it in.
func (s *Server) authorize(ctx context.Context, call *Call) (context.Context, error) {
	if s.set.Authorize == nil || s.public[call.Method] {
		return ctx, nil
	}
	identity, err := s.set.Authorize(call.Method, call.Identity)
	if err != nil {
		return ctx, err
	}
	call.Identity = identity
	return WithCaller(ctx, identity), nil
}

// proofOf returns what a client shows; false for nothing, or for an authorization that is no bearer token or comes twice.
func proofOf(ctx context.Context) (Proof, bool) {
	var proof Proof
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.VerifiedChains) > 0 {
			proof.Certificate = info.State.VerifiedChains[0][0]
		}
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return proof, proof.Certificate != nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	proof.Token = token
	return proof, len(values) == 1 && strings.EqualFold(scheme, "Bearer") && token != ""
}
