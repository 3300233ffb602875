package entractl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entraflow/entraflow/services/entractl/internal/contexts"
)

// Where a gateway is and where its token lies unless told otherwise: as `entraflow up` has it.
const (
	defaultServer    = "127.0.0.1:7300"
	defaultTokenFile = "data/credentials/gateway.token"
	envServer        = "ENTRAFLOW_SERVER"
	envTokenFile     = "ENTRAFLOW_TOKEN_FILE"
	envContext       = "ENTRAFLOW_CONTEXT"
	envConfig        = "ENTRACTL_CONFIG"
)

// Flags that say which gateway, and how to sign in to it.
const (
	flagServer      = "server"
	flagTokenFile   = "token-file"
	flagTLS         = "tls"
	flagCAFile      = "ca-file"
	flagCertificate = "client-certificate-file"
	flagKey         = "client-key-file"
	flagContext     = "context"
)

// target is the gateway to ask: what the flags and the environment say of it, and once it was resolved what follows.
type target struct {
	given  contexts.Context // by flags; its Name is the context's
	color  string
	flags  *pflag.FlagSet
	getenv func(string) string
	store  *contexts.Store

	at *place // nil until resolved
}

// method is how one signs in.
type method int

const (
	byFile        method = iota // a token in a file
	byAPIToken                  // the token that `entractl login` stored
	byOIDC                      // what an issuer gave `entractl login`
	byCertificate               // the client's certificate alone
	byNothing                   // a context that was not signed in to, or a far gateway without a token file
)

// place is a gateway and how to sign in to it.
type place struct {
	contexts.Context // Name is empty without a context
	method           method
	login            contexts.Login // for byAPIToken and byOIDC
}

func newTarget(p Process) *target {
	getenv := p.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	path := getenv(envConfig)
	if path == "" && p.ConfigDir != "" {
		path = filepath.Join(p.ConfigDir, "entractl", "config.yaml")
	}
	return &target{getenv: getenv, store: contexts.NewStore(path)}
}

// addFlags gives every command the flags of the target.
func (t *target) addFlags(root *cobra.Command) {
	t.flags = root.PersistentFlags()
	t.flags.StringVar(&t.given.Name, flagContext, "", "context to use; see `entractl context`")
	t.flags.StringVar(&t.given.Server, flagServer, "", "host:port of the gateway (default "+defaultServer+")")
	t.flags.StringVar(&t.given.TokenFile, flagTokenFile, "", "file that holds the gateway's token (on this machine default "+defaultTokenFile+")")
	t.flags.BoolVar(&t.given.TLS, flagTLS, false, "use TLS, with the system's certificate authorities")
	t.flags.StringVar(&t.given.CAFile, flagCAFile, "", "use TLS, with the certificate authorities in this PEM file")
	t.flags.StringVar(&t.given.CertificateFile, flagCertificate, "", "show the gateway this certificate, PEM")
	t.flags.StringVar(&t.given.KeyFile, flagKey, "", "file with the certificate's private key, PEM")
	t.flags.StringVar(&t.color, "color", colorAuto, "colours: auto, always or never")
	complete(root, "color", colorAuto, colorAlways, colorNever)
	// It fails only for a flag that does not exist; a test completes it.
	_ = root.RegisterFlagCompletionFunc(flagContext, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return t.completeContext(cmd, nil, "")
	})
}

// rank is who says something; the higher wins.
type rank int

const (
	saidByNobody rank = iota
	saidByFile
	saidByEnvironment
	saidByFlag
)

func (t *target) said(flag, value, env string) (string, rank) {
	if t.flags.Changed(flag) {
		return value, saidByFlag
	}
	if value := t.getenv(env); env != "" && value != "" {
		return value, saidByEnvironment
	}
	return "", saidByNobody
}

