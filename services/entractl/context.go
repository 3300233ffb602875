package entractl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entraflow/entraflow/services/entractl/internal/contexts"
)

func newContext(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "context",
		Aliases: []string{"contexts"},
		Short:   "Keep gateways under names, and choose one",
		Long: "A context is a gateway under a name: where it is, and how one signs in to it. They are kept in\n" +
			"entractl/config.yaml in your configuration folder, or in the file that " + envConfig + " names.\n\n" +
			"The one in use is that of --context, else of " + envContext + ", else the one that `entractl context use` chose. Flags and\n" +
			"environment go before what it says; a --server or " + envServer + " that is said by more than the context goes without it.",
		Example: "  entractl context set prod --server gateway.example.com:443 --tls --issuer https://login.example.com --client-id entractl\n" +
			"  entractl login --context prod\n" +
			"  entractl context use prod",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newContextList(c), newContextShow(c), newContextSet(c), newContextUse(c), newContextDelete(c))
	return cmd
}

// shownContext is a context without its secrets, for -o.
type shownContext struct {
	Name            string `json:"name"`
	Current         bool   `json:"current"`
	Server          string `json:"server"`
	TLS             bool   `json:"tls"`
	CAFile          string `json:"ca_file,omitempty"`
	CertificateFile string `json:"client_certificate_file,omitempty"`
	KeyFile         string `json:"client_key_file,omitempty"`
	// SignsIn is "token file", "API token", "OIDC", "certificate" or "not yet".
	SignsIn   string     `json:"signs_in"`
	TokenFile string     `json:"token_file,omitempty"`
	OIDC      *shownOIDC `json:"oidc,omitempty"`
	// Expires is when the access token ends, which may be exchanged then.
	Expires string `json:"access_token_expires,omitempty"`
}

type shownOIDC struct {
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes,omitempty"`
	Audience string   `json:"audience,omitempty"`
	CAFile   string   `json:"ca_file,omitempty"`
}

// shown says of a context what may be shown.
func (t *target) shown(x contexts.Context, current string) shownContext {
	s := shownContext{
		Name: x.Name, Current: x.Name == current, Server: x.Server, TLS: x.TLS || x.CAFile != "", CAFile: x.CAFile,
		CertificateFile: x.CertificateFile, KeyFile: x.KeyFile, TokenFile: x.TokenFile,
	}
	if x.OIDC != nil {
		o := shownOIDC(*x.OIDC)
		s.OIDC = &o
	}
	at := place{Context: x}
	if err := t.signIn(&at); err != nil {
		at.method = byNothing
	}
	s.SignsIn = map[method]string{
		byFile: "token file", byAPIToken: "API token", byOIDC: "OIDC", byCertificate: "certificate", byNothing: "not yet",
	}[at.method]
	if at.method == byOIDC && !at.login.Expiry.IsZero() {
		s.Expires = at.login.Expiry.UTC().Format(time.RFC3339)
	}
	return s
}

func newContextList(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the contexts", Args: cobra.NoArgs,
		Example: "  entractl context list\n  entractl context list -o json",
		RunE: func(*cobra.Command, []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			file, err := c.target.store.Load()
			if err != nil {
				return err
			}
			all, rows := []shownContext{}, [][]string{{"CURRENT", "NAME", "SERVER", "TLS", "SIGNS IN BY"}}
			for _, x := range file.Contexts {
				s := c.target.shown(x, file.Current)
				mark := ""
				if s.Current {
					mark = "*"
				}
				all = append(all, s)
				rows = append(rows, []string{mark, s.Name, cell(s.Server), yesNo(s.TLS), s.SignsIn})
			}
			switch {
			case f != formatTable:
				return writeValue(c.Stdout, f, all)
			case len(all) == 0:
				c.note("there are no contexts yet; `entractl context set NAME --server HOST:PORT` makes one")
				return nil
			}
			return c.style().table(c.Stdout, rows)
		},
	}
	addFormat(cmd, &output)
	return cmd
}

