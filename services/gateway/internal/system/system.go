// Package system answers the methods of SystemService: how the product is, and who one is to it.
//
// It asks the bus about streams and durables and writes nothing.
package system

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// statusTimeout bounds GetStatus: what did not answer by then is left out.
const statusTimeout = 5 * time.Second

// Settings are what the gateway gives.
type Settings struct {
	Version string
	Started time.Time
	// Dependencies says how what the gateway needs was when it was last asked.
	Dependencies func() []*controlv1.Dependency
	JetStream    jetstream.JetStream
}

// Server is the SystemService. It is safe for concurrent use.
type Server struct {
	controlv1.UnimplementedSystemServiceServer
	set Settings
}

// NewServer returns the methods.
func NewServer(set Settings) *Server { return &Server{set: set} }

// GetStatus implements the method.
func (s *Server) GetStatus(ctx context.Context, _ *controlv1.GetStatusRequest) (*controlv1.GetStatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	answer := &controlv1.GetStatusResponse{
		Version: s.set.Version, StartTime: timestamppb.New(s.set.Started), Dependencies: s.set.Dependencies(),
	}
	if !s.set.JetStream.Conn().IsConnected() {
		return answer, nil
	}
	for _, row := range bus.Streams() {
		stream, err := s.set.JetStream.Stream(ctx, row.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return answer, nil //nolint:nilerr // the bus went away meanwhile: what is away is no error here
		}
		answer.Streams = append(answer.Streams, s.stream(ctx, row, stream))
	}
	return answer, nil
}

func (s *Server) stream(ctx context.Context, row bus.Stream, stream jetstream.Stream) *controlv1.StreamStatus {
	info := stream.CachedInfo()
	status := &controlv1.StreamStatus{
		Name: row.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: uint64(max(info.Config.MaxBytes, 0)),
	}
	if info.State.Msgs > 0 {
		status.FirstTime = timestamppb.New(info.State.FirstTime)
	}
	if info.State.LastSeq > 0 {
		status.LastTime = timestamppb.New(info.State.LastTime)
	}
	for _, durable := range row.Durables {
		consumer, err := stream.Consumer(ctx, durable.Name)
		if err != nil {
			continue
		}
		place := consumer.CachedInfo()
		status.Readers = append(status.Readers, &controlv1.StreamReader{
			Name: durable.Name, Unread: place.NumPending, Unacknowledged: uint64(max(place.NumAckPending, 0)),
		})
	}
	return status
}

// GetCaller implements the method.
func (s *Server) GetCaller(ctx context.Context, _ *controlv1.GetCallerRequest) (*controlv1.GetCallerResponse, error) {
	caller, ok := grpcserver.Caller(ctx)
	if !ok {
		return nil, grpcserver.ErrUnauthenticated
	}
	answer := &controlv1.GetCallerResponse{
		Subject: caller.Subject, DisplayName: caller.DisplayName, Credential: caller.Credential,
		ApiToken: caller.APIToken, Scopes: caller.Scopes,
	}
	for _, grant := range caller.Grants {
		answer.Grants = append(answer.Grants, &controlv1.Grant{
			Role: grant.Role, TenantIds: grant.Tenants, AllTenants: grant.AllTenants,
		})
	}
	if !caller.Expires.IsZero() {
		answer.ExpireTime = timestamppb.New(caller.Expires)
	}
	return answer, nil
}
