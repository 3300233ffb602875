package entractl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// editFlags are the flags of `entractl integration edit`.
type editFlags struct {
	displayName, clientID, permissionSet, consumerGroup string
	tenants, with, without                              []string
	licences, deniedLicences, permissions               []string
	disable, enable, forgetConfirmation                 bool
}

func newEdit(c *caller) *cobra.Command {
	var f editFlags
	cmd := c.onID(&cobra.Command{
		Use:   "edit ID",
		Short: "Change an integration",
		Long: "Changes what the flags say and nothing else. Tenant, cloud and Event Hub never change: add another\n" +
			"integration for those. A new credential is given with `entractl integration reset-credentials`.",
		Example: "  entractl integration edit contoso --display-name 'Contoso Ltd'\n" +
			"  entractl integration edit contoso --without risk_detection,risky_user\n" +
			"  entractl integration edit contoso --disable",
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, c, args[0]) },
	})
	flags := cmd.Flags()
	flags.StringVar(&f.displayName, "display-name", "", "name for people; \"\" takes it away")
	flags.StringVar(&f.clientID, "client-id", "", "application (client) id")
	flags.StringVar(&f.permissionSet, "permission-set", "", "what the application is meant to be allowed: read_only or read_write")
	flags.StringVar(&f.consumerGroup, "consumer-group", "", "consumer group of an Event Hub; \"\" is $Default")
	flags.StringSliceVar(&f.tenants, "tenants", nil, "directory ids whose records the Event Hub may carry, in place of those before")
	flags.StringSliceVar(&f.without, "without", nil, "data types to turn off, with commas")
	flags.StringSliceVar(&f.with, "with", nil, "data types to turn on again, with commas")
	addConfirmation(cmd, &f.licences, &f.deniedLicences, &f.permissions)
	flags.BoolVar(&f.forgetConfirmation, "forget-confirmation", false, "go by what the test sees alone")
	flags.BoolVar(&f.disable, "disable", false, "stop collecting; what is stored stays")
	flags.BoolVar(&f.enable, "enable", false, "collect again")
	complete(cmd, "permission-set", names(permissionSets())...)
	complete(cmd, "without", dataTypes()...)
	complete(cmd, "with", dataTypes()...)
	return cmd
}

func (f *editFlags) run(cmd *cobra.Command, c *caller, id string) error {
	name, err := integrationName(id)
	if err != nil {
		return err
	}
	set := f.permissionSet
	if set != "" {
		if _, err := lookUp("permission-set", set, permissionSets()); err != nil {
			return err
		}
	}
	if f.disable && f.enable {
		return usageError{errors.New("--disable and --enable exclude each other")}
	}
	changed := cmd.Flags().Changed
	if changed("client-id") && !uuidPattern.MatchString(f.clientID) {
		return usageError{fmt.Errorf("--client-id %q must be an id such as 8b7e6c5d-0000-4000-8000-000000000000", f.clientID)}
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.close()
	now, err := c.get(cmd.Context(), s, name)
	if err != nil {
		return err
	}
	next, mask, err := f.changes(now, changed)
	if err != nil {
		return err
	}
	_, err = call(cmd.Context(), c, s.UpdateIntegration, &controlv1.UpdateIntegrationRequest{
		Integration: next, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
	})
	if err != nil {
		return unsure(err, idOf(name))
	}
	fmt.Fprintf(c.Stdout, "Changed %s of %s.\n", strings.Join(mask, ", "), idOf(name))
	return nil
}

// changes returns the new values and the fields that have them. changed says which flags were given.
func (f *editFlags) changes(now *controlv1.Integration, changed func(string) bool) (*controlv1.Integration, []string, error) {
	next := &controlv1.Integration{Name: now.GetName(), Etag: now.GetEtag()}
	var mask []string
	if changed("display-name") {
		next.DisplayName, mask = f.displayName, append(mask, "display_name")
	}
	if f.disable || f.enable {
		next.Disabled, mask = f.disable, append(mask, "disabled")
	}
	if changed("with") || changed("without") {
		if err := unknownTypes(slices.Concat(f.with, f.without), now.GetStatus().GetReport()); err != nil {
			return nil, nil, err
		}
		off := append(slices.Clone(now.GetDisabledDataTypes()), f.without...)
		slices.Sort(off)
		next.DisabledDataTypes = slices.DeleteFunc(slices.Compact(off), func(id string) bool { return slices.Contains(f.with, id) })
		mask = append(mask, "disabled_data_types")
	}
	if f.forgetConfirmation || len(f.licences)+len(f.deniedLicences)+len(f.permissions) > 0 {
		next.Confirmation, mask = f.confirmation(now), append(mask, "confirmation")
	}
	paths, err := f.connection(now, next, changed)
	if err != nil {
		return nil, nil, err
	}
	if mask = append(mask, paths...); len(mask) == 0 {
		return nil, nil, usageError{errors.New("nothing to change: see `entractl integration edit --help` for what can be")}
	}
	return next, mask, nil
}

// confirmation adds what the flags say to what was said before; the last word counts.
func (f *editFlags) confirmation(now *controlv1.Integration) *controlv1.Confirmation {
	said := &controlv1.Confirmation{}
	if !f.forgetConfirmation && now.GetConfirmation() != nil {
		said = now.GetConfirmation()
	}
	report := now.GetStatus().GetReport()
	yes, no := spellLicences(f.licences, report), spellLicences(f.deniedLicences, report)
	join := func(before, more, less []string) []string {
		all := append(slices.Clone(before), more...)
		slices.Sort(all)
		return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return slices.Contains(less, s) })
	}
	return &controlv1.Confirmation{
		Licences: join(said.GetLicences(), yes, no), DeniedLicences: join(said.GetDeniedLicences(), no, yes),
		Permissions: join(said.GetPermissions(), f.permissions, nil),
	}
}

