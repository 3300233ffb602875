package entractl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// maxReviews bounds how often a person changes the data types before saying yes or no.
const maxReviews = 20

const (
	// startPatience is how long a collector that does not answer is waited for, startPause how long between two tries.
	startPatience = 10 * time.Second
	startPause    = 500 * time.Millisecond
)

// addFlags are the flags of `entractl integration add`.
type addFlags struct {
	credential                                     credentialFlags
	tenantID, clientID, cloud, permissionSet       string
	hub, namespace, consumerGroup                  string
	tenants                                        []string
	displayName                                    string
	without, licences, deniedLicences, permissions []string
	force, yes, noWait                             bool
}

func newAdd(c *caller) *cobra.Command {
	var f addFlags
	cmd := c.onID(&cobra.Command{
		Use:   "add ID",
		Short: "Connect a tenant or an Event Hub",
		Long: "Connects an Entra tenant, or an Event Hub that Entra's diagnostic settings write to.\n\n" +
			"Tests the connection, shows what will be collected and what not and why, asks, saves, and follows the\n" +
			"first run until it has ended; Ctrl-C leaves it going. What to do in Entra first says\n" +
			"`entractl integration guide`. Without a file for the credential it asks for the secret.\n\n" +
			"The exit code is 1 if it is not connected and so not saved, or if any data type of the first run failed.",
		Example: "  entractl integration add contoso --tenant-id 8b7e…  --client-id 51c0…\n" +
			"  entractl integration add contoso --tenant-id 8b7e… --client-id 51c0… --secret-file secret --yes --no-wait\n" +
			"  entractl integration add hub --event-hub insights-logs --connection-string-file connection --tenants 8b7e…",
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), c, args[0]) },
	})
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	flags := cmd.Flags()
	flags.StringVar(&f.tenantID, "tenant-id", "", "directory (tenant) id")
	flags.StringVar(&f.clientID, "client-id", "", "application (client) id")
	flags.StringVar(&f.cloud, "cloud", "", "Microsoft's cloud: "+strings.Join(cloudNames(), ", ")+"; global by default")
	flags.StringVar(&f.permissionSet, "permission-set", "", "what the application is meant to be allowed: read_only (default) or read_write")
	flags.StringVar(&f.hub, "event-hub", "", "name of the Event Hub; by default that of the connection string")
	flags.StringVar(&f.namespace, "namespace", "", "the Event Hub's namespace such as contoso.servicebus.windows.net; likewise")
	flags.StringVar(&f.consumerGroup, "consumer-group", "", "consumer group to read as; $Default by default")
	flags.StringSliceVar(&f.tenants, "tenants", nil, "directory ids whose records the Event Hub may carry, with commas; \"any\" allows all")
	f.credential.add(cmd)
	flags.StringVar(&f.displayName, "display-name", "", "name for people")
	flags.StringSliceVar(&f.without, "without", nil, "data types not to collect, with commas")
	addConfirmation(cmd, &f.licences, &f.deniedLicences, &f.permissions)
	flags.BoolVar(&f.force, "force", false, "save although it is not connected")
	flags.BoolVarP(&f.yes, "yes", "y", false, "save without asking")
	flags.BoolVar(&f.noWait, "no-wait", false, "do not follow the first run")
	complete(cmd, "cloud", cloudNames()...)
	complete(cmd, "permission-set", names(permissionSets())...)
	complete(cmd, "without", dataTypes()...)
	return cmd
}

// addConfirmation gives a command the flags of what the user says of licences and permissions.
func addConfirmation(cmd *cobra.Command, licence, denied, permissions *[]string) {
	flags := cmd.Flags()
	flags.StringSliceVar(licence, "confirm-licence", nil, "licences that the tenant has although the test does not see them: "+strings.Join(licences, ", "))
	flags.StringSliceVar(denied, "deny-licence", nil, "licences that the tenant has not")
	flags.StringSliceVar(permissions, "confirm-permission", nil, "permissions that the application has although the test does not see them")
	complete(cmd, "confirm-licence", licences...)
	complete(cmd, "deny-licence", licences...)
}

// isHub reports whether the flags describe an Event Hub.
func (f *addFlags) isHub() bool {
	return f.hub != "" || f.namespace != "" || f.consumerGroup != "" || len(f.tenants) > 0 || f.credential.connectionString != ""
}

// integration checks the flags and makes of them what to save.
func (f *addFlags) integration() (*controlv1.Integration, error) {
	i := &controlv1.Integration{DisplayName: f.displayName, DisabledDataTypes: f.without}
	if len(f.licences)+len(f.deniedLicences)+len(f.permissions) > 0 {
		i.Confirmation = &controlv1.Confirmation{
			Licences: spellLicences(f.licences, nil), DeniedLicences: spellLicences(f.deniedLicences, nil), Permissions: f.permissions,
		}
	}
	if f.isHub() {
		if len(f.tenants) == 0 {
			return nil, usageError{errors.New("--tenants is missing: the directory ids whose records the Event Hub may carry, or any")}
		}
		if f.cloud != "" || f.permissionSet != "" {
			return nil, usageError{errors.New("--cloud and --permission-set are of a tenant, not of an Event Hub")}
		}
		i.Connection = &controlv1.Integration_EventHub{EventHub: &controlv1.EventHubConnection{
			Namespace: f.namespace, Hub: f.hub, ConsumerGroup: f.consumerGroup, TenantIds: f.tenants,
			TenantId: f.tenantID, ClientId: f.clientID,
		}}
		return i, nil
	}
	for _, id := range []struct{ flag, value, where string }{
		{"tenant-id", f.tenantID, "Directory (tenant) ID"}, {"client-id", f.clientID, "Application (client) ID"},
	} {
		if !uuidPattern.MatchString(id.value) {
			return nil, usageError{fmt.Errorf("--%s %q must be an id such as 8b7e6c5d-0000-4000-8000-000000000000: "+
				"%s on the Overview of the app registration", id.flag, id.value, id.where)}
		}
	}
	entra := &controlv1.EntraConnection{TenantId: f.tenantID, ClientId: f.clientID, Cloud: f.cloud}
	if f.permissionSet != "" {
		var err error
		if entra.PermissionSet, err = lookUp("permission-set", f.permissionSet, permissionSets()); err != nil {
			return nil, err
		}
	}
	i.Connection = &controlv1.Integration_Entra{Entra: entra}
	return i, nil
}

