package entractl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func newApp(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "app",
		Aliases: []string{"apps"},
		Short:   "Look at applications of the directory",
		Long:    "Says which secrets and certificates the applications of the tenants that are connected have, and when they end.",
		Example: "  entractl app credentials --expiring 90d",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAppCredentials(c))
	return cmd
}

func newAppCredentials(c *caller) *cobra.Command {
	var (
		f              listFlags
		text, expiring string
	)
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "List the secrets and certificates of applications, the soonest to end first",
		Long: "Lists secrets, certificates and SAML certificates of applications and service principals; those of managed\n" +
			"identities and of Microsoft's own applications are left out. With --expiring those that end within the span, or\n" +
			"ended in the last year.",
		Example: "  entractl app credentials --expiring 90d\n" +
			"  entractl app credentials --text payroll -o yaml",
		Args: cobra.NoArgs,
		RunE: c.onDirectory(&f, func(ctx context.Context, o *objects, out format, _ []string) error {
			req := &controlv1.ListApplicationsRequest{TenantIds: f.tenants, Text: text}
			if expiring != "" {
				span, err := parseSpan(expiring)
				if err != nil {
					return usageError{fmt.Errorf("--expiring %q must be a time span such as 90d or 36h", expiring)}
				}
				req.ExpiringWithin = durationpb.New(span)
			}
			all, more, err := pages(f.limit, func(size int32, token string) ([]*controlv1.DirectoryApplication, string, error) {
				req.PageSize, req.PageToken = size, token
				answer, err := call(ctx, c, o.ListApplications, req)
				return answer.GetApplications(), answer.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer c.noteMore(more)
			return write(c, out, all, credentialRows(all, time.Now()), "there is no such application")
		}),
	}
	f.add(cmd, "applications")
	cmd.Flags().StringVar(&text, "text", "", "part of an application's name, an application id or an object id")
	cmd.Flags().StringVar(&expiring, "expiring", "", "credentials that end within this span: 90d, 36h")
	return cmd
}

// credentialRows are the credentials of applications; one without any has a row, too.
func credentialRows(all []*controlv1.DirectoryApplication, now time.Time) [][]string {
	rows := [][]string{{"APPLICATION", "KIND", "CREDENTIAL", "ENDS", "IN", "OWNERS", "LAST USED", "APP ID"}}
	for _, a := range all {
		row := func(kind, name, ends, in string) {
			rows = append(rows, []string{
				cell(a.GetDisplayName()), kind, name, ends, in, cell(strings.Join(a.GetOwners(), ", ")), moment(a.GetLastSignInAt()), cell(a.GetAppId()),
			})
		}
		if len(a.GetCredentials()) == 0 {
			row("-", "-", "-", "-")
		}
		for _, k := range a.GetCredentials() {
			row(cell(strings.ReplaceAll(k.GetKind(), "_", " ")), cell(credentialName(k)), moment(k.GetEndsAt()), untilEnd(k.GetEndsAt(), now))
		}
	}
	return rows
}

// credentialName is what a person finds a credential by in the portal.
func credentialName(k *controlv1.ApplicationCredential) string {
	name := first(k.GetDisplayName(), k.GetKeyId())
	if k.GetHint() != "" {
		name += " (" + k.GetHint() + "…)"
	}
	return name
}

// untilEnd says how long a credential is valid still.
func untilEnd(ends *timestamppb.Timestamp, now time.Time) string {
	switch {
	case ends == nil:
		return "-"
	case ends.AsTime().Before(now):
		return "expired"
	default:
		return span(ends.AsTime().Sub(now))
	}
}
