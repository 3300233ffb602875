package entractl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func newUser(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "user",
		Aliases: []string{"users"},
		Short:   "Look at users of the directory",
		Long:    "Lists the users of the tenants that are connected, and shows all that is known of one.",
		Example: "  entractl user list --class admin\n" +
			"  entractl user show ada.lund@example.com",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserList(c), newUserShow(c))
	return cmd
}

// classes are the classes of users by their names.
func classes() map[string]controlv1.UserClass {
	all := map[string]controlv1.UserClass{}
	for number, name := range controlv1.UserClass_name {
		if number != 0 {
			all[strings.ToLower(strings.TrimPrefix(name, "USER_CLASS_"))] = controlv1.UserClass(number)
		}
	}
	return all
}

func userTypes() map[string]string { return map[string]string{"member": "Member", "guest": "Guest"} }

func newUserList(c *caller) *cobra.Command {
	var (
		f                 listFlags
		text, kind        string
		of                []string
		enabled, disabled bool
	)
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List users",
		Long: "Lists users by tenant and user principal name, each with its classes: what it is, so that members, guests,\n" +
			"administrators and accounts of programs can be told apart. `entractl user show` says why.",
		Example: "  entractl user list --text lund\n" +
			"  entractl user list --class admin --class guest\n" +
			"  entractl user list --class non_human --enabled --limit 0 -o json",
		Args: cobra.NoArgs,
		RunE: c.onDirectory(&f, func(ctx context.Context, o *objects, out format, _ []string) error {
			req := &controlv1.SearchUsersRequest{TenantIds: f.tenants, Text: text}
			if enabled && disabled {
				return usageError{fmt.Errorf("--enabled and --disabled exclude each other")}
			}
			if enabled || disabled {
				req.AccountEnabled = new(enabled)
			}
			for _, name := range of {
				class, err := lookUp("class", name, classes())
				if err != nil {
					return err
				}
				req.Classes = append(req.Classes, class)
			}
			if kind != "" {
				var err error
				if req.UserType, err = lookUp("type", kind, userTypes()); err != nil {
					return err
				}
			}
			all, more, err := pages(f.limit, func(size int32, token string) ([]*controlv1.DirectoryUser, string, error) {
				req.PageSize, req.PageToken = size, token
				answer, err := call(ctx, c, o.SearchUsers, req)
				return answer.GetUsers(), answer.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer c.noteMore(more)
			return write(c, out, all, userRows(all), "there is no such user")
		}),
	}
	f.add(cmd, "users")
	flags := cmd.Flags()
	flags.StringVar(&text, "text", "", "part of a name, user principal name or mail address, or an object id")
	flags.StringSliceVar(&of, "class", nil, "users that are all of: "+strings.Join(names(classes()), ", "))
	flags.StringVar(&kind, "type", "", "user type: guest or member")
	flags.BoolVar(&enabled, "enabled", false, "users that may sign in")
	flags.BoolVar(&disabled, "disabled", false, "users that may not sign in")
	complete(cmd, "class", names(classes())...)
	complete(cmd, "type", names(userTypes())...)
	return cmd
}

func userRows(all []*controlv1.DirectoryUser) [][]string {
	rows := [][]string{{"USER", "NAME", "CLASSES", "LAST SIGN-IN", "CREATED", "ID"}}
	for _, u := range all {
		var is []string
		for _, class := range u.GetClasses() {
			is = append(is, classWord(class.GetClass()))
		}
		rows = append(rows, []string{
			cell(u.GetUserPrincipalName()), cell(u.GetDisplayName()), first(strings.Join(is, ", "), "-"),
			moment(u.GetLastSignInAt()), moment(u.GetCreatedAt()), cell(u.GetId()),
		})
	}
	return rows
}

func classWord(class controlv1.UserClass) string {
	return strings.ReplaceAll(word(class, "USER_CLASS_"), " ", "_")
}

func newUserShow(c *caller) *cobra.Command {
	var (
		f      listFlags
		tenant string
	)
	cmd := &cobra.Command{
		Use:   "show USER",
		Short: "Show a user and all that belongs to it",
		Long: "Shows what a user is and why, its groups, roles, devices, authentication methods and applications, and from\n" +
			"where, with what and to what it signed in lately. USER is an object id or a user principal name.",
		Example: "  entractl user show ada.lund@example.com\n  entractl user show ada.lund@example.com -o yaml",
		Args:    oneOf("object id or user principal name", "user list"),
		RunE: c.onDirectory(&f, func(ctx context.Context, o *objects, out format, args []string) error {
			answer, err := call(ctx, c, o.GetUser, &controlv1.GetUserRequest{User: args[0], TenantId: tenant})
			switch {
			case err != nil:
				return err
			case out != formatTable:
				return writeMessage(c.Stdout, out, answer)
			}
			return c.style().user(c.Stdout, answer)
		}),
		ValidArgsFunction: c.offers(completeUser),
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "directory (tenant) id, where several have such a user")
	addFormat(cmd, &f.output)
	return cmd
}

func completeUser(ctx context.Context, o *objects, text string) ([]cobra.Completion, error) {
	answer, err := o.SearchUsers(ctx, &controlv1.SearchUsersRequest{Text: text, PageSize: completions})
	var found []cobra.Completion
	for _, u := range answer.GetUsers() {
		found = append(found, cobra.CompletionWithDesc(clean(u.GetUserPrincipalName()), cell(u.GetDisplayName())))
	}
	return found, err
}

// lastOf is the time of something that may never have been.
func lastOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return moment(t)
}
