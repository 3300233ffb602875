package gateway

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/oidc"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/access"
	"github.com/entraflow/entraflow/services/gateway/internal/apitoken"
	"github.com/entraflow/entraflow/services/gateway/internal/audit"
	"github.com/entraflow/entraflow/services/gateway/internal/connect"
	"github.com/entraflow/entraflow/services/gateway/internal/directory"
	"github.com/entraflow/entraflow/services/gateway/internal/events"
	"github.com/entraflow/entraflow/services/gateway/internal/once"
	"github.com/entraflow/entraflow/services/gateway/internal/search"
	"github.com/entraflow/entraflow/services/gateway/internal/signins"
	"github.com/entraflow/entraflow/services/gateway/internal/subscribe"
	"github.com/entraflow/entraflow/services/gateway/internal/system"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

// parts are what Run opened for the methods.
type parts struct {
	secret    config.Secret
	conn      *bus.Conn
	sealer    *seal.Sealer
	publisher *bus.Publisher
	store     *store
	needs     *dependencies
}

// codecs make the tokens that clients carry, each for one use.
type codecs struct{ search, directory, audit, resume *token.Codec }

func newCodecs(secret config.Secret) (codecs, error) {
	var c codecs
	var errs []error
	for use, codec := range map[string]**token.Codec{
		"page": &c.search, "directory page": &c.directory, "audit page": &c.audit, "resume": &c.resume,
	} {
		var err error
		*codec, err = token.NewCodec(secret, use)
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

// bucket returns a bucket that is opened when it is first needed.
func (p parts) bucket(name string) func(context.Context) (jetstream.KeyValue, error) {
	var opened atomic.Pointer[jetstream.KeyValue]
	return func(ctx context.Context) (jetstream.KeyValue, error) {
		if kv := opened.Load(); kv != nil {
			return *kv, nil
		}
		ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
		defer cancel()
		kv, err := p.conn.Bucket(ctx, name)
		if err != nil {
			return nil, err
		}
		opened.Store(&kv) // opened twice at once it is one, and needs no closing
		return kv, nil
	}
}

// build makes the server and its methods, of which subscriptions may outlive their calls a little.
func (s *Service) build(p parts) (*grpcserver.Server, *subscribe.Server, error) {
	tokens, err := newCodecs(p.secret)
	if err != nil {
		return nil, nil, err
	}
	key, err := hkdf.Key(sha256.New, []byte(p.secret.Reveal()), nil, "entraflow gateway requests", sha256.Size)
	if err != nil {
		return nil, nil, fmt.Errorf("deriving the key of requests: %w", err)
	}
	programs := apitoken.NewServer(apitoken.Settings{
		Bucket: p.bucket(bus.BucketAPITokens), Clock: s.set.Clock, Logger: s.set.Logger,
	})
	live := subscribe.NewServer(s.cfg.Subscribe, subscribe.Settings{
		JetStream: p.conn.JetStream(), Blobs: bus.NewBlobs(p.conn), Tokens: tokens.resume,
		Metrics: s.metrics.subscribe, Logger: s.set.Logger,
	})
	sources := []access.Tokens{programs}
	if s.cfg.Auth.OIDC.Enabled() {
		verifier, err := oidc.New(s.cfg.Auth.OIDC, oidc.Settings{Clock: s.set.Clock, Logger: s.set.Logger})
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, access.People{Verifier: verifier})
	}
	requests := &once.Requests{Bucket: p.bucket(bus.BucketRequests), Key: key, Clock: s.set.Clock}
	server, err := grpcserver.New(s.cfg.GRPC, grpcserver.Settings{
		Service: s.Name(), Logger: s.set.Logger, Registry: s.set.Registry, Clock: s.set.Clock,
		Authenticator: &access.Authenticator{
			Bootstrap: p.secret, Sources: sources, Certificates: s.cfg.Auth.Certificates,
		},
		Authorize: access.Authorize,
		Record:    audit.NewRecorder(p.publisher, s.metrics.audit, s.set.Logger).Record,
		Once:      requests.Once,
		Register:  s.services(p, tokens, programs, live),
	})
	if err != nil {
		return nil, nil, err
	}
	if err := access.Complete(server.Methods()); err != nil {
		return nil, nil, err
	}
	return server, live, nil
}

// eventService is the EventService: events as they come, and those that are stored.
type eventService struct {
	*subscribe.Server

	stored *events.Server
}

// SearchEvents implements controlv1.EventServiceServer.
func (s eventService) SearchEvents(
	ctx context.Context, req *controlv1.SearchEventsRequest,
) (*controlv1.SearchEventsResponse, error) {
	return s.stored.SearchEvents(ctx, req)
}

// services returns what registers every service; it may be called for several servers.
func (s *Service) services(
	p parts, tokens codecs, programs *apitoken.Server, live *subscribe.Server,
) func(grpc.ServiceRegistrar) {
	searcher := search.New(s.cfg.Search, search.Settings{
		Store: p.store, Tokens: tokens.search, Clock: s.set.Clock, Metrics: s.metrics.search,
	})
	objects := directory.NewServer(s.cfg.Directory, directory.Settings{
		Store: p.store, Tokens: tokens.directory, Clock: s.set.Clock, Metrics: s.metrics.directory,
	})
	connections := connect.NewServer(connect.Settings{
		Conn: p.conn, Sealer: p.sealer, Publisher: p.publisher, Ask: connect.AskOver(p.conn),
		Clock: s.set.Clock, Logger: s.set.Logger,
	})
	log := audit.NewServer(s.cfg.Audit, audit.Settings{Store: p.store, Tokens: tokens.audit, Metrics: s.metrics.auditList})
	status := system.NewServer(system.Settings{
		Version: app.Version(), Started: s.set.Clock.Now(), Dependencies: p.needs.list, JetStream: p.conn.JetStream(),
	})
	return func(r grpc.ServiceRegistrar) {
		controlv1.RegisterSignInServiceServer(r, signins.NewServer(searcher))
		controlv1.RegisterDirectoryServiceServer(r, objects)
		controlv1.RegisterEventServiceServer(r, eventService{Server: live, stored: events.NewServer(searcher)})
		controlv1.RegisterIntegrationServiceServer(r, connections)
		controlv1.RegisterApiTokenServiceServer(r, programs)
		controlv1.RegisterAuditServiceServer(r, log)
		controlv1.RegisterSystemServiceServer(r, status)
	}
}
