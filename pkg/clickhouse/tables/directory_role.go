package tables

import directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"

// roleDefinitionColumns are the columns of role_definitions_current beside the object's.
func roleDefinitionColumns() []source[*directoryObject] {
	type role = directoryv1.RoleDefinition
	r := partOf((*directoryObject).GetRoleDefinition)
	return []source[*directoryObject]{
		r.text("template_id", (*role).GetTemplateId),
		r.maybeBool("is_built_in", func(r *role) *bool { return r.IsBuiltIn }),
		r.maybeBool("is_enabled", func(r *role) *bool { return r.IsEnabled }),
		r.maybeBool("is_privileged", func(r *role) *bool { return r.IsPrivileged }),
		r.texts("allowed_actions", (*role).GetAllowedActions),
	}
}

// roleAssignmentColumns are the columns of role_assignments_current beside the object's.
func roleAssignmentColumns() []source[*directoryObject] {
	type assignment = directoryv1.RoleAssignment
	a := partOf((*directoryObject).GetRoleAssignment)
	return []source[*directoryObject]{
		a.text("role_definition_id", (*assignment).GetRoleDefinitionId),
		a.text("principal_id", (*assignment).GetPrincipalId),
		a.text("directory_scope_id", (*assignment).GetDirectoryScopeId),
		a.text("app_scope_id", (*assignment).GetAppScopeId),
		a.text("assignment_type", (*assignment).GetAssignmentType),
		a.text("member_type", (*assignment).GetMemberType),
		a.maybeTime("starts_at", (*assignment).GetStartsAt),
		a.maybeTime("ends_at", (*assignment).GetEndsAt),
	}
}

// policyColumns are the columns of policies_current beside the object's. What a policy says is in its raw.
func policyColumns() []source[*directoryObject] {
	type policy = directoryv1.Policy
	p := partOf((*directoryObject).GetPolicy)
	return []source[*directoryObject]{
		p.text("state", (*policy).GetState),
		p.text("type", (*policy).GetType),
		p.maybeTime("created_at", (*policy).GetCreatedAt),
		p.maybeTime("modified_at", (*policy).GetModifiedAt),
		rawColumn[*directoryObject](),
	}
}