func (f *addFlags) run(ctx context.Context, c *caller, id string) error {
	name, err := integrationName(id)
	if err != nil {
		return err
	}
	i, err := f.integration()
	if err != nil {
		return err
	}
	if !f.yes && !c.Terminal.In {
		return errNeedsYes
	}
	if err := f.credential.check(c.Terminal.In); err != nil {
		return err
	}
	credential, err := f.credential.read(ctx, c, f.isHub())
	if err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.close()
	report, err := f.test(ctx, c, s, &controlv1.TestConnectionRequest{Integration: i, Credential: credential})
	if err != nil {
		return err
	}
	if err := f.review(ctx, c, i, report); err != nil {
		return err
	}
	made, err := call(ctx, c, s.CreateIntegration, &controlv1.CreateIntegrationRequest{
		IntegrationId: idOf(name), Integration: i, Credential: credential,
	})
	if err != nil {
		return unsure(err, idOf(name))
	}
	fmt.Fprintf(c.Stdout, "\nSaved as %s.\n", idOf(made.GetIntegration().GetName()))
	return f.firstRun(ctx, c, s, name, report)
}

// test returns the report, nil if no test was possible and --force goes on without.
func (f *addFlags) test(ctx context.Context, c *caller, s *service, req *controlv1.TestConnectionRequest) (*controlv1.ConnectionReport, error) {
	if c.Terminal.In {
		c.note("testing the connection; this takes up to half a minute")
	}
	answer, err := s.patientTest(ctx, req)
	if err != nil {
		explained := c.target.explain(ctx, err)
		if errors.Is(explained, errInterrupted) {
			return nil, errDeclined
		}
		switch status.Code(err) {
		case codes.Unimplemented, codes.Unavailable, codes.DeadlineExceeded:
		default:
			return nil, explained
		}
		if !f.force {
			return nil, fmt.Errorf("%w\nNothing was saved; --force saves without a test", explained)
		}
		c.note("not tested: %v", explained)
		return nil, nil
	}
	report := answer.GetReport()
	if err := c.style().report(c.Stdout, report, f.without); err != nil {
		return nil, err
	}
	if !report.GetConnected() && !f.force {
		return nil, errNotSaved
	}
	return report, nil
}

// patientTest tests a connection. A collector that has just been started gets some seconds to answer.
func (s *service) patientTest(ctx context.Context, req *controlv1.TestConnectionRequest) (*controlv1.TestConnectionResponse, error) {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for end := time.Now().Add(startPatience); ; {
		answer, err := s.TestConnection(bounded, req)
		if !isStarting(err) || time.Now().After(end) || !pause(bounded, startPause) {
			return answer, err
		}
	}
}

// review lets the person turn data types off until they agree, and writes the result into i.
func (f *addFlags) review(ctx context.Context, c *caller, i *controlv1.Integration, report *controlv1.ConnectionReport) error {
	if err := unknownTypes(i.GetDisabledDataTypes(), report); err != nil {
		return err
	}
	if said := i.GetConfirmation(); said != nil {
		said.Licences, said.DeniedLicences = spellLicences(said.GetLicences(), report), spellLicences(said.GetDeniedLicences(), report)
	}
	if f.yes {
		return nil
	}
	if len(report.GetDataTypes()) == 0 {
		return c.confirm(ctx, "Save it all the same?", false)
	}
	for range maxReviews {
		answer, err := c.ask(ctx, "\nSave it? [y/N, or data types not to collect, with commas] ")
		switch {
		case errors.Is(err, errInterrupted):
			return errDeclined
		case err != nil:
			return err
		case isYes(answer):
			return nil
		case isNo(answer):
			return errDeclined
		}
		off := strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' })
		if err := unknownTypes(off, report); err != nil {
			c.note("%v", err)
			continue
		}
		all := append(slices.Clone(i.GetDisabledDataTypes()), off...)
		slices.Sort(all)
		i.DisabledDataTypes = slices.Compact(all)
		if err := c.style().dataTypeReports(c.Stdout, report.GetDataTypes(), i.GetDisabledDataTypes()); err != nil {
			return err
		}
	}
	return errDeclined
}

// firstRun follows the first run, if there will be one.
func (f *addFlags) firstRun(ctx context.Context, c *caller, s *service, name string, report *controlv1.ConnectionReport) error {
	id := idOf(name)
	switch {
	case f.isHub():
		fmt.Fprintf(c.Stdout, "Records come as Entra writes them; how it goes says `entractl integration show %s`.\n", id)
		return nil
	case f.noWait || !report.GetConnected():
		fmt.Fprintf(c.Stdout, "Collecting begins by itself; how it goes says `entractl integration show %s`.\n", id)
		return nil
	}
	run, err := c.awaitFirstRun(ctx, s, name)
	if err != nil {
		return err
	}
	return c.follow(ctx, s, run, formatTable)
}

var errNotSaved = errors.New("not connected, so nothing was saved; --force saves it all the same")
