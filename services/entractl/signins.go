package entractl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// signInsFlags are the flags of `entractl signins`.
type signInsFlags struct {
	tenants, countries, types      []string
	user, app, ip, outcome, output string
	since, until                   string
	errorCodes                     []int64
	limit                          int
	raw                            bool
}

func newSignIns(c *caller) *cobra.Command {
	var f signInsFlags
	cmd := &cobra.Command{
		Use:     "signins",
		Aliases: []string{"signin", "sign-ins"},
		Short:   "Search sign-ins, newest first",
		Example: "  entractl signins --since 24h\n" +
			"  entractl signins --user ada.lund@example.com --outcome failure --since 7d\n" +
			"  entractl signins --ip 203.0.113.0/24 --limit 0 -o ndjson > signins.ndjson",
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := f.request(time.Now())
			if err != nil {
				return err
			}
			out, err := c.eventPrinter(f.output, newSignInTable(c.Stdout, c.style()))
			if err != nil {
				return err
			}
			return c.target.searchSignIns(cmd.Context(), req, f.limit, out)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.tenants, "tenant", nil, "directory (tenant) id; several with commas")
	flags.StringVar(&f.user, "user", "", "user principal name or object id")
	flags.StringVar(&f.app, "app", "", "application id, or object id of a service principal")
	flags.StringVar(&f.ip, "ip", "", "IP address, or network such as 203.0.113.0/24")
	flags.StringSliceVar(&f.countries, "country", nil, "country code such as CH; several with commas")
	flags.StringVar(&f.outcome, "outcome", "", "how it ended: "+strings.Join(names(outcomes()), ", "))
	flags.Int64SliceVar(&f.errorCodes, "error-code", nil, "AADSTS number such as 50126; several with commas")
	flags.StringSliceVar(&f.types, "type", nil, "kind of sign-in: "+strings.Join(names(types()), ", "))
	flags.StringVar(&f.since, "since", "", "not before: 30m, 24h, 7d, a date or a time")
	flags.StringVar(&f.until, "until", "", "before, likewise")
	flags.IntVar(&f.limit, "limit", defaultLimit, "most sign-ins to show; 0: all")
	flags.BoolVar(&f.raw, "raw", false, "with the record as Entra wrote it (json, yaml and ndjson)")
	addEventFormat(cmd, &f.output)
	complete(cmd, "outcome", names(outcomes())...)
	complete(cmd, "type", names(types())...)
	return cmd
}

// request checks the flags.
func (f *signInsFlags) request(now time.Time) (*controlv1.SearchSignInsRequest, error) {
	filter := &controlv1.SignInFilter{
		TenantIds: f.tenants, User: f.user, App: f.app, Ip: f.ip, Countries: f.countries, ErrorCodes: f.errorCodes,
	}
	var err error
	if filter.Start, err = parseTime("since", f.since, now); err != nil {
		return nil, err
	}
	if filter.End, err = parseTime("until", f.until, now); err != nil {
		return nil, err
	}
	if f.outcome != "" {
		if filter.Outcome, err = lookUp("outcome", f.outcome, outcomes()); err != nil {
			return nil, err
		}
	}
	for _, name := range f.types {
		t, err := lookUp("type", name, types())
		if err != nil {
			return nil, err
		}
		filter.Types = append(filter.Types, t)
	}
	if err := checkLimit(f.limit); err != nil {
		return nil, err
	}
	return &controlv1.SearchSignInsRequest{Filter: filter, IncludeRaw: f.raw}, nil
}

// searchSignIns prints pages as they come, until limit sign-ins are printed; 0 is no limit.
func (t *target) searchSignIns(ctx context.Context, req *controlv1.SearchSignInsRequest, limit int, out printer) error {
	return t.printPages(ctx, limit, out, func(conn *grpc.ClientConn, size int32, token string) ([]*eventv1.Event, string, error) {
		req.PageSize, req.PageToken = size, token
		answer, err := controlv1.NewSignInServiceClient(conn).SearchSignIns(ctx, req)
		return answer.GetSignIns(), answer.GetNextPageToken(), err
	})
}

func outcomes() map[string]controlv1.SignInOutcome {
	return map[string]controlv1.SignInOutcome{
		"success":     controlv1.SignInOutcome_SIGN_IN_OUTCOME_SUCCESS,
		"failure":     controlv1.SignInOutcome_SIGN_IN_OUTCOME_FAILURE,
		"interrupted": controlv1.SignInOutcome_SIGN_IN_OUTCOME_INTERRUPTED,
	}
}

func types() map[string]eventv1.SignInType {
	return map[string]eventv1.SignInType{
		"interactive":       eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE,
		"non_interactive":   eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE,
		"service_principal": eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL,
		"managed_identity":  eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY,
		"adfs":              eventv1.SignInType_SIGN_IN_TYPE_ADFS,
	}
}

func typeName(t eventv1.SignInType) string {
	for name, value := range types() {
		if value == t {
			return name
		}
	}
	return "-"
}

func names[V any](values map[string]V) []string { return slices.Sorted(maps.Keys(values)) }

func lookUp[V any](flag, name string, values map[string]V) (V, error) {
	value, ok := values[strings.ToLower(name)]
	if !ok {
		return value, usageError{fmt.Errorf("--%s %q must be one of %s", flag, name, strings.Join(names(values), ", "))}
	}
	return value, nil
}

// complete offers values for a flag in shell completion.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// It fails only for a flag that does not exist; a test completes each.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