func newContextShow(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "show [NAME]", Short: "Show a context, by default the one in use", Args: cobra.MaximumNArgs(1),
		Long:              "Shows a context, by default the one in use. Tokens are not shown.",
		Example:           "  entractl context show\n  entractl context show prod -o yaml",
		ValidArgsFunction: c.target.completeContext,
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			file, err := c.target.store.Load()
			if err != nil {
				return err
			}
			name := file.Current
			if said, by := c.target.said(flagContext, c.target.given.Name, envContext); by > saidByNobody {
				name = said
			}
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" {
				return errors.New("no context is in use; see `entractl context list`")
			}
			found, err := file.Find(name)
			if err != nil {
				return unknownContext(name, err)
			}
			s := c.target.shown(found, file.Current)
			if f != formatTable {
				return writeValue(c.Stdout, f, s)
			}
			_, err = fmt.Fprint(c.Stdout, s.lines())
			return err
		},
	}
	addFormat(cmd, &output)
	return cmd
}

func (s shownContext) lines() string {
	var l pairs
	l.add("Name", s.Name)
	l.add("Server", s.Server)
	l.add("TLS", yesNo(s.TLS))
	l.add("CA file", s.CAFile)
	l.add("Certificate", s.CertificateFile)
	l.add("Key", s.KeyFile)
	l.add("Signs in by", s.SignsIn)
	l.add("Token file", s.TokenFile)
	if o := s.OIDC; o != nil {
		l.add("Issuer", o.Issuer)
		l.add("Client id", o.ClientID)
		l.add("Scopes", strings.Join(o.Scopes, " "))
		l.add("Audience", o.Audience)
		l.add("Issuer's CA", o.CAFile)
	}
	l.add("Token ends", s.Expires)
	return l.text()
}

func newContextUse(c *caller) *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Use a context from now on", Args: oneOf("name of a context", "context list"),
		Example: "  entractl context use prod", ValidArgsFunction: c.target.completeContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.target.store.Update(cmd.Context(), func(f *contexts.File) error {
				_, err := f.Find(args[0])
				f.Current = args[0]
				return err
			})
			if err != nil {
				return unknownContext(args[0], err)
			}
			c.note("context %s is in use", args[0])
			return nil
		},
	}
}

func newContextDelete(c *caller) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Forget a context and its login", Args: oneOf("name of a context", "context list"),
		Long:    "Forgets a context and its login. An API token is not revoked by that: `entractl token revoke` does.",
		Example: "  entractl context delete prod", ValidArgsFunction: c.target.completeContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.target.store.Update(cmd.Context(), func(f *contexts.File) error {
				if err := f.Delete(args[0]); err != nil {
					return err
				}
				return c.target.store.DeleteLogin(args[0])
			})
			if err != nil {
				return unknownContext(args[0], err)
			}
			c.note("context %s is deleted", args[0])
			return nil
		},
	}
}

func unknownContext(name string, err error) error {
	if errors.Is(err, contexts.ErrNotFound) {
		return usageError{fmt.Errorf("there is no context %q; see `entractl context list`", clean(name))}
	}
	return err
}

// completeContext offers the names of contexts to the shell.
func (t *target) completeContext(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	file, err := t.store.Load()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []cobra.Completion
	for _, x := range file.Contexts {
		offers = append(offers, cobra.CompletionWithDesc(x.Name, cell(x.Server)))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// updateContext changes a context, or makes it if it does not exist, and returns it.
func (t *target) updateContext(ctx context.Context, name string, change func(*contexts.Context) error) (contexts.Context, error) {
	if err := contexts.CheckName(name); err != nil {
		return contexts.Context{}, usageError{err}
	}
	var made contexts.Context
	err := t.store.Update(ctx, func(f *contexts.File) error {
		x, err := f.Find(name)
		if errors.Is(err, contexts.ErrNotFound) {
			x = contexts.Context{Name: name}
		}
		if err := change(&x); err != nil {
			return err
		}
		x.Server = first(x.Server, defaultServer)
		made = x
		return f.Put(x)
	})
	return made, err
}
