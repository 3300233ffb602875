package entractl

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Of searches for events: how many are shown unless told otherwise, and how many a page has at most.
const (
	defaultLimit = 100
	maxPage      = 1000
)

func checkLimit(limit int) error {
	if limit < 0 {
		return usageError{fmt.Errorf("--limit %d must not be negative", limit)}
	}
	return nil
}

// eventPrinter returns what writes events in the format of the flag -o; table is that of tables.
func (c *caller) eventPrinter(output string, table printer) (printer, error) {
	switch format(output) {
	case formatTable:
		return table, nil
	case formatJSON:
		return &arrayJSON{to: c.Stdout}, nil
	case formatYAML:
		return &listYAML{to: c.Stdout}, nil
	case formatLines:
		return lineJSON{to: c.Stdout}, nil
	default:
		return nil, errEventFormat(output)
	}
}

// printPages asks for pages, the first without a token, and prints them as they come, until limit events are printed; 0 is
// no limit.
func (t *target) printPages(
	ctx context.Context, limit int, out printer,
	page func(conn *grpc.ClientConn, size int32, token string) (events []*eventv1.Event, next string, err error),
) error {
	conn, err := t.connect()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to send
	token := ""
	for left := limit; ; {
		size := int32(maxPage)
		if limit > 0 {
			size = int32(min(left, maxPage))
		}
		events, next, err := page(conn, size, token)
		if err != nil {
			return t.explain(ctx, err)
		}
		if err := out.print(events); err != nil {
			return err
		}
		left -= len(events)
		token = next
		if token == "" || limit > 0 && left <= 0 {
			return out.close()
		}
	}
}
