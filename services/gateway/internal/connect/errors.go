package connect

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/seal"
)

var (
	errNotFound = grpcserver.NewError(codes.NotFound, "INTEGRATION_NOT_FOUND",
		"there is no such integration", "list them to see which there are")
	errExists = grpcserver.NewError(codes.AlreadyExists, "INTEGRATION_EXISTS",
		"an integration of this id exists already", "choose another id, or edit the one there is")
	errTenantTaken = grpcserver.NewError(codes.AlreadyExists, "TENANT_TAKEN",
		"another integration reads this tenant already", "edit that one; a tenant has one Graph integration")
	errTooMany = grpcserver.NewError(codes.ResourceExhausted, "TOO_MANY_INTEGRATIONS",
		"there are as many integrations as Entraflow keeps", "delete one that is not needed any more")
	errConflict = grpcserver.NewError(codes.Aborted, "INTEGRATION_CHANGED",
		"the integration was changed meanwhile", "read it again and repeat the change")
	errForbidden = grpcserver.NewError(codes.PermissionDenied, "TENANT_FORBIDDEN",
		"the token does not open this tenant", "use a token that does")
	errDisabled = grpcserver.NewError(codes.FailedPrecondition, "INTEGRATION_DISABLED",
		"the integration is disabled", "enable it first")
	errNoRuns = grpcserver.NewError(codes.FailedPrecondition, "NOTHING_TO_COLLECT",
		"an Event Hub is read all the time and has no runs", "see its status")
	errNoRun = grpcserver.NewError(codes.NotFound, "RUN_NOT_FOUND",
		"there is no such run", "list the integration's runs; old ones are forgotten")
	errNoCollector = grpcserver.NewError(codes.Unavailable, "COLLECTOR_UNAVAILABLE",
		"no collector answers, and only it can test a tenant", "start a collector, or try again in some seconds")
	errNoStreamer = grpcserver.NewError(codes.Unavailable, "STREAMER_UNAVAILABLE",
		"no streamer answers, and only it can test an Event Hub", "start a streamer, or try again in some seconds")
	errAway = grpcserver.NewError(codes.Unavailable, "BUS_UNAVAILABLE",
		"NATS cannot be reached", "try again in some seconds; the gateway's log has the cause")
	errKey = grpcserver.NewError(codes.Unavailable, "KEY_UNAVAILABLE",
		"the key that seals credentials cannot be had", "look at the key service that seal.key_url names")
	errOtherKeyCollector = grpcserver.NewError(codes.FailedPrecondition, "KEYS_DIFFER",
		"the collector cannot open what the gateway sealed", "give both the same seal.key_file or seal.key_url")
	errOtherKeyStreamer = grpcserver.NewError(codes.FailedPrecondition, "KEYS_DIFFER",
		"the streamer cannot open what the gateway sealed", "give both the same seal.key_file or seal.key_url")
	errNoKeyCollector = grpcserver.NewError(codes.Unavailable, "KEY_UNAVAILABLE",
		"the collector cannot have the key that opens credentials", "give it the gateway's seal.key_file, or look at the key service that seal.key_url names")
	errNoKeyStreamer = grpcserver.NewError(codes.Unavailable, "KEY_UNAVAILABLE",
		"the streamer cannot have the key that opens credentials", "give it the gateway's seal.key_file, or look at the key service that seal.key_url names")
	errNoBucket = grpcserver.NewError(codes.Unavailable, "TOPOLOGY_MISSING",
		"NATS has no place for integrations yet", "create the topology, or try again when it is there")
)

// shown turns an error of the stores into what the client may read.
func shown(err error) error {
	switch {
	case errors.Is(err, integrations.ErrNotFound):
		return errNotFound.Because(err)
	case errors.Is(err, integrations.ErrExists):
		return errExists.Because(err)
	case errors.Is(err, integrations.ErrConflict):
		return errConflict.Because(err)
	case errors.Is(err, runs.ErrNotFound):
		return errNoRun.Because(err)
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return errNoBucket.Because(err)
	case errors.Is(err, seal.ErrKeyUnavailable):
		return errKey.Because(err)
	default:
		return errAway.Because(err)
	}
}