// resolve finds out which gateway is meant: flags before the environment before the context before the defaults. A server
// that is said by more than the context is goes without the context, whose credentials are not for it.
func (t *target) resolve() (*place, error) {
	if t.at != nil {
		return t.at, nil
	}
	file, err := t.store.Load()
	if err != nil {
		return nil, err
	}
	at, err := t.choose(file)
	if err != nil {
		return nil, err
	}
	if err := t.signIn(at); err != nil {
		return nil, err
	}
	t.at = at
	return at, nil
}

// choose makes the place of flags, environment and contexts, without its login.
func (t *target) choose(file contexts.File) (*place, error) {
	var at place
	server, byServer := t.said(flagServer, t.given.Server, envServer)
	name, byContext := t.said(flagContext, t.given.Name, envContext)
	if byContext == saidByNobody && file.Current != "" {
		name, byContext = file.Current, saidByFile
	}
	if name != "" && byContext >= byServer {
		found, err := file.Find(name)
		if errors.Is(err, contexts.ErrNotFound) {
			return nil, usageError{fmt.Errorf("there is no context %q; see `entractl context list`", clean(name))}
		}
		if err != nil {
			return nil, err
		}
		at.Context = found
	}
	if at.Name != "" && byServer < byContext {
		server = ""
	}
	at.Server = first(server, at.Server, defaultServer)
	if tokenFile, by := t.said(flagTokenFile, t.given.TokenFile, envTokenFile); by > saidByNobody && (at.Name == "" || by >= byContext) {
		at.TokenFile = tokenFile
	}
	t.override(&at.Context)
	if (at.CertificateFile == "") != (at.KeyFile == "") {
		return nil, usageError{fmt.Errorf("--%s and --%s need each other", flagCertificate, flagKey)}
	}
	return &at, nil
}

// override sets what flags say of the connection.
func (t *target) override(c *contexts.Context) {
	if t.flags.Changed(flagTLS) {
		c.TLS = t.given.TLS
	}
	for flag, field := range map[string][2]*string{
		flagCAFile:      {&c.CAFile, &t.given.CAFile},
		flagCertificate: {&c.CertificateFile, &t.given.CertificateFile},
		flagKey:         {&c.KeyFile, &t.given.KeyFile},
	} {
		if t.flags.Changed(flag) {
			*field[0] = *field[1]
		}
	}
}

// signIn finds out how one signs in, and reads the login if there is one.
func (t *target) signIn(at *place) error {
	if at.TokenFile != "" {
		return nil
	}
	if at.Name == "" {
		at.signInWithoutContext()
		return nil
	}
	login, err := t.store.Login(at.Name)
	switch {
	case errors.Is(err, contexts.ErrNotFound) && at.CertificateFile != "" && at.OIDC == nil:
		at.method = byCertificate
		return nil
	case errors.Is(err, contexts.ErrNotFound):
		at.method = byNothing
		return nil
	case err != nil:
		return fmt.Errorf("%w\nSign in anew with `entractl login --context %s`", err, at.Name)
	case !strings.EqualFold(login.Server, at.Server):
		return fmt.Errorf("the login of context %s is for the gateway at %s, not for %s\nSign in with `entractl login --context %s`",
			at.Name, clean(login.Server), at.Server, at.Name)
	case login.APIToken == "" && (at.OIDC == nil || login.Issuer != at.OIDC.Issuer || login.ClientID != at.OIDC.ClientID):
		at.method = byNothing
		return nil
	}
	at.login, at.method = login, byOIDC
	if login.APIToken != "" {
		at.method = byAPIToken
	}
	return nil
}

// signInWithoutContext takes the file of `entraflow up` for a gateway on this machine alone: the token in it opens
// everything, and another's gateway must not be shown it because a command ran in that folder.
func (p *place) signInWithoutContext() {
	if isLoopback(p.Server) {
		p.TokenFile = defaultTokenFile
		if _, err := os.Stat(defaultTokenFile); err == nil || p.CertificateFile == "" {
			return
		}
	}
	p.method = byNothing
	if p.CertificateFile != "" {
		p.method = byCertificate
	}
}
