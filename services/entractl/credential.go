package entractl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Bounds of credentials, as the gateway has them.
const (
	maxSecret      = 4 << 10
	maxCertificate = 64 << 10
	maxPassword    = 1 << 10
)

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// credentialFlags name where a credential is. There is none that holds one: a flag's value shows in the shell's
// history and in the list of processes.
type credentialFlags struct {
	secret, certificate, password, federated, connectionString string
}

func (f *credentialFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.secret, "secret-file", "", "file with the client secret's Value; \"-\" is the standard input")
	flags.StringVar(&f.certificate, "certificate-file", "", "file with certificate and private key, PEM or PFX")
	flags.StringVar(&f.password, "certificate-password-file", "", "file with the PFX's password")
	flags.StringVar(&f.federated, "federated-token-file", "", "file with another issuer's token, on the machine of the collector")
	flags.StringVar(&f.connectionString, "connection-string-file", "", "file with an Event Hub's connection string; \"-\" is the standard input")
}

// check finds flags that exclude each other. asked says that somebody can be asked for what is missing.
func (f *credentialFlags) check(asked bool) error {
	given, inputs := 0, 0
	for _, file := range []string{f.secret, f.certificate, f.federated, f.connectionString} {
		if file != "" {
			given++
		}
	}
	for _, file := range []string{f.secret, f.certificate, f.password, f.connectionString} {
		if file == "-" {
			inputs++
		}
	}
	switch {
	case given > 1:
		return usageError{errors.New("--secret-file, --certificate-file, --federated-token-file and --connection-string-file exclude each other")}
	case f.password != "" && f.certificate == "":
		return usageError{errors.New("--certificate-password-file needs --certificate-file")}
	case inputs > 1:
		return usageError{errors.New("only one file can be \"-\"")}
	case given == 0 && !asked:
		return usageError{errors.New("the credential is missing: give --secret-file, --certificate-file, --federated-token-file or --connection-string-file")}
	}
	return nil
}

// read returns the credential, and asks for it if no flag says where it is. hub says that a connection string is
// wanted then. Errors never hold what was read.
func (f *credentialFlags) read(ctx context.Context, c *caller, hub bool) (*controlv1.Credential, error) {
	switch {
	case f.federated != "":
		return &controlv1.Credential{Kind: &controlv1.Credential_Federated{
			Federated: &controlv1.FederatedToken{TokenFile: f.federated},
		}}, nil
	case f.certificate != "":
		return f.readCertificate(c)
	case f.connectionString != "" || hub && f.secret == "":
		text, err := readOrAsk(ctx, c, "connection-string-file", f.connectionString, "Connection string (it is not shown): ")
		if err != nil {
			return nil, err
		}
		return &controlv1.Credential{Kind: &controlv1.Credential_ConnectionString{ConnectionString: text}}, nil
	default:
		text, err := readOrAsk(ctx, c, "secret-file", f.secret, "Client secret, its Value (it is not shown): ")
		if err != nil {
			return nil, err
		}
		if uuidPattern.MatchString(text) {
			c.note("this looks like a Secret ID; what is needed is the secret's Value, which Entra shows once")
		}
		return &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: text}}, nil
	}
}

func (f *credentialFlags) readCertificate(c *caller) (*controlv1.Credential, error) {
	data, err := readFile(c, "certificate-file", f.certificate, maxCertificate)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, usageError{fmt.Errorf("--certificate-file: %s is empty", f.certificate)}
	}
	certificate := &controlv1.ClientCertificate{Data: data}
	if f.password != "" {
		password, err := readFile(c, "certificate-password-file", f.password, maxPassword)
		if err != nil {
			return nil, err
		}
		certificate.Password = strings.TrimRight(string(password), "\r\n")
	}
	return &controlv1.Credential{Kind: &controlv1.Credential_Certificate{Certificate: certificate}}, nil
}

func readOrAsk(ctx context.Context, c *caller, flag, file, question string) (string, error) {
	if file == "" {
		text, err := c.askSecret(ctx, question)
		switch {
		case errors.Is(err, errInterrupted):
			return "", errDeclined
		case err == nil && text == "":
			return "", errNoAnswer
		}
		return text, err
	}
	data, err := readFile(c, flag, file, maxSecret)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return "", usageError{fmt.Errorf("--%s: %s is empty", flag, file)}
	}
	if strings.ContainsAny(text, "\r\n") {
		return "", usageError{fmt.Errorf("--%s: %s holds more than one line", flag, file)}
	}
	return text, nil
}

// readFile reads a file of limit bytes at most; "-" is Stdin.
func readFile(c *caller, flag, file string, limit int64) ([]byte, error) {
	from := c.stdin()
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, usageError{fmt.Errorf("--%s: %w", flag, err)}
		}
		defer opened.Close() //nolint:errcheck // it was only read
		from = opened
	}
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, usageError{fmt.Errorf("--%s: %w", flag, err)}
	}
	if int64(len(data)) > limit {
		return nil, usageError{fmt.Errorf("--%s: %s is larger than %d bytes", flag, file, limit)}
	}
	return data, nil
}
