package entractl

import (
	"context"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func newGroup(c *caller) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "group",
		Aliases: []string{"groups"},
		Short:   "Look at groups of the directory",
		Long:    "Lists the groups of the tenants that are connected, and the members of one.",
		Example: "  entractl group list --text admins\n  entractl group members GROUP-ID --transitive",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGroupList(c), newGroupMembers(c))
	return cmd
}

func newGroupList(c *caller) *cobra.Command {
	var (
		f        listFlags
		text     string
		forRoles bool
	)
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List groups",
		Example: "  entractl group list --text admins\n  entractl group list --for-roles -o json",
		Args:    cobra.NoArgs,
		RunE: c.onDirectory(&f, func(ctx context.Context, o *objects, out format, _ []string) error {
			req := &controlv1.ListGroupsRequest{TenantIds: f.tenants, Text: text, AssignableToRole: forRoles}
			all, more, err := pages(f.limit, func(size int32, token string) ([]*controlv1.DirectoryGroup, string, error) {
				req.PageSize, req.PageToken = size, token
				answer, err := call(ctx, c, o.ListGroups, req)
				return answer.GetGroups(), answer.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer c.noteMore(more)
			rows := [][]string{{"GROUP", "MEMBERS", "OWNERS", "FOR ROLES", "CREATED", "ID"}}
			for _, g := range all {
				rows = append(rows, []string{
					cell(g.GetDisplayName()), count(g.GetDirectMembers()), count(uint64(g.GetOwners())), yesNo(g.GetIsAssignableToRole()),
					moment(g.GetCreatedAt()), cell(g.GetId()),
				})
			}
			return write(c, out, all, rows, "there is no such group")
		}),
	}
	f.add(cmd, "groups")
	cmd.Flags().StringVar(&text, "text", "", "part of a name or mail address, or an object id")
	cmd.Flags().BoolVar(&forRoles, "for-roles", false, "groups that may hold directory roles")
	return cmd
}

func newGroupMembers(c *caller) *cobra.Command {
	var (
		f          listFlags
		tenant     string
		transitive bool
	)
	cmd := &cobra.Command{
		Use:     "members GROUP",
		Short:   "List the members of a group",
		Long:    "Lists the members of a group by its object id; with --transitive those of groups in it too, each once.",
		Example: "  entractl group members GROUP-ID\n  entractl group members GROUP-ID --transitive --limit 0 -o json",
		Args:    oneOf("object id of a group", "group list"),
		RunE: c.onDirectory(&f, func(ctx context.Context, o *objects, out format, args []string) error {
			req := &controlv1.ListMembersRequest{GroupId: args[0], TenantId: tenant, Transitive: transitive}
			all, more, err := pages(f.limit, func(size int32, token string) ([]*controlv1.DirectoryMember, string, error) {
				req.PageSize, req.PageToken = size, token
				answer, err := call(ctx, c, o.ListMembers, req)
				return answer.GetMembers(), answer.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			defer c.noteMore(more)
			rows := [][]string{{"MEMBER", "KIND", "NAME", "ENABLED", "HOW", "ID"}}
			for _, m := range all {
				enabled := "-"
				if m.AccountEnabled != nil {
					enabled = yesNo(m.GetAccountEnabled())
				}
				rows = append(rows, []string{
					cell(first(m.GetUserPrincipalName(), m.GetDisplayName(), m.GetId())), cell(m.GetKind()), cell(m.GetDisplayName()),
					enabled, depthWord(m.GetDepth()), cell(m.GetId()),
				})
			}
			return write(c, out, all, rows, "the group has no members")
		}),
		ValidArgsFunction: c.offers(func(ctx context.Context, o *objects, text string) ([]cobra.Completion, error) {
			answer, err := o.ListGroups(ctx, &controlv1.ListGroupsRequest{Text: text, PageSize: completions})
			var found []cobra.Completion
			for _, g := range answer.GetGroups() {
				found = append(found, cobra.CompletionWithDesc(clean(g.GetId()), cell(g.GetDisplayName())))
			}
			return found, err
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&tenant, "tenant", "", "directory (tenant) id, where several have such a group")
	flags.BoolVar(&transitive, "transitive", false, "with the members of groups in it")
	flags.IntVar(&f.limit, "limit", defaultLimit, "most members to show; 0: all")
	addFormat(cmd, &f.output)
	return cmd
}
