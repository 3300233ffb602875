package tenant

import "slices"

// The collections of directory roles.
const (
	// DirectoryRoles are the activated roles.
	DirectoryRoles          Collection = "directoryRoles"
	RoleDefinitions         Collection = "roleManagement/directory/roleDefinitions"
	RoleAssignments         Collection = "roleManagement/directory/roleAssignments"
	RoleAssignmentInstances Collection = "roleManagement/directory/roleAssignmentScheduleInstances"
	RoleEligibilities       Collection = "roleManagement/directory/roleEligibilityScheduleInstances"
)

// role is a directory role; id is that of the template, which the built-in definition has, too (entra-lists.md §2).
type role struct {
	name, id   string
	privileged bool
	custom     bool
}

var roles = [...]role{
	{name: "Global Administrator", id: "62e90394-69f5-4237-9190-012177145e10", privileged: true},
	{name: "Privileged Role Administrator", id: "e8611ab8-c189-46e8-94e1-60213ab1f814", privileged: true},
	{name: "Privileged Authentication Administrator", id: "7be44c8a-adaf-4e2a-84d6-ab2649e08a13", privileged: true},
	{name: "Security Administrator", id: "194ae4cb-b126-40b2-bd5b-6091b380977d", privileged: true},
	{name: "Conditional Access Administrator", id: "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", privileged: true},
	{name: "Application Administrator", id: "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", privileged: true},
	{name: "User Administrator", id: "fe930be7-5e62-47db-91af-98c3a49a38b1", privileged: true},
	{name: "Helpdesk Administrator", id: "729827e3-9c14-49f7-bb1b-9608f156bbb8", privileged: true},
	{name: "Exchange Administrator", id: "29232cdf-9323-42fd-ade2-1d097af3e4de"},
	{name: "Global Reader", id: "f2ef992c-3afb-46b9-b7cf-a126ee74c451", privileged: true},
	{name: "Security Reader", id: "5d6b6bb7-de71-4623-b4af-96380a352509", privileged: true},
	{name: "Cloud Application Administrator", id: "158c047a-c907-4556-b7ef-446551a6b5f7", privileged: true},
	{name: "Intune Administrator", id: "3a2c62db-5318-420d-8d74-23affee5d9d5", privileged: true},
	{name: "Directory Synchronization Accounts", id: "d29b2b05-8046-44ba-8758-1e26182fcf32"},
	{name: "Credential Operator", id: "0e11c3a1-5b1d-4c39-9d5a-3f1d0c0ffee1", custom: true},
}

// The indexes of roles that are named below.
const (
	globalAdministrator = iota
	privilegedRoleAdministrator
	privilegedAuthenticationAdministrator
	securityAdministrator
	conditionalAccessAdministrator
	applicationAdministrator
	userAdministrator
	helpdeskAdministrator
	exchangeAdministrator
	globalReader
	_
	cloudApplicationAdministrator
	_
	_
	credentialOperator
)

// assignment is a role that a principal holds, or may activate.
type assignment struct {
	role      int
	to        Ref
	activated bool
}

// assignments are the roles that are held now: by the administrators, one of them from on premises and one by a group, by
// a guest, and by an application.
func (t *Tenant) assignments() []assignment {
	first := t.population.reserved
	user := func(i int) Ref { return Ref{Users, first + i} }
	all := []assignment{
		{role: globalAdministrator, to: user(0)},
		{role: privilegedRoleAdministrator, to: user(1)},
		{role: securityAdministrator, to: user(2)},
		{role: conditionalAccessAdministrator, to: user(2)},
		{role: globalReader, to: user(2)},
		{role: applicationAdministrator, to: user(syncedAdmin)},
		{role: exchangeAdministrator, to: user(syncedAdmin)},
		{role: privilegedAuthenticationAdministrator, to: Ref{Groups, groupAdmins}},
		{role: globalAdministrator, to: user(activatedAdmin), activated: true},
		{role: userAdministrator, to: Ref{Users, t.guestAdmin()}},
		{role: credentialOperator, to: Ref{Groups, groupHelpdesk}},
		{role: cloudApplicationAdministrator, to: Ref{ServicePrincipals, privilegedApp}},
	}
	return slices.DeleteFunc(all, func(a assignment) bool { return t.ObjectID(a.to.Collection, a.to.Index) == "" })
}

// eligibilities are the roles that can be activated.
func (t *Tenant) eligibilities() []assignment {
	first := t.population.reserved
	all := []assignment{
		{role: globalAdministrator, to: Ref{Users, first + activatedAdmin}},
		{role: securityAdministrator, to: Ref{Users, first + 1}},
		{role: helpdeskAdministrator, to: Ref{Groups, groupHelpdesk}},
	}
	return slices.DeleteFunc(all, func(a assignment) bool { return t.ObjectID(a.to.Collection, a.to.Index) == "" })
}

// activatedRoles are the indexes of the built-in roles that are held.
func (t *Tenant) activatedRoles() []int {
	var all []int
	for i := range roles {
		if !roles[i].custom && slices.ContainsFunc(t.assignments(), func(a assignment) bool { return a.role == i }) {
			all = append(all, i)
		}
	}
	return all
}

func (t *Tenant) countRoles() int { return len(t.activatedRoles()) }

func (t *Tenant) countDefinitions() int { return len(roles) }

func (t *Tenant) countAssignments() int { return len(t.assignments()) }

