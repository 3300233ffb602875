package session

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// minBackOff and maxBackOff bound the wait before something is tried again; the client of Graph has tried already.
const minBackOff, maxBackOff = time.Second, 2 * time.Minute

// ErrBus marks a failure on our side of the flow: what was read could not be stored in a stream, and is to be read again.
// Services wrap it.
var ErrBus = errors.New("publishing failed")

// ProblemOf says to a person why something failed in a service; nil for no error. It has nothing of the error's text.
func ProblemOf(service string, err error) *controlv1.Problem {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrBus) {
		return &controlv1.Problem{
			Cause: "stream_unavailable", Detail: "Records cannot be stored in the stream.",
			Remedy: "Look at NATS: is it running, and has its disk room? Nothing is lost; it goes on by itself.",
		}
	}
	if fault, ok := errors.AsType[*entra.Error](err); ok {
		return problem(fault)
	}
	return &controlv1.Problem{
		Cause: "internal", Detail: "It failed for a reason within Entraflow; the " + service + "'s log has it.",
		Remedy: "It is tried again by itself. If it stays, report it with the log.",
	}
}

func problem(fault *entra.Error) *controlv1.Problem {
	if fault == nil {
		return nil
	}
	return &controlv1.Problem{
		Cause: string(fault.Cause), Code: fault.Code, Detail: fault.Detail, Remedy: fault.Remedy, RequestId: fault.RequestID,
	}
}

// EndsSession reports whether an error says that nothing can be read with the credential any more.
func EndsSession(err error) bool {
	fault, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return false
	}
	switch fault.Cause { //nolint:exhaustive // only these
	case entra.CauseSecretWrong, entra.CauseSecretExpired, entra.CauseAppNotFound, entra.CauseAppDisabled,
		entra.CauseTenantNotFound, entra.CauseTenantMalformed, entra.CauseWrongCloud, entra.CauseCertificateRejected,
		entra.CauseAssertionRejected, entra.CauseCredentialMissing, entra.CauseConditionalAccess, entra.CauseScopeInvalid,
		entra.CauseResourceMissing:
		return true
	default:
		return false
	}
}

// WasRefused reports whether an error says that one data type may not be read.
func WasRefused(err error) bool {
	fault, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return false
	}
	switch fault.Cause { //nolint:exhaustive // only these
	case entra.CausePermissionMissing, entra.CauseConsentMissing, entra.CauseLicenceMissing, entra.CauseTokenRejected:
		return true
	default:
		return false
	}
}

// Passes reports whether the same request may succeed later.
func Passes(err error) bool {
	if errors.Is(err, ErrBus) {
		return true
	}
	fault, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return true // of a cursor that could not be saved, say
	}
	switch fault.Cause { //nolint:exhaustive // the others say themselves whether they pass
	case entra.CauseSkipTokenInvalid, entra.CauseLinkLoop, entra.CauseResponseInvalid, entra.CauseGatewayHTML, entra.CauseTokenRejected:
		return true
	default:
		return fault.Temporary()
	}
}

// CauseOf is a word for logs and metrics: the cause of an *entra.Error, "bus" for ErrBus, or "other".
func CauseOf(err error) string {
	if errors.Is(err, ErrBus) {
		return "bus"
	}
	if fault, ok := errors.AsType[*entra.Error](err); ok {
		return string(fault.Cause)
	}
	return "other"
}

// BackOff is a random time to wait before something is tried again, up to a bound that doubles with each attempt, to 2 min.
func BackOff(attempt int) time.Duration {
	bound := min(minBackOff<<min(attempt, 10), maxBackOff)
	return minBackOff/2 + rand.N(bound) //nolint:gosec // jitter
}
