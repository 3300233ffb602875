package entractl

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// callTimeout bounds a call: the gateway itself ends the longest, a test, after 40 s.
	callTimeout = time.Minute
	// completionTimeout bounds what a person waits for after the Tab key.
	completionTimeout = 2 * time.Second
	// maxPages bounds a listing, should page tokens never end.
	maxPages = 1000
)

var (
	idPattern  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	runPattern = regexp.MustCompile(`^[a-zA-Z0-9-]{1,64}$`)
)

// service is IntegrationService on a connection.
type service struct {
	controlv1.IntegrationServiceClient
	conn *grpc.ClientConn
}

func newIntegration(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "integration",
		Aliases: []string{"integrations"},
		Short:   "Connect tenants and Event Hubs, and see how collecting goes",
		Long: "Connects Entra tenants and Event Hubs to Entraflow.\n\n" +
			"`entractl integration guide` says what to do in Entra first; `add` tests, shows what will be collected,\n" +
			"asks, saves, and follows the first run.",
		Example: "  entractl integration guide\n" +
			"  entractl integration add contoso --tenant-id ID --client-id ID\n" +
			"  entractl integration show contoso",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newAdd(c), newTest(c), newList(c), newShow(c), newEdit(c), newResetCredentials(c),
		newCollect(c), newRuns(c), newWatch(c), newDelete(c), newGuide(),
	)
	return cmd
}

// open prepares the connection; close ends it.
func (c *caller) open() (*service, error) {
	conn, err := c.target.connect()
	if err != nil {
		return nil, err
	}
	return &service{controlv1.NewIntegrationServiceClient(conn), conn}, nil
}

func (s *service) close() { _ = s.conn.Close() } // nothing is left to send

// call calls a method within callTimeout and explains its error.
func call[Q, A any](
	ctx context.Context, c *caller, method func(context.Context, Q, ...grpc.CallOption) (A, error), req Q,
) (A, error) {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := method(bounded, req)
	return answer, c.target.explain(ctx, err)
}

// unsure replaces the error of a change that was interrupted on its way.
func unsure(err error, id string) error {
	if errors.Is(err, errInterrupted) {
		return fmt.Errorf("interrupted: the change may have been made; see `entractl integration show %s`", id)
	}
	return err
}

// integrationName turns an id, or the name itself, into the name.
func integrationName(id string) (string, error) {
	id = strings.TrimPrefix(id, "integrations/")
	if !idPattern.MatchString(id) {
		return "", usageError{fmt.Errorf("%q is no id of an integration: it begins with a letter, and has at most 40 small letters, digits and -", id)}
	}
	return "integrations/" + id, nil
}

// idOf is the last part of a name.
func idOf(name string) string { return clean(name[strings.LastIndexByte(name, '/')+1:]) }

// runName turns the ids of an integration and a run into the run's name.
func runName(integration, run string) (string, error) {
	name, err := integrationName(integration)
	if err != nil {
		return "", err
	}
	run = run[strings.LastIndexByte(run, '/')+1:]
	if !runPattern.MatchString(run) {
		return "", usageError{fmt.Errorf("%q is no id of a run; see `entractl integration runs %s`", run, idOf(name))}
	}
	return name + "/runs/" + run, nil
}

// onID makes a command take the id of an integration.
func (c *caller) onID(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("exactly one id of an integration is needed, not %d; see `entractl integration list`", len(args))
		}
		return nil
	}
	cmd.ValidArgsFunction = c.completeID
	return cmd
}

// completeID offers the ids of integrations to the shell. What goes wrong offers nothing.
func (c *caller) completeID(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	s, err := c.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer s.close()
	all, err := c.listAll(ctx, s)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []cobra.Completion
	for _, i := range all {
		offers = append(offers, cobra.CompletionWithDesc(idOf(i.GetName()), cell(i.GetDisplayName())))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// completeRun offers first the ids of integrations, then those of its runs.
func (c *caller) completeRun(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		if len(args) > 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.completeID(cmd, args, prefix)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	name, err := integrationName(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := c.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer s.close()
	all, err := c.listRuns(ctx, s, name, defaultRuns)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []cobra.Completion
	for _, run := range all {
		offers = append(offers, cobra.CompletionWithDesc(idOf(run.GetName()), triggerWord(run.GetTrigger())+", "+stateWord(run.GetState())))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// listAll returns every integration, by name.
func (c *caller) listAll(ctx context.Context, s *service) ([]*controlv1.Integration, error) {
	var all []*controlv1.Integration
	req := &controlv1.ListIntegrationsRequest{PageSize: maxPage}
	for range maxPages {
		answer, err := call(ctx, c, s.ListIntegrations, req)
		if err != nil {
			return nil, err
		}
		all = append(all, answer.GetIntegrations()...)
		if req.PageToken = answer.GetNextPageToken(); req.GetPageToken() == "" {
			return all, nil
		}
	}
	return nil, errEndless
}

// listRuns returns the newest runs of an integration, limit at most; 0 is all.
func (c *caller) listRuns(ctx context.Context, s *service, name string, limit int) ([]*controlv1.Run, error) {
	var all []*controlv1.Run
	req := &controlv1.ListRunsRequest{Parent: name}
	for range maxPages {
		req.PageSize = maxPage
		if limit > 0 {
			req.PageSize = int32(min(limit-len(all), maxPage))
		}
		answer, err := call(ctx, c, s.ListRuns, req)
		if err != nil {
			return nil, err
		}
		all = append(all, answer.GetRuns()...)
		req.PageToken = answer.GetNextPageToken()
		if req.GetPageToken() == "" || limit > 0 && len(all) >= limit {
			return all, nil
		}
	}
	return nil, errEndless
}

// get returns an integration as it stands.
func (c *caller) get(ctx context.Context, s *service, name string) (*controlv1.Integration, error) {
	answer, err := call(ctx, c, s.GetIntegration, &controlv1.GetIntegrationRequest{Name: name})
	return answer.GetIntegration(), err
}

var errEndless = errors.New("the gateway's list does not end")
