package entractl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var errNotConnected = errors.New("not connected")

func newTest(c *caller) *cobra.Command {
	return c.reader("test ID", "Test the connection of an integration",
		"Signs in anew and asks for each data type once. The exit code is 1 if it is not connected.",
		func(ctx context.Context, s *service, name string, f format) error {
			answer, err := call(ctx, c, s.TestConnection, &controlv1.TestConnectionRequest{Name: name})
			if err != nil {
				return err
			}
			report := answer.GetReport()
			if f != formatTable {
				err = writeMessage(c.Stdout, f, report)
			} else {
				err = c.style().report(c.Stdout, report, nil)
			}
			if err == nil && !report.GetConnected() {
				err = errNotConnected
			}
			return err
		})
}

func newShow(c *caller) *cobra.Command {
	return c.reader("show ID", "Show an integration and how collecting goes",
		"Shows what an integration reads, and of each data type how far it was read and what hinders it.",
		func(ctx context.Context, s *service, name string, f format) error {
			i, err := c.get(ctx, s, name)
			switch {
			case err != nil:
				return err
			case f != formatTable:
				return writeMessage(c.Stdout, f, i)
			}
			return c.style().integration(c.Stdout, i)
		})
}

// reader makes a command that shows something of one integration in one of the formats.
func (c *caller) reader(use, short, long string, run func(ctx context.Context, s *service, name string, f format) error) *cobra.Command {
	var output string
	verb, _, _ := strings.Cut(use, " ")
	cmd := c.onID(&cobra.Command{
		Use: use, Short: short, Long: long,
		Example: fmt.Sprintf("  entractl integration %s contoso\n  entractl integration %s contoso -o yaml", verb, verb),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := integrationName(args[0])
			if err != nil {
				return err
			}
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			s, err := c.open()
			if err != nil {
				return err
			}
			defer s.close()
			return run(cmd.Context(), s, name, f)
		},
	})
	addFormat(cmd, &output)
	return cmd
}

func newList(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the integrations",
		Example: "  entractl integration list\n  entractl integration list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			s, err := c.open()
			if err != nil {
				return err
			}
			defer s.close()
			all, err := c.listAll(cmd.Context(), s)
			switch {
			case err != nil:
				return err
			case f != formatTable:
				return writeMessages(c.Stdout, f, all)
			case len(all) == 0:
				c.note("there are no integrations yet; `entractl integration guide` says how to begin")
				return nil
			}
			return c.style().table(c.Stdout, integrationRows(all))
		},
	}
	addFormat(cmd, &output)
	return cmd
}

func integrationRows(all []*controlv1.Integration) [][]string {
	rows := [][]string{{"ID", "NAME", "TYPE", "READS", "STATE", "DATA TYPES", "LAST SUCCESS"}}
	for _, i := range all {
		enabled, last := 0, i.GetStatus().GetDataTypes()
		for _, d := range last {
			if d.GetEnabled() {
				enabled++
			}
		}
		newest := "-"
		for _, d := range last {
			if at := d.GetLastSuccessTime(); at != nil {
				newest = max(newest, moment(at)) // a digit is after "-"
			}
		}
		kind, reads := "entra", i.GetEntra().GetTenantId()
		if hub := i.GetEventHub(); hub != nil {
			kind, reads = "event_hub", first(strings.Trim(hub.GetNamespace()+"/"+hub.GetHub(), "/"), "as the connection string says")
		}
		rows = append(rows, []string{
			idOf(i.GetName()), cell(i.GetDisplayName()), kind, cell(reads), integrationState(i), fmt.Sprintf("%d enabled", enabled), newest,
		})
	}
	return rows
}

// integrationState is one word on how an integration goes.
func integrationState(i *controlv1.Integration) string {
	status := i.GetStatus()
	switch {
	case i.GetDisabled():
		return "disabled"
	case status == nil:
		return "new"
	case status.GetProblem() != nil:
		return "problem"
	case slices.ContainsFunc(status.GetDataTypes(), func(d *controlv1.DataTypeStatus) bool { return d.GetEnabled() && d.GetStalled() }):
		return "stalled"
	case slices.ContainsFunc(status.GetDataTypes(), hampered):
		return "problem"
	default:
		return "ok"
	}
}

// hampered reports whether a data type is not read as it should be: not by what was never permitted, which is a choice, and
// not where everything is read in place of the changes.
func hampered(d *controlv1.DataTypeStatus) bool {
	if !d.GetEnabled() || d.GetProblem() == nil {
		return false
	}
	switch d.GetProblem().GetCause() {
	case "whole_reading":
		return false
	case "permission_missing", "licence_missing":
		return d.GetCoveredUntil() != nil || d.GetLastSuccessTime() != nil
	default:
		return true
	}
}

