package entractl

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entraflow/entraflow/services/entractl/internal/contexts"
	"github.com/entraflow/entraflow/services/entractl/internal/issuer"
)

func newContextSet(c *caller) *cobra.Command {
	var (
		oidc oidcFlags
		use  bool
	)
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Make a context, or change it", Args: oneOf("name for a context", "context list"),
		Long: "Makes a context, or changes it: what no flag says stays as it is. The first one is in use at once.\n\n" +
			"How one signs in: with --token-file, which somebody else keeps; by --issuer and `entractl login`; with an API token that\n" +
			"`entractl login --with-token` stores; or with --client-certificate-file alone. An empty value takes back what was set.",
		Example: "  entractl context set local --server 127.0.0.1:7300 --token-file data/credentials/gateway.token\n" +
			"  entractl context set prod --server gateway.example.com:443 --tls --issuer https://login.example.com --client-id entractl\n" +
			"  entractl context set prod --ca-file ca.pem --use",
		ValidArgsFunction: c.target.completeContext,
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := c.target.updateContext(cmd.Context(), args[0], func(x *contexts.Context) error {
				if err := c.target.apply(x); err != nil {
					return err
				}
				return oidc.apply(cmd, x)
			})
			if err != nil {
				return err
			}
			if use {
				if err := c.target.store.Update(cmd.Context(), func(f *contexts.File) error {
					f.Current = made.Name
					return nil
				}); err != nil {
					return err
				}
			}
			c.note("context %s is saved", made.Name)
			if s := c.target.shown(made, ""); s.SignsIn == "not yet" {
				c.note("sign in with `entractl login --context %s`", made.Name)
			}
			return nil
		},
	}
	oidc.add(cmd)
	cmd.Flags().BoolVar(&use, "use", false, "use it from now on")
	return cmd
}

// apply changes a context as the flags of the target say, and checks the result. Files are kept by their whole path.
func (t *target) apply(x *contexts.Context) error {
	if t.flags.Changed(flagServer) {
		x.Server = t.given.Server
	}
	if t.flags.Changed(flagTokenFile) {
		x.TokenFile = t.given.TokenFile
	}
	t.override(x)
	for _, path := range []*string{&x.CAFile, &x.CertificateFile, &x.KeyFile, &x.TokenFile} {
		whole, err := absolute(*path)
		if err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
		*path = whole
	}
	if (x.CertificateFile == "") != (x.KeyFile == "") {
		return usageError{fmt.Errorf("--%s and --%s need each other", flagCertificate, flagKey)}
	}
	x.Server = first(x.Server, defaultServer)
	// It finds out what cannot work: a far server without TLS, a file that holds no certificate.
	if _, err := (&place{Context: *x}).transport(); err != nil {
		return err
	}
	return nil
}

// oidcFlags say where one signs in.
type oidcFlags struct {
	url, clientID, audience, caFile string
	scopes                          []string
}

func (f *oidcFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "issuer", "", "URL of the OpenID Connect issuer to sign in at")
	flags.StringVar(&f.clientID, "client-id", "", "client to sign in with: a public one that may use the device flow")
	flags.StringSliceVar(&f.scopes, "scope", nil, "scopes to ask for beside openid and offline_access, with commas")
	flags.StringVar(&f.audience, "audience", "", "audience to ask for, of issuers that take one")
	flags.StringVar(&f.caFile, "issuer-ca-file", "", "PEM file with the issuer's certificate authorities")
}

// apply changes a context as the flags say, and checks the result.
func (f *oidcFlags) apply(cmd *cobra.Command, x *contexts.Context) error {
	var o contexts.OIDC
	if x.OIDC != nil {
		o = *x.OIDC
	}
	changed := false
	for flag, set := range map[string]func() error{
		"issuer":         func() error { o.Issuer = strings.TrimSpace(f.url); return nil },
		"client-id":      func() error { o.ClientID = f.clientID; return nil },
		"scope":          func() error { o.Scopes = f.scopes; return nil },
		"audience":       func() error { o.Audience = f.audience; return nil },
		"issuer-ca-file": func() (err error) { o.CAFile, err = absolute(f.caFile); return err },
	} {
		if cmd.Flags().Changed(flag) {
			changed = true
			if err := set(); err != nil {
				return err
			}
		}
	}
	switch {
	case !changed:
		return nil
	case o.Issuer == "":
		x.OIDC = nil
		return nil
	case o.ClientID == "":
		return usageError{errors.New("--issuer needs --client-id")}
	}
	if err := issuer.CheckURL(o.Issuer); err != nil {
		return usageError{fmt.Errorf("--issuer %w", err)}
	}
	x.OIDC = &o
	return nil
}

func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}
