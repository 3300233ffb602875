package tables

import directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"

// groupColumns are the columns of groups_current beside the object's.
func groupColumns() []source[*directoryObject] {
	type group = directoryv1.Group
	g := partOf((*directoryObject).GetGroup)
	columns := []source[*directoryObject]{
		g.text("description", (*group).GetDescription),
		g.text("mail", (*group).GetMail),
		g.text("mail_nickname", (*group).GetMailNickname),
		g.maybeBool("mail_enabled", func(g *group) *bool { return g.MailEnabled }),
		g.maybeBool("security_enabled", func(g *group) *bool { return g.SecurityEnabled }),
		g.texts("group_types", (*group).GetGroupTypes),
		g.maybeBool("is_assignable_to_role", func(g *group) *bool { return g.IsAssignableToRole }),
		g.text("membership_rule", (*group).GetMembershipRule),
		g.text("membership_rule_processing_state", (*group).GetMembershipRuleProcessingState),
		g.text("visibility", (*group).GetVisibility),
		g.maybeBool("on_premises_sync_enabled", func(g *group) *bool { return g.OnPremisesSyncEnabled }),
		g.text("on_premises_sam_account_name", (*group).GetOnPremisesSamAccountName),
		g.maybeTime("created_at", (*group).GetCreatedAt),
		g.maybeTime("expires_at", (*group).GetExpiresAt),
		g.texts("licence_sku_ids", (*group).GetLicenceSkuIds),
		g.text("classification", (*group).GetClassification),
	}
	return append(columns, memberColumns("owners", func(o *directoryObject) []*directoryv1.Member {
		return o.GetGroup().GetOwners()
	})...)
}

// groupMembersColumns are the columns of group_members_current beside the object's.
func groupMembersColumns() []source[*directoryObject] {
	type shard = directoryv1.GroupMembers
	s := partOf((*directoryObject).GetGroupMembers)
	number := func(name string, get func(*shard) uint32) source[*directoryObject] {
		return scalar(name, typeUint32, func(r *Row[*directoryObject]) uint32 { return get(s.of(r.Message)) })
	}
	columns := []source[*directoryObject]{
		s.text("group_id", (*shard).GetGroupId),
		number("shard", (*shard).GetShard),
		number("shards", (*shard).GetShards),
		number("splitting_to", (*shard).GetSplittingTo),
	}
	return append(columns, memberColumns("members", func(o *directoryObject) []*directoryv1.Member {
		return o.GetGroupMembers().GetMembers()
	})...)
}

// memberColumns are the columns name.id and name.kind of a list of members.
func memberColumns(name string, of func(*directoryObject) []*directoryv1.Member) []source[*directoryObject] {
	members := itemsOf(of)
	return []source[*directoryObject]{
		members.text(name+".id", (*directoryv1.Member).GetId),
		members.text(name+".kind", (*directoryv1.Member).GetKind),
	}
}
