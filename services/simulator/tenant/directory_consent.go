package tenant

import (
	"strconv"
	"time"
)

// OAuth2PermissionGrants are the delegated permissions that were consented to.
const OAuth2PermissionGrants Collection = "oauth2PermissionGrants"

// appRole is an application permission of Microsoft Graph (entra-lists.md §3).
type appRole struct{ id, value string }

// graphRoles are some of Graph's application permissions; the first ones are the integration's.
var graphRoles = [...]appRole{
	{"b0afded3-3588-46d8-8b3d-9842eff778da", "AuditLog.Read.All"},
	{"7ab1d382-f21e-4acd-a863-ba3e13f7da61", "Directory.Read.All"},
	{"246dd0d5-5bd0-4def-940b-0421030a5b68", "Policy.Read.All"},
	{"df021288-bdef-4463-88db-98f22de89214", "User.Read.All"},
	{"5b567255-7703-4780-807c-7be8301ae99b", "Group.Read.All"},
	{"810c84a8-4a9e-49e6-bf7d-12d183f40d01", "Mail.Read"},
	{"b633e1c5-b582-4048-a93e-9f11b44c7e96", "Mail.Send"},
	{"9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8", "RoleManagement.ReadWrite.Directory"},
	{"1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", "Application.ReadWrite.All"},
	{"06b708a9-e830-4db3-a914-8e69da51d44f", "AppRoleAssignment.ReadWrite.All"},
	{"741f803b-c850-494e-b5df-cde7c675a1ca", "User.ReadWrite.All"},
}

// The permissions and applications that are named below.
const (
	integrationRoles   = 5 // the first ones
	roleManagement     = 7
	applicationWrite   = 8
	firstOrdinaryRole  = 3 // User.Read.All to Mail.Send
	ordinaryRoles      = 4
	roleManagingApp    = 9  // holds RoleManagement.ReadWrite.Directory
	applicationManager = 10 // holds Application.ReadWrite.All
	privilegedApp      = 11 // holds a directory role
)

// permissions are the indexes of graphRoles that application i holds.
func (t *Tenant) permissions(i int) []int {
	switch i {
	case integrationApp:
		return []int{0, 1, 2, 3, integrationRoles - 1}
	case roleManagingApp:
		return []int{roleManagement}
	case applicationManager:
		return []int{applicationWrite, firstOrdinaryRole}
	}
	h := hash(t.cfg.Seed, 0xc0, uint64(i))
	if h%3 == 0 {
		return nil
	}
	return []int{firstOrdinaryRole + int(h>>8%ordinaryRoles)}
}

// graphPrincipal is the index of Microsoft Graph's service principal.
func (t *Tenant) graphPrincipal() int {
	return t.population.apps() + t.population.managed() + len(galleryApps) + len(firstParties) + graphResource
}

// Detail names what one object has beside its properties: a list that is read by a path of its own.
type Detail string

// The details.
const (
	// AppRolesHeld are the permissions and assignments of a service principal, AppRolesGiven those to one.
	AppRolesHeld  Detail = "appRoleAssignments"
	AppRolesGiven Detail = "appRoleAssignedTo"
	// Methods are a user's authentication methods, Registration is the report's row of them.
	Methods      Detail = "methods"
	Registration Detail = "registration"
	// MailboxSettings and MessageRules are a user's. Who has no mailbox has none.
	MailboxSettings Detail = "mailboxSettings"
	MessageRules    Detail = "messageRules"
	// SignIns is the activity of a service principal.
	SignIns Detail = "signIns"
	// MailboxUsage is a row of a report: item count, bytes and recipient type, in a JSON object.
	MailboxUsage Detail = "mailboxUsage"
)

// Details returns a detail of an object as Graph's JSON; none if it has none. Users beyond the last have those of new ones.
func (t *Tenant) Details(d Detail, of Ref, at time.Time) [][]byte {
	w := &writer{t: t, f: form{at: ticksOf(at)}}
	switch {
	case of.Collection == ServicePrincipals && of.Index < t.principals():
		switch d {
		case AppRolesHeld:
			return t.heldBy(of.Index)
		case AppRolesGiven:
			return t.givenBy(of.Index)
		case SignIns:
			return w.principalActivity(of.Index)
		}
	case of.Collection == Users:
		return w.userDetails(d, of.Index)
	}
	return nil
}

// heldBy are the permissions of an application of the tenant's own.
func (t *Tenant) heldBy(i int) [][]byte {
	if i >= t.population.apps() {
		return nil
	}
	var all [][]byte
	for n, role := range t.permissions(i) {
		w := writer{t: t}
		w.appRoleAssignment(t.ids.seal(classGrant, uint64(n), uint64(i)), graphRoles[role].id, Ref{ServicePrincipals, i}, t.graphPrincipal())
		all = append(all, w.b)
	}
	return all
}