func (t *Tenant) countEligibilities() int { return len(t.eligibilities()) }

// roleMembers are the principals that hold an activated role.
func (t *Tenant) roleMembers(i int) []run {
	active := t.activatedRoles()
	if i >= len(active) {
		return nil
	}
	var all []run
	for _, a := range t.assignments() {
		if a.role == active[i] {
			all = append(all, single(a.to.Collection, a.to.Index))
		}
	}
	return all
}

// The numbers that tell the ids of small collections apart.
const (
	postureRole = iota
	postureSchedule
	posturePolicy
	postureLocation
	posturePartner
	postureGrant
	postureDevice
	postureConfiguration
	postureCompliance
	postureMobileApp
	postureDetectedApp
	postureStrength
)

// postureID is the id of object i of a small collection.
func (t *Tenant) postureID(of uint64, i int) guid { return t.ids.seal(classPosture, of, uint64(i)) }

// findPosture undoes postureID, -1 if the id is another's.
func (t *Tenant) findPosture(id string, of uint64, count int) int {
	g, ok := parseGUID(id)
	if !ok {
		return -1
	}
	c, a, b := t.ids.open(g)
	if c != classPosture || a != of || b >= uint64(count) {
		return -1
	}
	return int(b)
}

func (t *Tenant) findRole(id string) int { return t.findPosture(id, postureRole, t.countRoles()) }

func (t *Tenant) findDefinition(id string) int {
	return slices.IndexFunc(roles[:], func(r role) bool { return r.id == id })
}

func (t *Tenant) findAssignment(id string) int {
	return t.findSealed(id, classAssignment, t.countAssignments())
}

func (t *Tenant) findInstance(id string) int {
	return t.findPosture(id, postureSchedule, t.countAssignments())
}

func (t *Tenant) findEligibility(id string) int {
	if i := t.findPosture(id, postureSchedule, maxEligible); i >= eligibleFrom && i-eligibleFrom < t.countEligibilities() {
		return i - eligibleFrom
	}
	return -1
}

// Eligibilities have ids behind those of assignments.
const (
	eligibleFrom = 1000
	maxEligible  = 2000
)

func (w *writer) role(i int) {
	r := &roles[w.t.activatedRoles()[i]]
	w.guid(`{"id":"`, w.t.postureID(postureRole, i))
	w.text(`,"displayName":"`, r.name)
	w.text(`,"description":"`, r.name)
	w.text(`,"roleTemplateId":"`, r.id)
	w.raw(`,"deletedDateTime":null}`)
}

func (w *writer) roleDefinition(i int) {
	r := &roles[i]
	w.text(`{"id":"`, r.id)
	w.text(`,"displayName":"`, r.name)
	w.text(`,"description":"`, r.name)
	w.text(`,"templateId":"`, r.id)
	w.boolean(`,"isBuiltIn":`, !r.custom)
	w.boolean(`,"isPrivileged":`, r.privileged)
	action := "microsoft.directory/users/basic/read"
	if r.custom {
		action = "microsoft.directory/applications/credentials/update"
	}
	w.text(`,"isEnabled":true,"version":"1","resourceScopes":["/"],"rolePermissions":[{"allowedResourceActions":["`, action)
	w.raw(`],"condition":null}]}`)
}

// holder writes who has which role.
func (w *writer) holder(a assignment) {
	w.text(`,"principalId":"`, w.t.ObjectID(a.to.Collection, a.to.Index))
	w.text(`,"roleDefinitionId":"`, roles[a.role].id)
	w.raw(`,"directoryScopeId":"/","appScopeId":null`)
}

func (w *writer) roleAssignment(i int) {
	w.guid(`{"id":"`, w.t.ids.seal(classAssignment, 0, uint64(i)))
	w.holder(w.t.assignments()[i])
	w.raw(`,"condition":null}`)
}

func (w *writer) roleInstance(i int) {
	a := w.t.assignments()[i]
	w.guid(`{"id":"`, w.t.postureID(postureSchedule, i))
	w.holder(a)
	w.guid(`,"roleAssignmentOriginId":"`, w.t.ids.seal(classAssignment, 0, uint64(i)))
	w.guid(`,"roleAssignmentScheduleId":"`, w.t.ids.seal(classAssignment, 1, uint64(i)))
	w.raw(`,"memberType":"Direct"`)
	if a.activated {
		w.time(`,"assignmentType":"Activated","startDateTime":"`, w.t.end-perHour)
		w.time(`,"endDateTime":"`, w.t.end+7*perHour)
	} else {
		w.time(`,"assignmentType":"Assigned","startDateTime":"`, w.t.end-300*perDay)
		w.raw(`,"endDateTime":null`)
	}
	w.raw("}")
}

func (w *writer) roleEligibility(i int) {
	w.guid(`{"id":"`, w.t.postureID(postureSchedule, eligibleFrom+i))
	w.holder(w.t.eligibilities()[i])
	w.guid(`,"roleEligibilityScheduleId":"`, w.t.ids.seal(classAssignment, 2, uint64(i)))
	w.time(`,"memberType":"Direct","startDateTime":"`, w.t.end-200*perDay)
	w.raw(`,"endDateTime":null}`)
}

// guestAdmin is a guest who holds a role, -1 if there is no guest.
func (t *Tenant) guestAdmin() int {
	for i := t.population.reserved; i < t.population.users; i++ {
		if t.population.isGuest(i) {
			return i
		}
	}
	return -1
}
