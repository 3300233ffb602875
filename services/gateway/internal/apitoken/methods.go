package apitoken

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// defaultPageSize is that of a request without page_size.
	defaultPageSize = 100
	// revokeTries is how often a revocation is written again when a use of the token was noted meanwhile.
	revokeTries = 5
)

// CreateApiToken implements the method.
//
//nolint:staticcheck // the name is the proto file's
func (s *Server) CreateApiToken(
	ctx context.Context, req *controlv1.CreateApiTokenRequest,
) (*controlv1.CreateApiTokenResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	caller, _ := grpcserver.Caller(ctx)
	made, err := s.check(caller, req.GetApiToken())
	if err != nil {
		return nil, err
	}
	kept, err := s.store(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.makeRoom(ctx, kept, caller.Subject); err != nil {
		return nil, err
	}
	id, secret := newSecret()
	made.Name = namePrefix + id
	grpcserver.Name(ctx, made.GetName())
	grpcserver.Touch(ctx, made.GetTenantIds()...)
	if err := kept.put(ctx, record{id: id, token: made, hash: hashOf(secret)}); err != nil {
		return nil, errAway.Because(err)
	}
	s.set.Logger.InfoContext(ctx, "API token made", slog.String("api_token", made.GetName()))
	return &controlv1.CreateApiTokenResponse{ApiToken: made, Secret: secret}, nil
}

// makeRoom deletes the token that ended longest ago if there are as many as are kept. One owner's that have not ended
// are bounded, so that nobody takes all there is.
func (s *Server) makeRoom(ctx context.Context, kept *store, owner string) error {
	all, err := kept.list(ctx)
	if err != nil {
		return errAway.Because(err)
	}
	now, own := s.set.Clock.Now(), 0
	for _, r := range all {
		if r.token.GetOwner() == owner && endOf(r.token).After(now) {
			own++
		}
	}
	if own >= maxOwned {
		return errTooManyOwned
	}
	if len(all) < maxTokens {
		return nil
	}
	oldest := slices.MinFunc(all, func(a, b record) int { return endOf(a.token).Compare(endOf(b.token)) })
	if endOf(oldest.token).After(now) {
		return errTooMany
	}
	if err := kept.delete(ctx, oldest); err != nil {
		return errAway.Because(err)
	}
	return nil
}

func endOf(t *controlv1.ApiToken) time.Time {
	if t.GetRevokeTime() != nil {
		return t.GetRevokeTime().AsTime()
	}
	return t.GetExpireTime().AsTime()
}

// GetApiToken implements the method.
//
//nolint:staticcheck // the name is the proto file's
func (s *Server) GetApiToken(ctx context.Context, req *controlv1.GetApiTokenRequest) (*controlv1.GetApiTokenResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, found, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &controlv1.GetApiTokenResponse{ApiToken: found.token}, nil
}

// find returns a token that opens no tenant but the caller's.
func (s *Server) find(ctx context.Context, name string) (*store, record, error) {
	kept, err := s.store(ctx)
	if err != nil {
		return nil, record{}, err
	}
	found, err := kept.get(ctx, strings.TrimPrefix(name, namePrefix))
	if errors.Is(err, errNotFound) {
		return nil, record{}, errNotFound404
	}
	if err != nil {
		return nil, record{}, errAway.Because(err)
	}
	if !maySee(ctx, found.token) {
		return nil, record{}, errNotFound404
	}
	grpcserver.Touch(ctx, found.token.GetTenantIds()...)
	return kept, found, nil
}

func maySee(ctx context.Context, t *controlv1.ApiToken) bool {
	caller, _ := grpcserver.Caller(ctx)
	if caller.AllTenants || t.GetAllTenants() {
		return caller.AllTenants
	}
	return !slices.ContainsFunc(t.GetTenantIds(), func(tenant string) bool { return !caller.MaySee(tenant) })
}

// ListApiTokens implements the method.
//
//nolint:staticcheck // the name is the proto file's
func (s *Server) ListApiTokens(
	ctx context.Context, req *controlv1.ListApiTokensRequest,
) (*controlv1.ListApiTokensResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	kept, err := s.store(ctx)
	if err != nil {
		return nil, err
	}
	all, err := kept.list(ctx)
	if err != nil {
		return nil, errAway.Because(err)
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	answer := &controlv1.ListApiTokensResponse{}
	for _, r := range all {
		if r.id <= req.GetPageToken() || !maySee(ctx, r.token) || req.GetOwner() != "" && r.token.GetOwner() != req.GetOwner() {
			continue
		}
		if len(answer.GetApiTokens()) == size {
			answer.NextPageToken = strings.TrimPrefix(answer.GetApiTokens()[size-1].GetName(), namePrefix)
			break
		}
		answer.ApiTokens = append(answer.ApiTokens, r.token)
	}
	return answer, nil
}

// RevokeApiToken implements the method.
//
//nolint:staticcheck // the name is the proto file's
func (s *Server) RevokeApiToken(
	ctx context.Context, req *controlv1.RevokeApiTokenRequest,
) (*controlv1.RevokeApiTokenResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for range revokeTries {
		kept, found, err := s.find(ctx, req.GetName())
		if err != nil {
			return nil, err
		}
		if found.token.GetRevokeTime() != nil {
			return &controlv1.RevokeApiTokenResponse{ApiToken: found.token}, nil
		}
		found.token.RevokeTime = timestamppb.New(s.set.Clock.Now())
		switch err := kept.put(ctx, found); {
		case err == nil:
			s.set.Logger.InfoContext(ctx, "API token revoked", slog.String("api_token", found.token.GetName()))
			return &controlv1.RevokeApiTokenResponse{ApiToken: found.token}, nil
		case !bus.WrongRevision(err):
			return nil, errAway.Because(err)
		}
	}
	return nil, errChanged
}
