package entractl

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func newWhoami(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "whoami", Short: "Say who one is to the gateway, and what one may", Args: cobra.NoArgs,
		Example: "  entractl whoami\n  entractl whoami --context prod -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			return c.onSystem(func(s controlv1.SystemServiceClient) error {
				answer, err := call(cmd.Context(), c, s.GetCaller, &controlv1.GetCallerRequest{})
				switch {
				case err != nil:
					return err
				case f != formatTable:
					return writeMessage(c.Stdout, f, answer)
				}
				_, err = fmt.Fprint(c.Stdout, callerLines(c.target.at, answer))
				return err
			})
		},
	}
	addFormat(cmd, &output)
	return cmd
}

// onSystem calls ask with SystemService.
func (c *caller) onSystem(ask func(controlv1.SystemServiceClient) error) error {
	conn, err := c.target.connect()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to send
	return ask(controlv1.NewSystemServiceClient(conn))
}

func callerLines(at *place, answer *controlv1.GetCallerResponse) string {
	var l pairs
	l.add("Subject", answer.GetSubject())
	l.add("Name", answer.GetDisplayName())
	l.add("Proved by", word(answer.GetCredential(), "CREDENTIAL_KIND_"))
	l.add("API token", idOf(answer.GetApiToken()))
	for _, g := range answer.GetGrants() {
		l.add("Role", roleWord(g.GetRole())+" for "+tenants(g.GetTenantIds(), g.GetAllTenants()))
	}
	if len(answer.GetGrants()) == 0 {
		l.add("Role", "none")
	}
	l.add("Only for", strings.Join(answer.GetScopes(), ", "))
	if end := answer.GetExpireTime(); end != nil {
		l.add("Ends", moment(end))
	}
	l.add("Gateway", at.Server)
	l.add("Context", at.Name)
	return l.text()
}

// roles are the roles by the names that flags take.
func roles() map[string]controlv1.Role {
	return map[string]controlv1.Role{
		"read_only": controlv1.Role_ROLE_READ_ONLY, "help_desk": controlv1.Role_ROLE_HELP_DESK, "admin": controlv1.Role_ROLE_ADMIN,
	}
}

func roleWord(r controlv1.Role) string { return strings.ReplaceAll(word(r, "ROLE_"), " ", "_") }

// tenants says for which tenants something is.
func tenants(ids []string, all bool) string {
	switch {
	case all:
		return "all tenants"
	case len(ids) == 0:
		return "no tenant"
	default:
		return strings.Join(ids, ", ")
	}
}
