package entractl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entraflow/entraflow/services/entractl/internal/contexts"
	"github.com/entraflow/entraflow/services/entractl/internal/issuer"
)

// firstContext is the name of a context that `entractl login` makes when there is none.
const firstContext = "default"

// loginFlags are the flags of `entractl login`.
type loginFlags struct {
	oidc      oidcFlags
	withToken bool
}

func newLogin(c *caller) *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use: "login", Short: "Sign in to a gateway", Args: cobra.NoArgs,
		Long: "Signs in at the context's issuer: it shows a page and a code, which you confirm in any browser, on any machine. What\n" +
			"the issuer gives is kept in a file that only you can read, and exchanged by itself when it ends.\n\n" +
			"With --with-token it stores an API token, read from the standard input, and with --token-file one from a file.\n\n" +
			"Signs in to the context in use, or else to a new one called " + firstContext + "; the flags change what the context says.",
		Example: "  entractl login --server gateway.example.com:443 --tls --issuer https://login.example.com --client-id entractl\n" +
			"  entractl login --context prod\n" +
			"  entractl login --context ci --server gateway.example.com:443 --tls --with-token < token",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, c) },
	}
	f.oidc.add(cmd)
	cmd.Flags().BoolVar(&f.withToken, "with-token", false, "store an API token from the standard input")
	return cmd
}

func (f *loginFlags) run(cmd *cobra.Command, c *caller) error {
	name, err := c.target.loginContext()
	if err != nil {
		return err
	}
	token, err := f.apiToken(cmd.Context(), c)
	if err != nil {
		return err
	}
	x, err := c.target.updateContext(cmd.Context(), name, func(x *contexts.Context) error { return f.apply(cmd, c.target, x, token != "") })
	if err != nil {
		return err
	}
	login := contexts.Login{Server: x.Server, APIToken: token}
	if token == "" {
		if login, err = c.deviceLogin(cmd.Context(), x); err != nil {
			return err
		}
	}
	if err := c.target.keepLogin(cmd.Context(), x.Name, login); err != nil {
		return err
	}
	c.note("signed in to %s as context %s; `entractl whoami` says as whom", x.Server, x.Name)
	return nil
}

// apiToken reads the API token to store; "" if one signs in at the issuer.
func (f *loginFlags) apiToken(ctx context.Context, c *caller) (string, error) {
	byFile := c.target.flags.Changed(flagTokenFile)
	switch {
	case f.withToken && byFile:
		return "", usageError{errors.New("--with-token and --token-file exclude each other")}
	case f.withToken:
		return c.tokenFromInput(ctx)
	case byFile:
		token, err := readToken(c.target.given.TokenFile)
		return string(token), err
	default:
		return "", nil
	}
}

// apply changes a context as the flags say, and checks that one can sign in to it.
func (f *loginFlags) apply(cmd *cobra.Command, t *target, x *contexts.Context, hasToken bool) error {
	file := x.TokenFile
	x.Server = first(x.Server, t.getenv(envServer)) // a context that exists moves by the flag alone
	if err := t.apply(x); err != nil {
		return err
	}
	x.TokenFile = file // that of the flag is copied, not referred to
	if err := f.oidc.apply(cmd, x); err != nil {
		return err
	}
	switch {
	case !hasToken && x.OIDC == nil:
		return usageError{fmt.Errorf("context %s has no issuer: say --issuer and --client-id, or --with-token for an API token", x.Name)}
	case x.TokenFile != "":
		return usageError{fmt.Errorf("context %s uses the token file %s; `entractl context set %s --token-file \"\"` ends that", x.Name, x.TokenFile, x.Name)}
	}
	return nil
}

// loginContext is the name of the context to sign in to.
func (t *target) loginContext() (string, error) {
	if name, by := t.said(flagContext, t.given.Name, envContext); by > saidByNobody {
		return name, nil
	}
	file, err := t.store.Load()
	return first(file.Current, firstContext), err
}

func (t *target) keepLogin(ctx context.Context, name string, login contexts.Login) error {
	unlock, err := t.store.LockLogin(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	return t.store.SaveLogin(name, login)
}

// deviceLogin shows a code and waits until it was confirmed.
func (c *caller) deviceLogin(ctx context.Context, x contexts.Context) (contexts.Login, error) {
	at, err := issuer.Discover(ctx, issuerConfig(*x.OIDC))
	if err != nil {
		return contexts.Login{}, loginFailure(ctx, err)
	}
	token, err := at.Login(ctx, func(code issuer.Code) {
		fmt.Fprintf(c.Stderr, "\nOpen  %s\nCode  %s\n\n", clean(code.URL), clean(code.User))
		if code.Complete != "" {
			fmt.Fprintf(c.Stderr, "Or open, with the code in it:  %s\n\n", clean(code.Complete))
		}
		until := ""
		if !code.Expiry.IsZero() {
			until = ", for at most " + span(time.Until(code.Expiry))
		}
		c.note("waiting until the code is confirmed%s", until)
	})
	if err != nil {
		return contexts.Login{}, loginFailure(ctx, err)
	}
	if token.RefreshToken == "" {
		c.note("the issuer gave no refresh token: sign in again when this ends, %s", token.Expiry.UTC().Format(time.RFC3339))
	}
	return loginOf(x.Server, *x.OIDC, token), nil
}

func loginFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted: nobody was signed in")
	}
	return errors.New(cleanLines(err.Error()))
}

// cleanLines is clean for a text whose lines are ours.
func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}

// tokenFromInput reads an API token from the standard input, without showing it.
func (c *caller) tokenFromInput(ctx context.Context) (string, error) {
	var text string
	var err error
	if c.Terminal.In {
		text, err = c.askSecret(ctx, "API token (it is not shown): ")
	} else {
		var all []byte
		all, err = io.ReadAll(io.LimitReader(bufio.NewReader(c.stdin()), maxTokenFile))
		text = string(all)
	}
	if err != nil {
		return "", err
	}
	token, ok := tokenOf(text)
	if !ok {
		return "", usageError{errors.New("the standard input holds no token")}
	}
	return token, nil
}

func newLogout(c *caller) *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget the login of a context", Args: cobra.NoArgs,
		Long: "Forgets the login of the context in use. The context stays. An API token is not revoked by that:\n" +
			"`entractl token revoke` does.",
		Example: "  entractl logout\n  entractl logout --context prod",
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, by := c.target.said(flagContext, c.target.given.Name, envContext)
			file, err := c.target.store.Load()
			if err != nil {
				return err
			}
			if by == saidByNobody {
				name = file.Current
			}
			if name == "" {
				return errors.New("no context is in use; see `entractl context list`")
			}
			if _, err := file.Find(name); err != nil {
				return unknownContext(name, err)
			}
			if _, err := c.target.store.Login(name); errors.Is(err, contexts.ErrNotFound) {
				c.note("nobody was signed in to context %s", name)
				return nil
			}
			unlock, err := c.target.store.LockLogin(cmd.Context(), name)
			if err != nil {
				return err
			}
			defer unlock()
			if err := c.target.store.DeleteLogin(name); err != nil {
				return err
			}
			c.note("signed out of context %s", name)
			return nil
		},
	}
}
