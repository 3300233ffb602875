package seal

import "gocloud.dev/gcerrors"

// unavailable tells a key service that cannot be asked from one that refuses what it was given.
func unavailable(err error) bool {
	switch gcerrors.Code(err) {
	case gcerrors.PermissionDenied, gcerrors.DeadlineExceeded, gcerrors.ResourceExhausted, gcerrors.Internal, gcerrors.Canceled:
		return true
	default:
		return false
	}
}
