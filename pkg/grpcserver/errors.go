package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

const (
	// errorDomain is the domain of every ErrorInfo.
	errorDomain = "entraflow"
	// helpURL, with the reason in lower case, is where an error is explained.
	helpURL = "https://github.com/entraflow/entraflow/blob/main/docs/errors.md#"
)

// Shown is an error whose text is meant for the client. Error returns what the client reads;
// what lies behind it is for Unwrap. Other errors become Internal and a request id. An error that also
// has Details() []protoadapt.MessageV1 has these sent, after the ErrorInfo, and one that has Metadata()
// map[string]string has it in the ErrorInfo.
type Shown interface {
	error
	GRPCCode() codes.Code
	// Reason is a constant in upper case that programs branch on: TENANT_UNKNOWN.
	Reason() string
	// Remedy says what the client can do, or is empty.
	Remedy() string
}

// Error is a Shown error. It is immutable.
type Error struct {
	code                    codes.Code
	reason, message, remedy string
	metadata                map[string]string
	cause                   error
}

// NewError returns a Shown error; it may stand in a package variable.
func NewError(code codes.Code, reason, message, remedy string) *Error {
	return &Error{code: code, reason: reason, message: message, remedy: remedy}
}

// Because returns the error with a cause that is logged and never shown.
func (e *Error) Because(cause error) *Error {
	caused := *e
	caused.cause = cause
	return &caused
}

// With returns the error with another entry for programs in the metadata of its ErrorInfo.
func (e *Error) With(key, value string) *Error {
	more := *e
	more.metadata = maps.Clone(e.metadata)
	if more.metadata == nil {
		more.metadata = map[string]string{}
	}
	more.metadata[key] = value
	return &more
}

// Metadata returns what With added.
func (e *Error) Metadata() map[string]string { return e.metadata }

// Error returns the text for the client.
func (e *Error) Error() string { return e.message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes an error with a cause be the same as the one without.
func (e *Error) Is(target error) bool {
	var other *Error
	return errors.As(target, &other) && other.code == e.code && other.reason == e.reason
}

// GRPCCode returns the status code.
func (e *Error) GRPCCode() codes.Code { return e.code }

// Reason returns the reason.
func (e *Error) Reason() string { return e.reason }

// Remedy returns what the client can do.
func (e *Error) Remedy() string { return e.remedy }

var (
	errUnknownMethod = NewError(codes.Unimplemented, "METHOD_UNKNOWN",
		"there is no such method", "ask the reflection service for the methods")
	errInternal = NewError(codes.Internal, "INTERNAL",
		"something went wrong inside", "report the request_id")
	errCancelled = NewError(codes.Canceled, "CANCELLED", "the client cancelled the call", "")
	errDeadline  = NewError(codes.DeadlineExceeded, "DEADLINE_EXCEEDED",
		"the call took too long", "ask for less, or allow more time")
	errAbandoned = NewError(codes.Unavailable, "CALL_ABANDONED",
		"the server abandoned the call", "call again")
	errStopping = NewError(codes.Unavailable, "SERVER_STOPPING",
		"the server is stopping", "connect again")
	errTooSlow = NewError(codes.DeadlineExceeded, "REQUEST_TOO_SLOW",
		"the request did not come whole in time", "send it again, over a faster connection")
	errTooManyStreams = NewError(codes.ResourceExhausted, "TOO_MANY_STREAMS",
		"too many streams are open", "close some, or try later")
)

// shownOf decides what the client sees of an error of the call with this context.
func shownOf(ctx context.Context, err error) Shown {
	var shown Shown
	if errors.As(err, &shown) && shown.GRPCCode() != codes.OK {
		return shown
	}
	if refusal := refusalOf(err); refusal != nil {
		return refusal
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errDeadline
	case ctx.Err() != nil:
		return errCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return errDeadline
	case errors.Is(err, context.Canceled):
		return errAbandoned
	default:
		return errInternal
	}
}

// refusalOf returns what is shown of a status made by generated code or the transport, nil for
// other errors, and for a status that is wrapped: it is of another call. It keeps the code but
// not the text: nobody knows what a method put there.
func refusalOf(err error) Shown {
	own, ok := err.(interface{ GRPCStatus() *status.Status })
	if !ok {
		return nil
	}
	switch code := own.GRPCStatus().Code(); code {
	case codes.OK, codes.Unknown, codes.Internal:
		return nil
	default:
		return NewError(code, CodeName(code), "the call was refused: "+code.String(), "")
	}
}

// statusOf is the one place where an error of a call becomes a status.
func (s *Server) statusOf(ctx context.Context, method, requestID string, err error) *status.Status {
	if err == nil {
		return nil
	}
	shown := shownOf(ctx, err)
	attrs := []any{
		slog.String("method", method), slog.String("request_id", requestID),
		slog.String("code", shown.GRPCCode().String()), slog.Any("err", err),
	}
	if shown.GRPCCode() == codes.Internal {
		s.set.Logger.ErrorContext(ctx, "call failed", attrs...)
	} else {
		s.set.Logger.DebugContext(ctx, "call refused", attrs...)
	}
	return describe(shown, requestID)
}

func describe(shown Shown, requestID string) *status.Status {
	metadata := map[string]string{"request_id": requestID, "remedy": shown.Remedy()}
	if more, ok := shown.(interface{ Metadata() map[string]string }); ok {
		maps.Copy(metadata, more.Metadata())
	}
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: shown.Reason(), Domain: errorDomain, Metadata: metadata},
	}
	if detailed, ok := shown.(interface {
		Details() []protoadapt.MessageV1
	}); ok {
		details = append(details, detailed.Details()...)
	}
	details = append(details, &errdetails.Help{Links: []*errdetails.Help_Link{{
		Description: "what it means and what helps", Url: helpURL + strings.ToLower(shown.Reason()),
	}}})
	bare := status.New(shown.GRPCCode(), shown.Error())
	full, err := bare.WithDetails(details...)
	if err != nil {
		// Details fail to encode if a text in them is no UTF-8.
		return bare
	}
	return full
}

// CodeName writes a code as gRPC's documentation does: ResourceExhausted as RESOURCE_EXHAUSTED.
func CodeName(code codes.Code) string {
	if code == codes.OK {
		return "OK"
	}
	var b strings.Builder
	for i, r := range code.String() {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}
