package tables

import (
	"cmp"
	"strings"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// Names of the tables of the directory. DirectoryHistory has every state of every object; of the others each
// has the newest state of the objects of one sort, tombstones too: read them with FINAL, then without deleted.
const (
	DirectoryHistory                = "directory_history"
	UsersCurrent                    = "users_current"
	UserActivityCurrent             = "user_activity_current"
	AuthenticationRegistrations     = "authentication_registrations_current"
	MailboxesCurrent                = "mailboxes_current"
	GroupsCurrent                   = "groups_current"
	GroupMembersCurrent             = "group_members_current"
	DevicesCurrent                  = "devices_current"
	ManagedDevicesCurrent           = "managed_devices_current"
	ApplicationsCurrent             = "applications_current"
	ServicePrincipalsCurrent        = "service_principals_current"
	ServicePrincipalActivityCurrent = "service_principal_activity_current"
	OwnersCurrent                   = "owners_current"
	AppRoleAssignmentsCurrent       = "app_role_assignments_current"
	OAuth2GrantsCurrent             = "oauth2_grants_current"
	RoleDefinitionsCurrent          = "role_definitions_current"
	RoleAssignmentsCurrent          = "role_assignments_current"
	PoliciesCurrent                 = "policies_current"
	DirectoryCurrent                = "directory_current"
)

type directoryObject = directoryv1.Object

// Directory are the tables of the directory.
type Directory struct {
	history, other *Table[*directoryObject]
	current        []*Table[*directoryObject]
	byObject       map[string]*Table[*directoryObject]
}

// modelled says which table keeps the newest state of which kinds of object. A tombstone has no payload, so it
// goes by Object.object alone.
func modelled() []struct {
	name    string
	objects []string
	columns []source[*directoryObject]
} {
	return []struct {
		name    string
		objects []string
		columns []source[*directoryObject]
	}{
		{UsersCurrent, []string{"user"}, userColumns()},
		{UserActivityCurrent, []string{"user_activity"}, userActivityColumns()},
		{AuthenticationRegistrations, []string{"authentication_registration"}, authenticationRegistrationColumns()},
		{MailboxesCurrent, []string{"mailbox", "mailbox_rules"}, mailboxColumns()},
		{GroupsCurrent, []string{"group"}, groupColumns()},
		{GroupMembersCurrent, []string{"group_members"}, groupMembersColumns()},
		{DevicesCurrent, []string{"device"}, deviceColumns()},
		{ManagedDevicesCurrent, []string{"managed_device"}, managedDeviceColumns()},
		{ApplicationsCurrent, []string{"application"}, applicationColumns()},
		{ServicePrincipalsCurrent, []string{"service_principal"}, servicePrincipalColumns()},
		{ServicePrincipalActivityCurrent, []string{"service_principal_activity"}, servicePrincipalActivityColumns()},
		{OwnersCurrent, []string{"application_owners", "service_principal_owners"}, ownersColumns()},
		{AppRoleAssignmentsCurrent, []string{"app_role_assignment"}, appRoleAssignmentColumns()},
		{OAuth2GrantsCurrent, []string{"oauth2_grant"}, oauth2GrantColumns()},
		{RoleDefinitionsCurrent, []string{"role_definition", "directory_role"}, roleDefinitionColumns()},
		{RoleAssignmentsCurrent, []string{"role_assignment", "role_schedule", "role_eligibility"}, roleAssignmentColumns()},
		{PoliciesCurrent, []string{
			"conditional_access_policy", "named_location", "policy", "authentication_strength", "cross_tenant_partner",
		}, policyColumns()},
	}
}

// NewDirectory returns the tables of the directory.
func NewDirectory() Directory {
	set := Directory{
		history:  directoryTable(DirectoryHistory, historyColumns()),
		other:    directoryTable(DirectoryCurrent, []source[*directoryObject]{rawColumn[*directoryObject]()}),
		byObject: map[string]*Table[*directoryObject]{},
	}
	for _, m := range modelled() {
		table := directoryTable(m.name, m.columns)
		set.current = append(set.current, table)
		for _, object := range m.objects {
			set.byObject[object] = table
		}
	}
	return set
}

func directoryTable(name string, columns []source[*directoryObject]) *Table[*directoryObject] {
	compare := compareObjects
	if name == DirectoryHistory {
		compare = compareStates
	}
	return &Table[*directoryObject]{name: name, sources: append(objectColumns(), columns...), compare: compare}
}

// For returns the tables that keep o: the history first, then that of its newest state.
func (t Directory) For(o *directoryv1.Object) []*Table[*directoryv1.Object] {
	if table, ok := t.byObject[o.GetObject()]; ok {
		return []*Table[*directoryObject]{t.history, table}
	}
	return []*Table[*directoryObject]{t.history, t.other}
}

// All returns every table of the directory.
func (t Directory) All() []*Table[*directoryv1.Object] {
	return append([]*Table[*directoryObject]{t.history, t.other}, t.current...)
}

// objectColumns are the columns that every table of the directory has.
func objectColumns() []source[*directoryObject] {
	o := partOf(func(o *directoryObject) *directoryObject { return o })
	return []source[*directoryObject]{
		o.text("tenant_id", (*directoryObject).GetTenantId),
		o.text("object", (*directoryObject).GetObject),
		o.text("id", (*directoryObject).GetId),
		scalar("version", typeUint, func(r *Row[*directoryObject]) uint64 { return r.Message.GetVersion() }),
		o.text("integration", (*directoryObject).GetIntegration),
		o.time("observed_at", (*directoryObject).GetObservedAt),
		scalar("stored_at", typeTime, func(r *Row[*directoryObject]) int64 { return r.StoredAt.UnixMilli() }),
		scalar("stream_sequence", typeUint, func(r *Row[*directoryObject]) uint64 { return r.Sequence }),
		o.text("change", func(o *directoryObject) string { return changeName(o.GetChange()) }),
		scalar("deleted", typeBool, func(r *Row[*directoryObject]) bool { return r.Message.GetDeleted() }),
		o.text("display_name", (*directoryObject).GetDisplayName),
	}
}

// historyColumns are the columns of directory_history beside those. A shard of members has no raw.
func historyColumns() []source[*directoryObject] {
	o := partOf(func(o *directoryObject) *directoryObject { return o })
	columns := []source[*directoryObject]{o.texts("changed", (*directoryObject).GetChanged), rawColumn[*directoryObject]()}
	return append(columns, memberColumns("members", func(o *directoryObject) []*directoryv1.Member {
		return o.GetGroupMembers().GetMembers()
	})...)
}

// compareObjects is the order of the keys (tenant_id, id) and (tenant_id, object, id).
func compareObjects(a, b Row[*directoryObject]) int {
	x, y := a.Message, b.Message
	return cmp.Or(
		strings.Compare(x.GetTenantId(), y.GetTenantId()),
		strings.Compare(x.GetObject(), y.GetObject()),
		strings.Compare(x.GetId(), y.GetId()),
	)
}

// compareStates is the order of the key (tenant_id, object, id, version).
func compareStates(a, b Row[*directoryObject]) int {
	return cmp.Or(compareObjects(a, b), cmp.Compare(a.Message.GetVersion(), b.Message.GetVersion()))
}

// changeName is a change as the column change spells it: "created".
func changeName(c directoryv1.Change) string {
	if c == directoryv1.Change_CHANGE_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(c.String(), "CHANGE_"))
}
