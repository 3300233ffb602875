package entractl

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// eventsFlags are the flags of `entractl events`.
type eventsFlags struct {
	kind, user, activity, output string
	tenants                      []string
	since, until                 string
	limit                        int
	raw                          bool
}

func newEvents(c *caller) *cobra.Command {
	var f eventsFlags
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Search stored events other than sign-ins, newest first",
		Long: "Searches the stored events of one kind, newest first. Sign-ins have a command of their own, with more to filter by:\n" +
			"entractl signins.",
		Example: "  entractl events --kind audit --since 24h\n" +
			"  entractl events --kind audit --user ada.lund@example.com --activity 'Add member to group'\n" +
			"  entractl events --kind risk_detection --since 7d -o yaml\n" +
			"  entractl events --kind provisioning --limit 0 -o ndjson > provisioning.ndjson",
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := f.request(time.Now())
			if err != nil {
				return err
			}
			out, err := c.eventPrinter(f.output, newEventTable(c.Stdout, c.style(), f.kind))
			if err != nil {
				return err
			}
			return c.target.searchEvents(cmd.Context(), req, f.limit, out)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.kind, "kind", "", "kind of event such as "+strings.Join(storedKinds(), ", "))
	flags.StringSliceVar(&f.tenants, "tenant", nil, "directory (tenant) id; several with commas")
	flags.StringVar(&f.user, "user", "", "user principal name or object id: who began an audit or is its target, or the user at risk")
	flags.StringVar(&f.activity, "activity", "", "whole name of an audit's activity")
	flags.StringVar(&f.since, "since", "", "not before: 30m, 24h, 7d, a date or a time")
	flags.StringVar(&f.until, "until", "", "before, likewise")
	flags.IntVar(&f.limit, "limit", defaultLimit, "most events to show; 0: all")
	flags.BoolVar(&f.raw, "raw", false, "with the record as Entra wrote it (json, yaml and ndjson)")
	addEventFormat(cmd, &f.output)
	complete(cmd, "kind", storedKinds()...)
	return cmd
}

// storedKinds are the kinds that shell completion offers for a search.
func storedKinds() []string {
	return slices.DeleteFunc(eventKinds(), func(kind string) bool { return kind == "signin" })
}

// request checks the flags.
func (f *eventsFlags) request(now time.Time) (*controlv1.SearchEventsRequest, error) {
	if f.kind == "" {
		return nil, usageError{errors.New("--kind is missing: the kind of event, such as audit")}
	}
	req := &controlv1.SearchEventsRequest{
		Kind: f.kind, TenantIds: f.tenants, User: f.user, Activity: f.activity, IncludeRaw: f.raw,
	}
	var err error
	if req.Start, err = parseTime("since", f.since, now); err != nil {
		return nil, err
	}
	if req.End, err = parseTime("until", f.until, now); err != nil {
		return nil, err
	}
	return req, checkLimit(f.limit)
}

// searchEvents prints pages as they come, until limit events are printed; 0 is no limit.
func (t *target) searchEvents(ctx context.Context, req *controlv1.SearchEventsRequest, limit int, out printer) error {
	return t.printPages(ctx, limit, out, func(conn *grpc.ClientConn, size int32, token string) ([]*eventv1.Event, string, error) {
		req.PageSize, req.PageToken = size, token
		answer, err := controlv1.NewEventServiceClient(conn).SearchEvents(ctx, req)
		return answer.GetEvents(), answer.GetNextPageToken(), err
	})
}
