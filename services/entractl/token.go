package entractl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// controlPackage is the proto package of the API.
const controlPackage = "entraflow.control.v1"

var tokenPattern = regexp.MustCompile(`^[a-z0-9]{1,32}$`)

func newToken(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Aliases: []string{"tokens"}, Short: "Make, list and revoke API tokens",
		Long: "API tokens are what programs sign in with. One acts as whoever made it and may never more than they might; it ends by\n" +
			"itself, and can be revoked before. Its secret is shown once.",
		Example: "  entractl token create nightly-report --role read_only --expires 30d\n" +
			"  entractl token list\n  entractl token revoke 4k2…",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreate(c), newTokenList(c), newTokenShow(c), newTokenRevoke(c))
	return cmd
}

// onTokens calls ask with ApiTokenService.
func (c *caller) onTokens(ask func(controlv1.ApiTokenServiceClient) error) error {
	conn, err := c.target.connect()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to send
	return ask(controlv1.NewApiTokenServiceClient(conn))
}

// tokenFlags are the flags of `entractl token create`.
type tokenFlags struct {
	role, expires, secretFile, output string
	tenants, scopes                   []string
}

func newTokenCreate(c *caller) *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an API token", Args: oneOf("name for the token", "token list"),
		Long: "Makes an API token and writes its secret to the standard output, this once, and what else there is to say to the\n" +
			"standard error. With --secret-file the secret goes to a new file that only you can read.",
		Example: "  entractl token create nightly-report --expires 30d\n" +
			"  entractl token create siem --scope EventService.Subscribe --tenant 75243ab2-44f8-435c-a7a6-b479385df6d4 --secret-file siem.token\n" +
			"  entractl token create deploy --role admin --scope IntegrationService -o json | jq -r .secret",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.create(cmd.Context(), c, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.role, "role", "read_only", "what it may: "+strings.Join(names(roles()), ", "))
	flags.StringSliceVar(&f.tenants, "tenant", nil, "directory (tenant) ids that it opens, with commas; all of yours by default")
	flags.StringSliceVar(&f.scopes, "scope", nil, "services and methods that it is for, with commas, such as SignInService or IntegrationService.CollectNow; all by default")
	flags.StringVar(&f.expires, "expires", "", "when it ends: 30d, 12h, a date or a time; in 90 days by default")
	flags.StringVar(&f.secretFile, "secret-file", "", "new file for the secret, which is not shown then")
	addFormat(cmd, &f.output)
	complete(cmd, "role", names(roles())...)
	complete(cmd, "scope", scopeNames()...)
	return cmd
}

// request checks the flags.
func (f *tokenFlags) request(name string, now time.Time) (*controlv1.CreateApiTokenRequest, error) {
	role, err := lookUp("role", strings.ReplaceAll(f.role, "-", "_"), roles())
	if err != nil {
		return nil, err
	}
	made := &controlv1.ApiToken{DisplayName: name, Role: role, TenantIds: f.tenants, Scopes: f.scopes}
	if f.expires != "" {
		if span, err := parseSpan(f.expires); err == nil {
			made.ExpireTime = timestamppb.New(now.Add(span))
		} else if made.ExpireTime, err = parseTime("expires", f.expires, now); err != nil {
			return nil, usageError{fmt.Errorf("--expires %q must be a time span (30d, 12h), a date (2027-01-31) or a time (2027-01-31T12:00:00Z)", f.expires)}
		}
		if !made.GetExpireTime().AsTime().After(now) {
			return nil, usageError{fmt.Errorf("--expires %q is over already", f.expires)}
		}
	}
	return &controlv1.CreateApiTokenRequest{ApiToken: made}, nil
}

func (f *tokenFlags) create(ctx context.Context, c *caller, name string) error {
	out, err := parseFormat(f.output)
	if err != nil {
		return err
	}
	req, err := f.request(name, time.Now())
	if err != nil {
		return err
	}
	return c.onTokens(func(s controlv1.ApiTokenServiceClient) error {
		// The file comes first: what cannot be written must not be made.
		keep, drop, err := f.openSecretFile()
		if err != nil {
			return err
		}
		answer, err := call(ctx, c, s.CreateApiToken, req)
		if err != nil {
			drop()
			if errors.Is(err, errInterrupted) {
				return errors.New("interrupted: the token may have been made; see `entractl token list`, and revoke it")
			}
			return err
		}
		if err := keep(answer.GetSecret()); err != nil {
			return fmt.Errorf("the token %s was made, but %w\nRevoke it with `entractl token revoke %s`",
				idOf(answer.GetApiToken().GetName()), err, idOf(answer.GetApiToken().GetName()))
		}
		if f.secretFile != "" {
			answer.Secret = ""
		}
		return f.writeCreated(c, out, answer)
	})
}

