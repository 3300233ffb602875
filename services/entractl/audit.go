package entractl

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// auditFlags are the flags of `entractl audit`.
type auditFlags struct {
	list                 listFlags
	actor, action, about string
	since, until         string
	failed               bool
}

func newAudit(c *caller) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use: "audit", Short: "Say who called the gateway and what for, newest first",
		Long: "Lists the calls of the API, granted and refused, newest first. It needs the role admin.",
		Example: "  entractl audit --since 24h --failed\n" +
			"  entractl audit --actor ada.lund@example.com --action IntegrationService\n" +
			"  entractl audit --target integrations/contoso -o yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := parseFormat(f.list.output)
			if err != nil {
				return err
			}
			req, err := f.request(time.Now())
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("failed") {
				req.Failed = new(f.failed)
			}
			conn, err := c.target.connect()
			if err != nil {
				return err
			}
			defer conn.Close() //nolint:errcheck // nothing is left to send
			client := controlv1.NewAuditServiceClient(conn)
			all, more, err := pages(f.list.limit, func(size int32, token string) ([]*controlv1.AuditEntry, string, error) {
				req.PageSize, req.PageToken = size, token
				answer, err := call(cmd.Context(), c, client.ListAuditEntries, req)
				return answer.GetAuditEntries(), answer.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer c.noteMore(more)
			return write(c, out, all, auditRows(all), "there was no such call")
		},
	}
	f.list.add(cmd, "calls")
	flags := cmd.Flags()
	flags.StringVar(&f.actor, "actor", "", "who called: a subject, or a name")
	flags.StringVar(&f.action, "action", "", "service, or service and method, such as IntegrationService.CreateIntegration")
	flags.StringVar(&f.about, "target", "", "what was named, such as integrations/contoso")
	flags.BoolVar(&f.failed, "failed", false, "calls that were refused or failed; --failed=false: those that were not")
	flags.StringVar(&f.since, "since", "", "not before: 30m, 24h, 7d, a date or a time")
	flags.StringVar(&f.until, "until", "", "before, likewise")
	complete(cmd, "action", scopeNames()...)
	return cmd
}

// request checks the flags, but for failed.
func (f *auditFlags) request(now time.Time) (*controlv1.ListAuditEntriesRequest, error) {
	if f.list.limit < 0 {
		return nil, usageError{fmt.Errorf("--limit %d must not be negative", f.list.limit)}
	}
	req := &controlv1.ListAuditEntriesRequest{
		TenantIds: f.list.tenants, Actor: f.actor, Action: strings.ReplaceAll(f.action, ".", "-"), Target: f.about,
	}
	var err error
	if req.Start, err = parseTime("since", f.since, now); err != nil {
		return nil, err
	}
	req.End, err = parseTime("until", f.until, now)
	return req, err
}

func auditRows(all []*controlv1.AuditEntry) [][]string {
	rows := [][]string{{"TIME", "WHO", "BY", "ACTION", "TARGET", "OUTCOME", "REASON", "ADDRESS", "ID"}}
	for _, e := range all {
		when := "-"
		if e.GetTime() != nil {
			when = formatTime(e.GetTime())
		}
		rows = append(rows, []string{
			when, cell(first(e.GetActorDisplayName(), e.GetActor())), word(e.GetCredential(), "CREDENTIAL_KIND_"),
			actionCell(e.GetAction()), cell(e.GetTarget()), cell(e.GetCode()), cell(e.GetReason()), cell(e.GetAddress()), cell(e.GetId()),
		})
	}
	return rows
}

// actionCell is service and method, whole: a cut one cannot be searched for.
func actionCell(action string) string { return first(clean(strings.ReplaceAll(action, "-", ".")), "-") }
