package grpcserver

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

var errAccessChanged = NewError(codes.Aborted, "ACCESS_CHANGED",
	"what you may see has changed since the stream was opened", "open it again")

// accessLostError is the cause of the end of a stream whose caller may not have it any more.
type accessLostError struct{ error }

func (a accessLostError) Unwrap() error { return a.error }

// recheck asks from time to time whether the caller of a stream may still have it, and cancels it with accessLostError if not:
// tokens expire and are revoked while streams are open. What cannot be found out now is asked again later.
func (s *Server) recheck(ctx context.Context, call *Call, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(s.cfg.RecheckStreams)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.stillAllowed(ctx, call); err != nil && ctx.Err() == nil {
			cancel(accessLostError{err})
			return
		}
	}
}

func (s *Server) stillAllowed(ctx context.Context, call *Call) error {
	again := &Call{Method: call.Method}
	_, err := s.authenticate(ctx, again)
	if err == nil {
		_, err = s.authorize(ctx, again)
	}
	var shown Shown
	switch {
	case errors.As(err, &shown) && (shown.GRPCCode() == codes.Unauthenticated || shown.GRPCCode() == codes.PermissionDenied):
		return err
	case err == nil && !sameAccess(call.Identity, again.Identity):
		return errAccessChanged
	default:
		return nil
	}
}

func sameAccess(a, b Identity) bool {
	return a.Subject == b.Subject && a.AllTenants == b.AllTenants && slices.Equal(a.Tenants, b.Tenants)
}
