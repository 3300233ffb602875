// Package apitoken keeps the tokens of programs and says who holds one.
//
// It writes the bucket api_tokens: tokens with a hash of their secret, which goes out once and is kept nowhere. Each call
// with a token looks it up anew, so that one that is revoked ends with the next call at every gateway.
package apitoken

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/access"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

const (
	// storeTimeout bounds a method.
	storeTimeout = 10 * time.Second
	// maxTokens bounds what is kept; those that ended longest ago make room.
	maxTokens = 10_000
	// maxOwned bounds the tokens of one owner that have not ended.
	maxOwned = 1000
	day      = 24 * time.Hour
	// defaultLife is that of a token for which no end was asked, maxLife that of any.
	defaultLife = 90 * day
	maxLife     = 366 * day
	// useStep is how exact last_use_time is: more would be a write for each call.
	useStep = 10 * time.Minute
)

var (
	errNotFound404 = grpcserver.NewError(codes.NotFound, "API_TOKEN_NOT_FOUND",
		"there is no such token", "list the tokens to see which there are")
	errByToken = grpcserver.NewError(codes.FailedPrecondition, "API_TOKEN_FROM_API_TOKEN",
		"an API token cannot make another", "sign in, or use the gateway's token file")
	errRoleTooHigh = grpcserver.NewError(codes.PermissionDenied, "ROLE_MISSING",
		"the token would have a role that you do not have", "ask for a role that you have for these tenants")
	errTenants = grpcserver.NewError(codes.PermissionDenied, "TENANT_FORBIDDEN",
		"the token would open tenants that you do not have", "name tenants that you have, or none to get all of yours")
	errTooMany = grpcserver.NewError(codes.ResourceExhausted, "TOO_MANY_API_TOKENS",
		"there are as many tokens as are kept", "revoke some that nobody needs")
	errTooManyOwned = grpcserver.NewError(codes.ResourceExhausted, "TOO_MANY_API_TOKENS",
		"you have as many tokens as one owner may", "revoke some that nobody needs")
	errChanged = grpcserver.NewError(codes.Aborted, "API_TOKEN_CHANGED",
		"the token was changed meanwhile", "do it again")
	errAway = grpcserver.NewError(codes.Unavailable, "BUS_UNAVAILABLE",
		"NATS cannot be reached", "try again in some seconds; the gateway's log has the cause")
	errRevoked = grpcserver.NewError(codes.Unauthenticated, "API_TOKEN_REVOKED",
		"the API token was revoked", "ask an admin for another")
	errExpired = grpcserver.NewError(codes.Unauthenticated, "API_TOKEN_EXPIRED",
		"the API token is over", "make another")
)

// Settings are what the gateway gives.
type Settings struct {
	// Bucket returns the bucket api_tokens.
	Bucket func(context.Context) (jetstream.KeyValue, error)
	Clock  clock.Clock
	Logger *slog.Logger
}

// Server is the ApiTokenService, and the access.Tokens of API tokens. It is safe for concurrent use.
type Server struct {
	controlv1.UnimplementedApiTokenServiceServer
	set Settings
}

// NewServer returns the methods. It opens nothing.
func NewServer(set Settings) *Server { return &Server{set: set} }

func (s *Server) store(ctx context.Context) (*store, error) {
	kv, err := s.set.Bucket(ctx)
	if err != nil {
		return nil, errAway.Because(err)
	}
	return &store{kv}, nil
}

// Mine implements access.Tokens.
func (s *Server) Mine(token string) bool { return strings.HasPrefix(token, Prefix) }

