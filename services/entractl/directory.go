package entractl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// completions is how many users or groups shell completion offers.
const completions = 20

// objects is DirectoryService on a connection.
type objects struct {
	controlv1.DirectoryServiceClient
	conn *grpc.ClientConn
}

func (o *objects) close() { _ = o.conn.Close() } // nothing is left to send

func (c *caller) openDirectory() (*objects, error) {
	conn, err := c.target.connect()
	if err != nil {
		return nil, err
	}
	return &objects{controlv1.NewDirectoryServiceClient(conn), conn}, nil
}

// listFlags are the flags of a command that lists objects of the directory.
type listFlags struct {
	output  string
	tenants []string
	limit   int
}

func (f *listFlags) add(cmd *cobra.Command, of string) {
	cmd.Flags().StringSliceVar(&f.tenants, "tenant", nil, "directory (tenant) id; several with commas")
	cmd.Flags().IntVar(&f.limit, "limit", defaultLimit, "most "+of+" to show; 0: all")
	addFormat(cmd, &f.output)
}

// onDirectory makes the body of a command that asks DirectoryService and writes what it returns.
func (c *caller) onDirectory(f *listFlags, ask func(ctx context.Context, o *objects, out format, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		out, err := parseFormat(f.output)
		if err != nil {
			return err
		}
		if f.limit < 0 {
			return usageError{fmt.Errorf("--limit %d must not be negative", f.limit)}
		}
		o, err := c.openDirectory()
		if err != nil {
			return err
		}
		defer o.close()
		return ask(cmd.Context(), o, out, args)
	}
}

// pages collects the objects of pages until there are limit; 0 is all. more says that there are others.
func pages[T any](limit int, page func(size int32, token string) ([]T, string, error)) (all []T, more bool, err error) {
	token := ""
	for range maxPages {
		size := maxPage
		if limit > 0 {
			size = min(limit-len(all), maxPage)
		}
		some, next, err := page(int32(size), token)
		if err != nil {
			return nil, false, err
		}
		all = append(all, some...)
		if token = next; token == "" || limit > 0 && len(all) >= limit {
			return all, token != "", nil
		}
	}
	return nil, false, errEndless
}

// write writes a list in one of the formats: rows has the heads of the table first.
func write[M proto.Message](c *caller, out format, all []M, rows [][]string, none string) error {
	switch {
	case out != formatTable:
		return writeMessages(c.Stdout, out, all)
	case len(all) == 0:
		c.note(none)
		return nil
	default:
		return c.style().table(c.Stdout, rows)
	}
}

// noteMore says that a list goes on.
func (c *caller) noteMore(more bool) {
	if more {
		c.note("there are more; --limit 0 shows all")
	}
}

// oneOf makes a command take one name of something.
func oneOf(what, hint string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || strings.TrimSpace(args[0]) == "" {
			return fmt.Errorf("exactly one %s is needed, not %d; see `entractl %s`", what, len(args), hint)
		}
		return nil
	}
}

// offers makes a completion out of a question to the gateway. What goes wrong offers nothing.
func (c *caller) offers(ask func(ctx context.Context, o *objects, text string) ([]cobra.Completion, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		o, err := c.openDirectory()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer o.close()
		found, err := ask(ctx, o, text)
		if err != nil && !errors.Is(err, context.Canceled) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