// givenBy are the assignments to a service principal: Graph's are permissions of applications, a gallery application's are
// its users.
func (t *Tenant) givenBy(i int) [][]byte {
	if i == t.graphPrincipal() {
		var all [][]byte
		for app := range t.population.apps() {
			all = append(all, t.heldBy(app)...)
		}
		return all
	}
	gallery := i - t.population.apps() - t.population.managed()
	if gallery < 0 || gallery >= len(galleryApps) {
		return nil
	}
	const most, noRole = 40, "00000000-0000-0000-0000-000000000000"
	var all [][]byte
	add := func(n int, to Ref) {
		w := writer{t: t}
		w.appRoleAssignment(t.ids.seal(classGrant, 100+uint64(gallery), uint64(n)), noRole, to, i)
		all = append(all, w.b)
	}
	users := someOf(Users, most, t.population.users, hash(t.cfg.Seed, 0x9a, uint64(gallery)))
	for k := range users.n {
		add(k, users.at(k))
	}
	if groupParent < t.groups() {
		add(most, Ref{Groups, groupParent})
	}
	return all
}

func (w *writer) appRoleAssignment(id guid, role string, to Ref, resource int) {
	kind := map[Collection]string{Users: "User", Groups: "Group", ServicePrincipals: "ServicePrincipal"}[to.Collection]
	w.guid(`{"id":"`, id)
	w.raw(`,"deletedDateTime":null`)
	w.text(`,"appRoleId":"`, role)
	w.time(`,"createdDateTime":"`, w.t.end-300*perDay)
	w.text(`,"principalType":"`, kind)
	w.text(`,"principalId":"`, w.t.ObjectID(to.Collection, to.Index))
	w.raw(`,"principalDisplayName":"`)
	switch to.Collection {
	case Users:
		u := w.t.population.user(to.Index)
		w.b = u.appendName(w.b)
	case Groups:
		w.raw(w.t.groupName(to.Index))
	default:
		ref, _ := w.t.principal(to.Index)
		w.b = ref.appendName(w.b)
	}
	ref, _ := w.t.principal(resource)
	w.appName(`","resourceDisplayName":"`, &ref)
	w.guid(`,"resourceId":"`, ref.object)
	w.raw("}")
}

// Of each application there can be two grants: one for all users and one of a single one.
const grantsPerApp = 2

func (t *Tenant) countGrants() int { return t.population.apps() * grantsPerApp }

func (t *Tenant) findGrant(id string) int {
	i := t.findPosture(id, postureGrant, t.countGrants())
	if i >= 0 && !t.hasGrant(i) {
		return -1
	}
	return i
}

func (t *Tenant) hasGrant(i int) bool {
	h := hash(t.cfg.Seed, 0xdea1, uint64(i))
	const one = 3
	return h%one == 0
}

func (w *writer) grant(i int) {
	if !w.t.hasGrant(i) {
		w.b = nil
		return
	}
	app := w.t.ownApp(i / grantsPerApp)
	graph, _ := w.t.principal(w.t.graphPrincipal())
	w.guid(`{"id":"`, w.t.postureID(postureGrant, i))
	w.guid(`,"clientId":"`, app.object)
	w.guid(`,"resourceId":"`, graph.object)
	if i%grantsPerApp == 0 {
		w.raw(`,"consentType":"AllPrincipals","principalId":null,"scope":"openid profile User.Read"}`)
		return
	}
	user := int(hash(w.t.cfg.Seed, 0xdea2, uint64(i)) % uint64(w.t.population.users))
	w.guid(`,"consentType":"Principal","principalId":"`, w.t.userID(user))
	scope := "openid User.Read"
	const risky = 4
	if i%risky == 1 {
		scope = "openid offline_access Mail.ReadWrite Files.ReadWrite.All"
	}
	w.text(`,"scope":"`, scope)
	w.raw("}")
}

// appRoles writes the application permissions that a service principal offers.
func (w *writer) appRoles(i int) {
	w.raw(`,"appRoles":[`)
	if i == w.t.graphPrincipal() {
		for n, r := range graphRoles {
			if n > 0 {
				w.raw(",")
			}
			w.text(`{"id":"`, r.id)
			w.text(`,"value":"`, r.value)
			w.text(`,"displayName":"`, r.value)
			w.text(`,"description":"`, r.value)
			w.raw(`,"isEnabled":true,"allowedMemberTypes":["Application"],"origin":"Application"}`)
		}
	}
	w.raw(`]`)
}

// principalActivity is when a service principal was last used; every fifth never was.
func (w *writer) principalActivity(i int) [][]byte {
	h := hash(w.t.cfg.Seed, 0xac, uint64(i))
	const never = 5
	if h%never == 0 && i >= reservedApps {
		return nil
	}
	ref, _ := w.t.principal(i)
	last := w.t.end - ticks(h>>8%120)*perDay
	w.text(`{"id":"`, strconv.Itoa(i))
	w.appID(`,"appId":"`, &ref)
	w.time(`,"lastSignInActivity":{"lastSignInDateTime":"`, last)
	w.guid(`,"lastSignInRequestId":"`, w.t.ids.seal(classOther, 7, uint64(i)))
	w.time(`},"applicationAuthenticationClientSignInActivity":{"lastSignInDateTime":"`, last)
	w.raw(`},"delegatedClientSignInActivity":null,"delegatedResourceSignInActivity":null,"applicationAuthenticationResourceSignInActivity":null}`)
	return [][]byte{w.b}
}
