package rest

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// failure is an error that HTTP has a status of its own for.
type failure struct {
	grpcserver.Shown
	httpStatus int
}

// over gives an error the status that HTTP has for it.
func over(httpStatus int, shown grpcserver.Shown) *failure {
	return &failure{Shown: shown, httpStatus: httpStatus}
}

var (
	errNoRoute = over(http.StatusNotFound, grpcserver.NewError(codes.NotFound, "PATH_UNKNOWN",
		"there is nothing at this path", "see /openapi.json"))
	errVerb = over(http.StatusMethodNotAllowed, grpcserver.NewError(codes.Unimplemented, "HTTP_METHOD_WRONG",
		"this path is not served for this HTTP method", "use one of those in the header Allow"))
	errPath = over(http.StatusBadRequest, grpcserver.NewError(codes.InvalidArgument, "PATH_MALFORMED",
		"the path is not well formed", "write it as UTF-8, percent-encoded once"))
	errQuery = over(http.StatusBadRequest, grpcserver.NewError(codes.InvalidArgument, "QUERY_MALFORMED",
		"the query is not well formed", "write it as UTF-8, percent-encoded once"))
	errBodyUnexpected = over(http.StatusBadRequest, grpcserver.NewError(codes.InvalidArgument, "BODY_UNEXPECTED",
		"this method takes no body", "send its fields in the query"))
	errBodyTooLarge = over(http.StatusRequestEntityTooLarge, grpcserver.NewError(codes.InvalidArgument, "BODY_TOO_LARGE",
		"the body is too large", "send less"))
	errManyBodies = over(http.StatusServiceUnavailable, grpcserver.NewError(codes.ResourceExhausted, "TOO_MANY_BODIES",
		"too many bodies of requests are under way, of all clients", "try again in some seconds"))
	errBodyCut = over(http.StatusBadRequest, grpcserver.NewError(codes.InvalidArgument, "BODY_INCOMPLETE",
		"the body did not come whole, or not in time", "send it again"))
	errContentType = over(http.StatusUnsupportedMediaType, grpcserver.NewError(codes.InvalidArgument, "CONTENT_TYPE_WRONG",
		"the body must be JSON", "send the header content-type: application/json"))
	errLastEventID = over(http.StatusBadRequest, grpcserver.NewError(codes.InvalidArgument, "HEADER_MALFORMED",
		"the header last-event-id is not UTF-8", "send the id of an event, unchanged"))
	errStopping = over(http.StatusServiceUnavailable, grpcserver.NewError(codes.Unavailable, "SERVER_STOPPING",
		"the server is stopping", "connect again"))
	errInternal = grpcserver.NewError(codes.Internal, "INTERNAL",
		"something went wrong inside", "report the request_id")
)

func errUnknownField(name string) *failure {
	return over(http.StatusBadRequest, grpcserver.NewError(codes.InvalidArgument, "FIELD_UNKNOWN",
		"the query names a field that the request does not have: "+shorten(name), "see /openapi.json for its fields"))
}

func errFieldElsewhere(name string) *failure {
	return over(http.StatusBadRequest, grpcserver.NewError(codes.InvalidArgument, "FIELD_MISPLACED",
		"the query names a field that the path or the body has: "+shorten(name), "send it once"))
}

// maxEcho bounds what of a request an error repeats, in bytes.
const maxEcho = 200

// shorten returns the beginning of what a client sent, as UTF-8.
func shorten(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= maxEcho {
		return text
	}
	cut := maxEcho
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// statusOf returns what the client sees of an error, and the HTTP status. An error that the gRPC server made is in its
// final words; others are of the code that reads requests, or of the connection to the server.
func statusOf(err error, requestID string) (*status.Status, int) {
	if own, ok := errors.AsType[*failure](err); ok {
		return grpcserver.StatusOf(own, requestID), own.httpStatus
	}
	st := status.Convert(err)
	if !isFinal(st) {
		st = grpcserver.StatusOf(inWords(st), requestID)
	}
	return st, runtime.HTTPStatusFromCode(st.Code())
}

// isFinal reports whether the gRPC server of this process wrote the status.
func isFinal(st *status.Status) bool {
	_, ok := errorInfo(st)
	return ok
}

func errorInfo(st *status.Status) (*errdetails.ErrorInfo, bool) {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info, true
		}
	}
	return nil, false
}

// inWords says what a status means that the server did not write.
func inWords(st *status.Status) *grpcserver.Error {
	switch st.Code() {
	case codes.InvalidArgument:
		// The request could not be read; the text says where, and repeats at most what the client sent.
		text := strings.TrimPrefix(strings.ReplaceAll(st.Message(), "\u00a0", " "), "proto: ")
		return grpcserver.NewError(codes.InvalidArgument, "REQUEST_MALFORMED",
			"the request cannot be read: "+shorten(text), "see /openapi.json for its fields")
	case codes.Canceled:
		return grpcserver.NewError(codes.Canceled, "CANCELLED", "the client cancelled the call", "")
	case codes.DeadlineExceeded:
		return grpcserver.NewError(codes.DeadlineExceeded, "DEADLINE_EXCEEDED",
			"the call took too long", "ask for less, or allow more time")
	case codes.ResourceExhausted:
		return grpcserver.NewError(codes.ResourceExhausted, "MESSAGE_TOO_LARGE",
			"the request or its answer is too large", "send or ask for less")
	case codes.Unavailable:
		return grpcserver.NewError(codes.Unavailable, "SERVER_STOPPING", "the server is starting or stopping", "try again")
	default:
		return errInternal
	}
}