// integration writes all there is to an integration.
func (s style) integration(to io.Writer, i *controlv1.Integration) error {
	var b strings.Builder
	const width = 14
	line := func(title, text string) {
		if text = clean(text); text != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", width, title, text)
		}
	}
	line("Integration", idOf(i.GetName()))
	line("Name", i.GetDisplayName())
	if e := i.GetEntra(); e != nil {
		line("Tenant", e.GetTenantId())
		line("Application", e.GetClientId())
		line("Cloud", e.GetCloud())
		line("Permissions", permissionSetWord(e.GetPermissionSet()))
	}
	if h := i.GetEventHub(); h != nil {
		line("Event Hub", first(strings.Trim(h.GetNamespace()+"/"+h.GetHub(), "/"), "as the connection string says"))
		line("Consumer group", first(h.GetConsumerGroup(), "$Default"))
		line("Tenants", strings.Join(h.GetTenantIds(), ", "))
		line("Application", h.GetClientId())
	}
	line("Credential", credentialText(i.GetCredential()))
	line("Confirmed", confirmationText(i.GetConfirmation()))
	line("Turned off", strings.Join(i.GetDisabledDataTypes(), ", "))
	line("Changed", moment(i.GetUpdateTime()))
	state := integrationState(i)
	fmt.Fprintf(&b, "%-*s  %s\n", width, "State", s.paint(tints[state], state))
	status := i.GetStatus()
	if status == nil && !i.GetDisabled() {
		b.WriteString("\nThe collector has not seen it yet.\n")
	}
	if p := status.GetProblem(); p != nil {
		b.WriteString("\nNothing is collected: " + problemLines(p))
	}
	if _, err := io.WriteString(to, b.String()); err != nil || status == nil {
		return err
	}
	if rows, help := statusRows(i); len(rows) > 1 {
		fmt.Fprintln(to)
		if err := s.table(to, rows); err != nil {
			return err
		}
		if _, err := io.WriteString(to, help.text()); err != nil {
			return err
		}
	}
	if report := status.GetReport(); report != nil {
		fmt.Fprintf(to, "\nLast test %s: %s\n", moment(report.GetTestTime()), clean(report.GetHeadline()))
		return s.actionReports(to, report.GetActions())
	}
	return nil
}

func credentialText(c *controlv1.CredentialInfo) string {
	if c == nil {
		return ""
	}
	text := strings.ReplaceAll(c.GetKind(), "_", " ")
	if at := c.GetSetTime(); at != nil {
		text += ", set " + moment(at)
	}
	if at := c.GetExpireTime(); at != nil {
		text += ", ends " + moment(at)
	}
	if c.GetThumbprint() != "" {
		text += ", SHA-256 " + c.GetThumbprint()
	}
	return text
}

func confirmationText(c *controlv1.Confirmation) string {
	var parts []string
	for _, list := range []struct {
		what  string
		items []string
	}{{"has ", c.GetLicences()}, {"has not ", c.GetDeniedLicences()}, {"may ", c.GetPermissions()}} {
		if len(list.items) > 0 {
			parts = append(parts, list.what+strings.Join(list.items, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// statusRows are the data types of an integration: the logs first, then those of the directory as they are read, then what
// was only tested.
func statusRows(i *controlv1.Integration) ([][]string, *remedies) {
	help := &remedies{}
	rows := [][]string{{"DATA TYPE", "ENABLED", "COVERED FROM", "COVERED UNTIL", "LAST SUCCESS", "STALLED", "ROWS", "PROBLEM"}}
	read := map[string]*controlv1.DataTypeStatus{}
	tested := map[string]*controlv1.DataTypeReport{}
	order := slices.Clone(logTypes)
	for _, d := range i.GetStatus().GetDataTypes() {
		read[d.GetDataType()] = d
		order = append(order, d.GetDataType())
	}
	for _, t := range i.GetStatus().GetReport().GetDataTypes() {
		tested[t.GetDataType()] = t
		order = append(order, t.GetDataType())
	}
	add := func(id string, d *controlv1.DataTypeStatus, why string, p *controlv1.Problem) {
		help.add(id, p)
		stalled := "-"
		if d.GetEnabled() {
			stalled = map[bool]string{true: "stalled", false: "-"}[d.GetStalled()]
		}
		rows = append(rows, []string{
			cell(id), yesNo(d.GetEnabled()), moment(d.GetCoveredFrom()), moment(d.GetCoveredUntil()),
			moment(d.GetLastSuccessTime()), stalled, count(d.GetRows()), first(why, "-"),
		})
	}
	for _, id := range order {
		d, t := read[id], tested[id]
		if d != nil || t != nil {
			why, p := hindrance(i, d, t)
			add(id, d, why, p)
		}
		delete(read, id)
		delete(tested, id)
	}
	return rows, help
}

// hindrance says why a data type is not read, or not well; d is nil if nobody reads it, and t if it was not tested.
func hindrance(i *controlv1.Integration, d *controlv1.DataTypeStatus, t *controlv1.DataTypeReport) (string, *controlv1.Problem) {
	switch why := availabilityText(t); {
	case d.GetProblem() != nil:
		return problemDetail(d.GetProblem()), d.GetProblem()
	case t == nil:
		return "", nil
	case slices.Contains(i.GetDisabledDataTypes(), t.GetDataType()):
		return "turned off", nil
	case d.GetEnabled():
		return "", nil // it is read all the same
	case why == "":
		return "can be read, and is not yet", t.GetProblem()
	default:
		return why, t.GetProblem()
	}
}
