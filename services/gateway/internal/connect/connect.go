// Package connect answers the methods of IntegrationService: it keeps integrations with their credentials sealed, has
// connections tested by the collector and the streamer, and shows how collecting goes.
//
// It writes the bucket integrations and the stream COMMANDS and reads the bucket runs. It never opens a
// credential, and none comes out of it.
package connect

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

const (
	// testTimeout bounds a test of a connection; that of who tests is 30 s.
	testTimeout = 40 * time.Second
	// storeTimeout bounds what else a method does.
	storeTimeout = 10 * time.Second
	// testPurpose is what the credential of a test is sealed for.
	testPurpose = "test_connection"
	// maxIntegrations bounds what is kept.
	maxIntegrations = 1000
)

// Asker asks a question of the topology by its name; bus.Ask does.
type Asker func(ctx context.Context, name string, question, answer proto.Message) error

// Settings are what the gateway gives. Nothing in it is closed here.
type Settings struct {
	// Conn reaches the buckets, which are opened when a method first needs them: a gateway that is there before they are
	// says so and serves all else.
	Conn      *bus.Conn
	Sealer    *seal.Sealer
	Publisher *bus.Publisher
	Ask       Asker
	Clock     clock.Clock
	Logger    *slog.Logger
}

// Server is an IntegrationServiceServer. It is safe for concurrent use.
type Server struct {
	controlv1.UnimplementedIntegrationServiceServer
	set          Settings
	integrations later[integrations.Store]
	runs         later[runs.Reader]
}

// NewServer returns the methods. It opens nothing.
func NewServer(set Settings) *Server {
	s := &Server{set: set}
	s.integrations.open = func(ctx context.Context) (*integrations.Store, error) {
		return integrations.Open(ctx, set.Conn, set.Sealer)
	}
	s.runs.open = func(ctx context.Context) (*runs.Reader, error) { return runs.OpenReader(ctx, set.Conn) }
	return s
}

// CreateIntegration implements the method.
func (s *Server) CreateIntegration(
	ctx context.Context, req *controlv1.CreateIntegrationRequest,
) (*controlv1.CreateIntegrationResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	made := proto.CloneOf(req.GetIntegration())
	normalize(made)
	if err := checkBoth(made, req.GetCredential()); err != nil {
		return nil, err
	}
	if err := mayChange(ctx, made); err != nil {
		return nil, err
	}
	kept, err := s.integrations.get(ctx)
	if err != nil {
		return nil, err
	}
	all, err := kept.List(ctx)
	if err != nil {
		return nil, shown(err)
	}
	if len(all) >= maxIntegrations {
		return nil, errTooMany
	}
	for _, other := range all {
		if tenant := made.GetEntra().GetTenantId(); tenant != "" && other.TenantID() == tenant {
			return nil, errTenantTaken
		}
	}
	now := timestamppb.New(s.set.Clock.Now())
	made.CreateTime, made.UpdateTime = now, now
	made.Credential = describe(req.GetCredential(), s.set.Clock.Now())
	record, err := kept.Create(ctx, req.GetIntegrationId(), made, req.GetCredential())
	if err != nil {
		return nil, shown(err)
	}
	s.set.Logger.Info("integration created", slog.String("integration", record.ID))
	return &controlv1.CreateIntegrationResponse{Integration: record.Integration}, nil
}

// GetIntegration implements the method.
func (s *Server) GetIntegration(
	ctx context.Context, req *controlv1.GetIntegrationRequest,
) (*controlv1.GetIntegrationResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	full, err := s.full(ctx, record)
	if err != nil {
		return nil, err
	}
	return &controlv1.GetIntegrationResponse{Integration: full}, nil
}