// connection writes the changes of the connection into next and returns their fields.
func (f *editFlags) connection(now, next *controlv1.Integration, changed func(string) bool) ([]string, error) {
	var entra, hub []string
	e, h := &controlv1.EntraConnection{}, &controlv1.EventHubConnection{}
	if changed("client-id") {
		e.ClientId, entra = f.clientID, append(entra, "entra.client_id")
	}
	if changed("permission-set") {
		e.PermissionSet, entra = permissionSets()[strings.ToLower(f.permissionSet)], append(entra, "entra.permission_set")
	}
	if changed("consumer-group") {
		h.ConsumerGroup, hub = f.consumerGroup, append(hub, "event_hub.consumer_group")
	}
	if changed("tenants") {
		h.TenantIds, hub = f.tenants, append(hub, "event_hub.tenant_ids")
	}
	switch {
	case len(entra) > 0 && now.GetEntra() == nil:
		return nil, usageError{errors.New("--client-id and --permission-set are of a tenant, and this integration is an Event Hub")}
	case len(hub) > 0 && now.GetEventHub() == nil:
		return nil, usageError{errors.New("--consumer-group and --tenants are of an Event Hub, and this integration is a tenant")}
	case now.GetEntra() != nil:
		// What the mask does not name must still be valid.
		e.TenantId = now.GetEntra().GetTenantId()
		if e.GetClientId() == "" {
			e.ClientId = now.GetEntra().GetClientId()
		}
		next.Connection = &controlv1.Integration_Entra{Entra: e}
	case now.GetEventHub() != nil:
		if len(h.GetTenantIds()) == 0 {
			h.TenantIds = now.GetEventHub().GetTenantIds()
		}
		next.Connection = &controlv1.Integration_EventHub{EventHub: h}
	}
	return append(entra, hub...), nil
}

func newResetCredentials(c *caller) *cobra.Command {
	var f credentialFlags
	cmd := c.onID(&cobra.Command{
		Use:   "reset-credentials ID",
		Short: "Give an integration a new credential",
		Long: "Tests a new credential and, if it signs in, puts it in the old one's place at once. If it does not, the old\n" +
			"one stays in use and the exit code is 1. Without a file for the credential it asks for the secret.",
		Example: "  entractl integration reset-credentials contoso\n" +
			"  pass show contoso | entractl integration reset-credentials contoso --secret-file -",
		RunE: func(cmd *cobra.Command, args []string) error { return c.resetCredentials(cmd.Context(), args[0], &f) },
	})
	f.add(cmd)
	return cmd
}

func (c *caller) resetCredentials(ctx context.Context, id string, f *credentialFlags) error {
	name, err := integrationName(id)
	if err != nil {
		return err
	}
	if err := f.check(c.Terminal.In); err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.close()
	now, err := c.get(ctx, s, name)
	if err != nil {
		return err
	}
	credential, err := f.read(ctx, c, now.GetEventHub() != nil && now.GetEventHub().GetClientId() == "")
	if err != nil {
		return err
	}
	answer, err := call(ctx, c, s.ResetCredentials, &controlv1.ResetCredentialsRequest{Name: name, Credential: credential})
	if err != nil {
		return unsure(err, idOf(name))
	}
	if err := c.style().report(c.Stdout, answer.GetReport(), now.GetDisabledDataTypes()); err != nil {
		return err
	}
	if !answer.GetReplaced() {
		return errNotReplaced
	}
	fmt.Fprintf(c.Stdout, "\nThe new credential of %s is in use.\n", idOf(name))
	return nil
}

var errNotReplaced = errors.New("not replaced: the old credential stays in use")

func newDelete(c *caller) *cobra.Command {
	var yes bool
	cmd := c.onID(&cobra.Command{
		Use:     "delete ID",
		Short:   "Forget an integration, its credential and how far it was read",
		Long:    "Forgets an integration, its credential and how far it was read, once you agree. What is stored stays.",
		Example: "  entractl integration delete contoso\n  entractl integration delete contoso --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := integrationName(args[0])
			if err != nil {
				return err
			}
			if !yes && !c.Terminal.In {
				return errNeedsYes
			}
			s, err := c.open()
			if err != nil {
				return err
			}
			defer s.close()
			ctx := cmd.Context()
			now, err := c.get(ctx, s, name)
			if err != nil {
				return err
			}
			question := "Delete integration " + idOf(name) + "? It is no longer collected; what is stored stays."
			if err := c.confirm(ctx, question, yes); err != nil {
				return err
			}
			_, err = call(ctx, c, s.DeleteIntegration, &controlv1.DeleteIntegrationRequest{Name: name, Etag: now.GetEtag()})
			if err != nil {
				return unsure(err, idOf(name))
			}
			fmt.Fprintf(c.Stdout, "Deleted %s.\n", idOf(name))
			return nil
		},
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "delete without asking")
	return cmd
}