// Holder implements access.Tokens.
func (s *Server) Holder(ctx context.Context, token string) (grpcserver.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	id, ok := idOf(token)
	if !ok {
		return grpcserver.Identity{}, grpcserver.ErrUnauthenticated
	}
	kept, err := s.store(ctx)
	if err != nil {
		return grpcserver.Identity{}, err
	}
	found, err := kept.get(ctx, id)
	switch {
	case errors.Is(err, errNotFound):
		return grpcserver.Identity{}, grpcserver.ErrUnauthenticated
	case err != nil:
		return grpcserver.Identity{}, errAway.Because(err)
	case !found.opens(token):
		return grpcserver.Identity{}, grpcserver.ErrUnauthenticated
	}
	now := s.set.Clock.Now()
	switch t := found.token; {
	case t.GetRevokeTime() != nil:
		return identityOf(t), errRevoked
	case !now.Before(t.GetExpireTime().AsTime()):
		return identityOf(t), errExpired
	}
	s.used(ctx, kept, found, now)
	return identityOf(found.token), nil
}

// used notes the use, from time to time. A note that is lost costs nothing.
func (s *Server) used(ctx context.Context, kept *store, found record, now time.Time) {
	if now.Sub(found.token.GetLastUseTime().AsTime()) < useStep {
		return
	}
	noted := found
	noted.token = proto.CloneOf(found.token)
	noted.token.LastUseTime = timestamppb.New(now)
	if err := kept.put(ctx, noted); err != nil && !bus.WrongRevision(err) {
		s.set.Logger.WarnContext(ctx, "use of a token is not noted", slog.String("api_token", found.token.GetName()), slog.Any("err", err))
	}
}

// identityOf is who calls with a token: its owner, with what the token has.
func identityOf(t *controlv1.ApiToken) grpcserver.Identity {
	return grpcserver.Identity{
		Subject: t.GetOwner(), DisplayName: t.GetOwnerDisplayName(),
		Credential: controlv1.CredentialKind_CREDENTIAL_KIND_API_TOKEN, APIToken: t.GetName(),
		Grants: []grpcserver.Grant{{Role: t.GetRole(), Tenants: t.GetTenantIds(), AllTenants: t.GetAllTenants()}},
		Scopes: t.GetScopes(), Expires: t.GetExpireTime().AsTime(),
	}
}

// check turns what was asked for into the token to keep.
func (s *Server) check(caller grpcserver.Identity, asked *controlv1.ApiToken) (*controlv1.ApiToken, error) {
	now := s.set.Clock.Now()
	made := &controlv1.ApiToken{
		DisplayName: asked.GetDisplayName(), Owner: caller.Subject, OwnerDisplayName: caller.DisplayName,
		Role: asked.GetRole(), Scopes: asked.GetScopes(), CreateTime: timestamppb.New(now),
		ExpireTime: timestamppb.New(now.Add(defaultLife)),
	}
	if caller.APIToken != "" {
		return nil, errByToken
	}
	if asked.GetRole() > caller.Role {
		return nil, errRoleTooHigh
	}
	for _, tenant := range asked.GetTenantIds() {
		tenant = strings.ToLower(tenant)
		if tenant == "any" || tenant == access.AllTenants || tenant == "*" {
			return nil, failure.NewInvalid("api_token.tenant_ids", "must name directory ids; leave them out for all of yours")
		}
		if !caller.MaySee(tenant) {
			return nil, errTenants
		}
		made.TenantIds = append(made.TenantIds, strings.ToLower(tenant))
	}
	if len(made.GetTenantIds()) == 0 {
		made.TenantIds, made.AllTenants = slices.Clone(caller.Tenants), caller.AllTenants
	}
	for _, scope := range asked.GetScopes() {
		if !access.IsScope(scope) {
			return nil, failure.NewInvalid("api_token.scopes", "names "+scope+", which is no service or method")
		}
	}
	if end := asked.GetExpireTime(); end != nil {
		if !end.IsValid() || !end.AsTime().After(now) || end.AsTime().After(now.Add(maxLife)) {
			return nil, failure.NewInvalid("api_token.expire_time", "must be in the future, at most 366 days ahead")
		}
		made.ExpireTime = end
	}
	return made, nil
}