func (f *tokenFlags) writeCreated(c *caller, out format, answer *controlv1.CreateApiTokenResponse) error {
	if out != formatTable {
		return writeMessage(c.Stdout, out, answer)
	}
	made := answer.GetApiToken()
	c.note("token %s (%s): %s for %s, until %s", idOf(made.GetName()), clean(made.GetDisplayName()), roleWord(made.GetRole()),
		clean(tenants(made.GetTenantIds(), made.GetAllTenants() || len(made.GetTenantIds()) == 0)), moment(made.GetExpireTime()))
	if f.secretFile != "" {
		c.note("its secret is in %s", f.secretFile)
		return nil
	}
	c.note("its secret is shown this once:")
	_, err := fmt.Fprintln(c.Stdout, clean(answer.GetSecret()))
	return err
}

// openSecretFile makes the file for the secret, if one is asked for: keep writes it, drop takes the file away.
func (f *tokenFlags) openSecretFile() (keep func(string) error, drop func(), err error) {
	if f.secretFile == "" {
		return func(string) error { return nil }, func() {}, nil
	}
	const ownerOnly = 0o600
	file, err := os.OpenFile(f.secretFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, ownerOnly)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, usageError{fmt.Errorf("--secret-file %s exists already", f.secretFile)}
	}
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--secret-file: %w", err)}
	}
	keep = func(secret string) error {
		_, err := file.WriteString(secret + "\n")
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("its secret could not be written: %w", err)
		}
		return nil
	}
	drop = func() {
		_ = file.Close()            // it is empty
		_ = os.Remove(f.secretFile) // nobody needs it
	}
	return keep, drop, nil
}

// scopeNames are the scopes that shell completion offers; the gateway decides which there are.
func scopeNames() []string {
	var all []string
	protoregistry.GlobalFiles.RangeFilesByPackage(controlPackage, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			all = append(all, string(service.Name()))
			for n := range service.Methods().Len() {
				all = append(all, string(service.Name())+"."+string(service.Methods().Get(n).Name()))
			}
		}
		return true
	})
	slices.Sort(all)
	return all
}

func newTokenList(c *caller) *cobra.Command {
	var (
		output string
		limit  int
	)
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List API tokens", Args: cobra.NoArgs,
		Long:    "Lists API tokens, those that ended too: all of the tenants that an admin has, one's own else.",
		Example: "  entractl token list\n  entractl token list -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			if limit < 0 {
				return usageError{fmt.Errorf("--limit %d must not be negative", limit)}
			}
			return c.onTokens(func(s controlv1.ApiTokenServiceClient) error {
				all, more, err := c.listTokens(cmd.Context(), s, limit)
				if err != nil {
					return err
				}
				defer c.noteMore(more)
				return write(c, f, all, tokenRows(all, time.Now()), "there are no API tokens")
			})
		},
	}
	addFormat(cmd, &output)
	cmd.Flags().IntVar(&limit, "limit", defaultLimit, "most tokens to show; 0: all")
	return cmd
}

func (c *caller) listTokens(ctx context.Context, s controlv1.ApiTokenServiceClient, limit int) ([]*controlv1.ApiToken, bool, error) {
	return pages(limit, func(size int32, page string) ([]*controlv1.ApiToken, string, error) {
		answer, err := call(ctx, c, s.ListApiTokens, &controlv1.ListApiTokensRequest{PageSize: size, PageToken: page})
		return answer.GetApiTokens(), answer.GetNextPageToken(), err
	})
}

func tokenRows(all []*controlv1.ApiToken, now time.Time) [][]string {
	rows := [][]string{{"ID", "NAME", "OWNER", "ROLE", "TENANTS", "SCOPES", "STATE", "ENDS", "LAST USED"}}
	for _, k := range all {
		rows = append(rows, []string{
			idOf(k.GetName()), cell(k.GetDisplayName()), cell(first(k.GetOwnerDisplayName(), k.GetOwner())), roleWord(k.GetRole()),
			cell(tenants(k.GetTenantIds(), k.GetAllTenants())), cell(first(strings.Join(k.GetScopes(), ", "), "all")),
			tokenState(k, now), moment(k.GetExpireTime()), moment(k.GetLastUseTime()),
		})
	}
	return rows
}

func tokenState(k *controlv1.ApiToken, now time.Time) string {
	switch {
	case k.GetRevokeTime() != nil:
		return "revoked"
	case k.GetExpireTime() != nil && !k.GetExpireTime().AsTime().After(now):
		return "expired"
	default:
		return "ok"
	}
}
