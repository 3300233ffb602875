package bus

import (
	"errors"
	"fmt"
)

// Reasons for a dead letter that this package gives itself. The reasons of decoders and handlers
// are tokens of the same form; event.proto lists them.
const (
	// ReasonTooManyAttempts is the reason of a message whose handler failed at the last attempt.
	ReasonTooManyAttempts = "too_many_attempts"
	// ReasonPayloadInvalid is the reason of a message that is no protobuf of its stream's type.
	ReasonPayloadInvalid = "payload_invalid"
)

// permanentError says that the same bytes will fail again.
type permanentError struct {
	reason string
	err    error
}

func (e *permanentError) Error() string { return fmt.Sprintf("%s: %v", e.reason, e.err) }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that the same bytes will meet again: a handler that returns it gets
// the message dead-lettered under the reason, a fixed snake_case token, with err's text as detail.
// The text must hold no part of the record. Permanent returns nil if err is nil.
func Permanent(reason string, err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{reason: reason, err: err}
}

// IsPermanent reports whether Permanent marked err or an error it wraps, and with which reason. The
// outermost mark counts.
func IsPermanent(err error) (reason string, ok bool) {
	var permanent *permanentError
	if !errors.As(err, &permanent) {
		return "", false
	}
	return permanent.reason, true
}
