package subscribe

import (
	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

var (
	errAway = grpcserver.NewError(codes.Unavailable, "STREAM_UNAVAILABLE",
		"the stream of events cannot be reached", "subscribe again in some seconds with the last resume token")
	errBusy = grpcserver.NewError(codes.ResourceExhausted, "TOO_MANY_BEHIND",
		"too many subscribers read what is past", "subscribe again in some minutes with the last resume token")
	errGone = grpcserver.NewError(codes.OutOfRange, "EVENTS_GONE",
		"the stream no longer holds what comes after this place",
		"subscribe with a start_time instead; SearchSignIns and SearchEvents have what is in between")
	errStartTime = failure.NewInvalid("start_time", "must be a valid time")
	errSlow      = grpcserver.NewError(codes.ResourceExhausted, "CLIENT_TOO_SLOW",
		"the client left responses unread for too long", "subscribe again with the last resume token, and read faster or ask for less")
)