// ListIntegrations implements the method.
func (s *Server) ListIntegrations(
	ctx context.Context, req *controlv1.ListIntegrationsRequest,
) (*controlv1.ListIntegrationsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	kept, err := s.integrations.get(ctx)
	if err != nil {
		return nil, err
	}
	all, err := kept.List(ctx)
	if err != nil {
		return nil, shown(err)
	}
	answer := &controlv1.ListIntegrationsResponse{}
	size := orDefault(int(req.GetPageSize()), 100)
	for _, record := range all {
		if record.ID <= req.GetPageToken() || !maySee(ctx, record.Integration) {
			continue
		}
		if len(answer.GetIntegrations()) == size {
			id, _ := integrations.ID(answer.GetIntegrations()[size-1].GetName())
			answer.NextPageToken = id
			break
		}
		full, err := s.full(ctx, record)
		if err != nil {
			return nil, err
		}
		answer.Integrations = append(answer.Integrations, full)
	}
	return answer, nil
}

// UpdateIntegration implements the method.
func (s *Server) UpdateIntegration(
	ctx context.Context, req *controlv1.UpdateIntegrationRequest,
) (*controlv1.UpdateIntegrationResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, err := s.find(ctx, req.GetIntegration().GetName())
	if err != nil {
		return nil, err
	}
	if etag := req.GetIntegration().GetEtag(); etag != "" && etag != record.Integration.GetEtag() {
		return nil, errConflict
	}
	next, err := masked(record.Integration, req.GetIntegration(), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	normalize(next)
	if err := check(next); err != nil {
		return nil, err
	}
	// The change may name tenants that the one before did not.
	if err := mayChange(ctx, next); err != nil {
		return nil, err
	}
	next.UpdateTime = timestamppb.New(s.set.Clock.Now())
	changed, err := s.update(ctx, record, next, nil)
	if err != nil {
		return nil, err
	}
	full, err := s.full(ctx, changed)
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateIntegrationResponse{Integration: full}, nil
}

// DeleteIntegration implements the method.
func (s *Server) DeleteIntegration(
	ctx context.Context, req *controlv1.DeleteIntegrationRequest,
) (*controlv1.DeleteIntegrationResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if req.GetEtag() != "" && req.GetEtag() != record.Integration.GetEtag() {
		return nil, errConflict
	}
	kept, err := s.integrations.get(ctx)
	if err != nil {
		return nil, err
	}
	if err := kept.Delete(ctx, record); err != nil {
		return nil, shown(err)
	}
	s.set.Logger.Info("integration deleted", slog.String("integration", record.ID))
	return &controlv1.DeleteIntegrationResponse{}, nil
}

// find returns an integration that the caller may see.
func (s *Server) find(ctx context.Context, name string) (integrations.Record, error) {
	id, ok := integrations.ID(name)
	if !ok {
		return integrations.Record{}, failure.NewInvalid("name", "must be integrations/{id}")
	}
	kept, err := s.integrations.get(ctx)
	if err != nil {
		return integrations.Record{}, err
	}
	record, err := kept.Get(ctx, id)
	if err != nil {
		return integrations.Record{}, shown(err)
	}
	if !maySee(ctx, record.Integration) {
		return integrations.Record{}, errNotFound
	}
	grpcserver.Touch(ctx, tenantsOf(record.Integration)...)
	return record, nil
}

// update replaces what was read as old; a nil credential keeps the old one.
func (s *Server) update(
	ctx context.Context, old integrations.Record, next *controlv1.Integration, credential *controlv1.Credential,
) (integrations.Record, error) {
	kept, err := s.integrations.get(ctx)
	if err != nil {
		return integrations.Record{}, err
	}
	changed, err := kept.Update(ctx, old, next, credential)
	if err != nil {
		return integrations.Record{}, shown(err)
	}
	return changed, nil
}

// full adds how collecting goes.
func (s *Server) full(ctx context.Context, record integrations.Record) (*controlv1.Integration, error) {
	kept, err := s.runs.get(ctx)
	if err != nil {
		return nil, err
	}
	status, err := kept.Status(ctx, record.ID)
	if err != nil {
		return nil, shown(err)
	}
	record.Integration.Status = status
	return record.Integration, nil
}

func orDefault(value, fallback int) int {
	if value == 0 {
		return fallback
	}
	return value
}
