package entractl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// tokenName turns an id, or the name itself, into the name.
func tokenName(id string) (string, error) {
	id = strings.TrimPrefix(id, "api-tokens/")
	if !tokenPattern.MatchString(id) {
		return "", usageError{fmt.Errorf("%q is no id of an API token; see `entractl token list`", id)}
	}
	return "api-tokens/" + id, nil
}

func newTokenShow(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show an API token", Args: oneOf("id of an API token", "token list"),
		Long:    "Shows an API token. Its secret is not kept anywhere.",
		Example: "  entractl token show 4k2…", ValidArgsFunction: c.completeToken,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			name, err := tokenName(args[0])
			if err != nil {
				return err
			}
			return c.onTokens(func(s controlv1.ApiTokenServiceClient) error {
				answer, err := call(cmd.Context(), c, s.GetApiToken, &controlv1.GetApiTokenRequest{Name: name})
				if err != nil {
					return err
				}
				return c.writeToken(f, answer.GetApiToken())
			})
		},
	}
	addFormat(cmd, &output)
	return cmd
}

func newTokenRevoke(c *caller) *cobra.Command {
	var (
		output string
		yes    bool
	)
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "End an API token for good", Args: oneOf("id of an API token", "token list"),
		Example: "  entractl token revoke 4k2…\n  entractl token revoke 4k2… --yes", ValidArgsFunction: c.completeToken,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			name, err := tokenName(args[0])
			if err != nil {
				return err
			}
			if err := c.confirm(cmd.Context(), "Revoke the token "+idOf(name)+"? Programs that use it are refused then.", yes); err != nil {
				return err
			}
			return c.onTokens(func(s controlv1.ApiTokenServiceClient) error {
				answer, err := call(cmd.Context(), c, s.RevokeApiToken, &controlv1.RevokeApiTokenRequest{Name: name})
				switch {
				case errors.Is(err, errInterrupted):
					return fmt.Errorf("interrupted: the token may have been revoked; see `entractl token show %s`", idOf(name))
				case err != nil:
					return err
				case f != formatTable:
					return writeMessage(c.Stdout, f, answer.GetApiToken())
				}
				c.note("token %s (%s) is revoked", idOf(name), clean(answer.GetApiToken().GetDisplayName()))
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "revoke without asking")
	addFormat(cmd, &output)
	return cmd
}

func (c *caller) writeToken(f format, k *controlv1.ApiToken) error {
	if f != formatTable {
		return writeMessage(c.Stdout, f, k)
	}
	at := func(title string, moments ...string) [2]string { return [2]string{title, strings.Join(moments, "")} }
	var l pairs
	for _, line := range [][2]string{
		at("Token", idOf(k.GetName())), at("Name", k.GetDisplayName()), at("Owner", first(k.GetOwnerDisplayName(), k.GetOwner())),
		at("Role", roleWord(k.GetRole()), " for ", tenants(k.GetTenantIds(), k.GetAllTenants())), at("Only for", strings.Join(k.GetScopes(), ", ")),
		at("State", tokenState(k, time.Now())), at("Made", moment(k.GetCreateTime())), at("Ends", moment(k.GetExpireTime())),
		at("Last used", moment(k.GetLastUseTime())),
	} {
		l.add(line[0], line[1])
	}
	if k.GetRevokeTime() != nil {
		l.add("Revoked", moment(k.GetRevokeTime()))
	}
	_, err := fmt.Fprint(c.Stdout, l.text())
	return err
}

// completeToken offers the ids of API tokens to the shell. What goes wrong offers nothing.
func (c *caller) completeToken(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	var offers []cobra.Completion
	_ = c.onTokens(func(s controlv1.ApiTokenServiceClient) error {
		all, _, err := c.listTokens(ctx, s, maxPage)
		for _, k := range all {
			if tokenState(k, time.Now()) == "ok" {
				offers = append(offers, cobra.CompletionWithDesc(idOf(k.GetName()), cell(k.GetDisplayName())))
			}
		}
		return err
	})
	return offers, cobra.ShellCompDirectiveNoFileComp
}
