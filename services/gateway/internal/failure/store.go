package failure

import (
	"context"
	"errors"

	"github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// Errors of methods that ask ClickHouse.
var (
	// ErrAway is the error of a method while the store cannot answer.
	ErrAway = grpcserver.NewError(codes.Unavailable, "STORE_UNAVAILABLE",
		"the store cannot be reached",
		"try again in some seconds; the gateway's log has the cause")
	// ErrTooLarge is the error of a question that takes more than it may.
	ErrTooLarge = grpcserver.NewError(codes.ResourceExhausted, "SEARCH_TOO_LARGE",
		"the search needs more time or memory than one may take",
		"ask for a shorter time, name tenants, or ask for smaller pages")
)

// Codes of ClickHouse's exceptions.
const (
	codeUnknownTable         = 60
	codeUnknownDatabase      = 81
	codeTimeout              = 159
	codeTooSlow              = 160
	codeTooManyQueries       = 202
	codeMemoryLimit          = 241
	codeTooManyBytes         = 307
	codeQueryWasCancelled    = 394
	codeTooManyRowsOrBytes   = 396
	codeTableIsBeingDropped  = 218
	codeAllConnectionsFailed = 279
)

// OfStore turns an error of a statement into what the client may read. Errors that tell of a fault of ours
// stay as they are: the frame hides them.
func OfStore(ctx context.Context, err error) error {
	var exception *clickhouse.Exception
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx) // the call ended; whatever came of it is a consequence
	case errors.Is(err, context.DeadlineExceeded):
		return ErrTooLarge.Because(err)
	case !errors.As(err, &exception):
		return ErrAway.Because(err)
	}
	switch exception.Code {
	case codeTimeout, codeTooSlow, codeMemoryLimit, codeTooManyBytes, codeTooManyRowsOrBytes, codeQueryWasCancelled:
		return ErrTooLarge.Because(err)
	case codeTooManyQueries, codeAllConnectionsFailed, codeUnknownTable, codeUnknownDatabase, codeTableIsBeingDropped:
		// Tables are unknown until the sink has made them.
		return ErrAway.Because(err)
	default:
		return err
	}
}
