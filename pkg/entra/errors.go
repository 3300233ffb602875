package entra

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Error is a failed token or Graph request. It holds no token, secret, URL or response body. Its text is
// bounded and fit for a person.
type Error struct {
	Cause Cause
	// Code is Microsoft's: AADSTS7000215, Authorization_RequestDenied. Empty if there was none.
	Code string
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// Detail says what happened and Remedy what to do, each a sentence or two.
	Detail, Remedy string
	// RetryAfter is what the server asked for; 0 if nothing.
	RetryAfter time.Duration
	// RequestID is Graph's request-id or the token endpoint's trace id, for Microsoft's support.
	RequestID string
	// Permission are application permissions of which one is missing, the least privileged first.
	Permission []string
	// Licence is the missing one: P1, P2 or Intune.
	Licence string
}

// NewError makes an Error with the headline and remedy of its cause, for readers that find a fault themselves.
func NewError(cause Cause) *Error { return newError(cause, "") }

// newError makes an Error with the remedy of its cause; an empty detail is the cause's headline.
func newError(cause Cause, detail string) *Error {
	text := cause.text()
	if detail == "" {
		detail = text.headline + "."
	}
	return &Error{Cause: cause, Detail: detail, Remedy: text.remedy}
}

// Error says cause, code and detail.
func (e *Error) Error() string {
	text := string(e.Cause)
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	return text + ": " + e.Detail
}

// Timeout reports whether the server or the network took too long: ask for less.
func (e *Error) Timeout() bool {
	const gatewayTimeout, requestTimeout = 504, 408
	return e.Cause == CauseNetworkTimeout || e.Status == gatewayTimeout || e.Status == requestTimeout
}

// Temporary reports whether the same request may succeed later without anybody doing anything.
func (e *Error) Temporary() bool {
	switch e.Cause {
	case CauseThrottled, CauseTransient, CauseGatewayHTML, CauseLoginLoop, CauseNetwork, CauseNetworkDNS,
		CauseNetworkRefused, CauseNetworkTimeout, CauseResponseInvalid:
		return true
	default:
		return false
	}
}

// Classify returns the *Error in err's chain, or else one for an error of the network or of azidentity.
// Nil is nil.
func Classify(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		if e.RawResponse != nil {
			body, restored := readBody(e.RawResponse.Body)
			e.RawResponse.Body = restored
			return tokenError(e.RawResponse.StatusCode, e.RawResponse.Header, body)
		}
		return newError(CauseUnknown, "No token could be had.")
	}
	return networkError(err)
}

// networkError says why there was no answer. It keeps none of the error's words: they hold URLs, with
// their queries.
func networkError(err error) *Error {
	if errors.Is(err, context.Canceled) {
		return newError(CauseUnknown, "The request was given up.")
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		return newError(CauseNetworkDNS, "")
	}
	if isTLS(err) {
		return newError(CauseNetworkTLS, "")
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case ok && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return newError(CauseNetworkTimeout, "")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return newError(CauseNetworkRefused, "")
	case ok, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, errRedirect):
		return newError(CauseNetwork, "")
	default:
		return newError(CauseUnknown, "")
	}
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}
