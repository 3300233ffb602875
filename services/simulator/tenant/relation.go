package tenant

import "strings"

// Ref names an object by its collection and its index in it.
type Ref struct {
	Collection Collection
	Index      int
}

// Relation is a navigation property from one object to others, by its name in Graph's paths.
type Relation string

// The relations.
const (
	Members Relation = "members"
	Owners  Relation = "owners"
	Manager Relation = "manager"
	// RegisteredOwners are the users of a device; Graph's registeredUsers are the same here.
	RegisteredOwners Relation = "registeredOwners"
)

// RelationsOf returns the relations that objects of a collection have. The slice is the caller's.
func RelationsOf(c Collection) []Relation {
	switch c {
	case Groups:
		return []Relation{Members, Owners}
	case Users:
		return []Relation{Manager}
	case Applications, ServicePrincipals:
		return []Relation{Owners}
	case Devices:
		return []Relation{RegisteredOwners}
	case DirectoryRoles:
		return []Relation{Members}
	default:
		return nil
	}
}

// run is some objects of a collection: an arithmetic progression of their indexes, modulo their number. Its step has no
// divisor in common with the modulus, so that no index comes twice and each can be found without a list.
type run struct {
	c                   Collection
	n, start, step, mod int
}

func single(c Collection, i int) run { return run{c: c, n: 1, start: i, step: 1, mod: i + 1} }

func (r run) at(k int) Ref { return Ref{r.c, (r.start + k*r.step) % r.mod} }

func (r run) has(ref Ref) bool {
	if ref.Collection != r.c || ref.Index < 0 || ref.Index >= r.mod {
		return false
	}
	away := ((ref.Index-r.start)%r.mod + r.mod) % r.mod
	return away*int(inverse(uint64(r.step), uint64(r.mod)))%r.mod < r.n
}

func coprime(a, b int) bool {
	for b > 0 {
		a, b = b, a%b
	}
	return a == 1
}

// someOf is n objects of a collection of size mod, chosen by h.
func someOf(c Collection, n, mod int, h uint64) run {
	r := run{c: c, n: min(n, mod), start: int(h >> 1 % uint64(mod)), step: 1 + int(h>>20%uint64(mod)), mod: mod}
	for !coprime(mod, r.step) {
		r.step++
	}
	return r
}

// runs are the objects that object i has a relation to.
func (t *Tenant) runs(c Collection, i int, relation Relation) []run {
	switch {
	case c == Groups && relation == Members:
		return t.groupMembers(i)
	case c == Groups && relation == Owners:
		return t.groupOwners(i)
	case c == Users && relation == Manager:
		return t.managerOf(i)
	case c == Devices && relation == RegisteredOwners:
		return []run{single(Users, t.deviceUser(i))}
	case c == Applications && relation == Owners:
		return t.appOwners(i)
	case c == ServicePrincipals && relation == Owners && i < t.population.apps():
		return t.appOwners(i)
	case c == DirectoryRoles && relation == Members:
		return t.roleMembers(i)
	default:
		return nil
	}
}

// Related returns how many objects object i has a relation to.
func (t *Tenant) Related(c Collection, i int, relation Relation) int {
	n := 0
	for _, r := range t.runs(c, i, relation) {
		n += r.n
	}
	return n
}

// EachRelated calls yield for the objects that object i has a relation to, from the one at from on, each once and always
// in the same order, until it returns false.
func (t *Tenant) EachRelated(c Collection, i int, relation Relation, from int, yield func(Ref) bool) {
	for _, r := range t.runs(c, i, relation) {
		if from >= r.n {
			from -= r.n
			continue
		}
		for ; from < r.n; from++ {
			if !yield(r.at(from)) {
				return
			}
		}
		from = 0
	}
}

// Holds reports whether object i has a relation to another.
func (t *Tenant) Holds(c Collection, i int, relation Relation, to Ref) bool {
	for _, r := range t.runs(c, i, relation) {
		if r.has(to) {
			return true
		}
	}
	return false
}

// EachReferrer calls yield for every object that has a relation to another, in a fixed order.
func (t *Tenant) EachReferrer(to Ref, yield func(Ref, Relation)) {
	for _, c := range []Collection{Groups, Applications, ServicePrincipals, DirectoryRoles} {
		for i := range t.Count(c) {
			for _, relation := range RelationsOf(c) {
				if t.Holds(c, i, relation, to) {
					yield(Ref{c, i}, relation)
				}
			}
		}
	}
	if to.Collection != Users {
		return
	}
	first := t.population.reserved + (to.Index-t.population.reserved)*reports
	for i := max(first, 0); i < min(first+reports, t.population.users); i++ {
		if t.Holds(Users, i, Manager, to) {
			yield(Ref{Users, i}, Manager)
		}
	}
	for n := range t.cfg.DevicesPerUser {
		if i := to.Index*t.cfg.DevicesPerUser + n; t.hasDevice(i) {
			yield(Ref{Devices, i}, RegisteredOwners)
		}
	}
}

// reports is how many users have the same manager.
const reports = 8

// managerOf is nobody for guests, service accounts and shared mailboxes.
func (t *Tenant) managerOf(i int) []run {
	p := &t.population
	if i <= p.reserved || p.isGuest(i) || p.account(i) != person {
		return nil
	}
	manager := p.reserved + (i-p.reserved)/reports
	if manager == i || p.isGuest(manager) {
		return nil
	}
	return []run{single(Users, manager)}
}

// appOwners are one or two users; every fourth application has none, the integration's belongs to an administrator.
func (t *Tenant) appOwners(i int) []run {
	if i == integrationApp {
		return t.knownUsers(t.population.reserved)
	}
	const without = 4
	if i%without == without-1 {
		return nil
	}
	h := hash(t.cfg.Seed, 0xa0, uint64(i))
	return []run{someOf(Users, 1+int(h%2), t.population.users, h)}
}

// knownUsers are those of the users with these indexes that exist.
func (t *Tenant) knownUsers(indexes ...int) []run {
	var all []run
	for _, i := range indexes {
		if i < t.population.users {
			all = append(all, single(Users, i))
		}
	}
	return all
}

// ObjectID returns the id of object i, "" if there is none. It is faster than Object.
func (t *Tenant) ObjectID(c Collection, i int) string {
	if i < 0 || i >= t.Count(c) {
		return ""
	}
	switch c {
	case Users:
		return t.userID(i).String()
	case Groups:
		return t.groupID(i).String()
	case Devices:
		if !t.hasDevice(i) {
			return ""
		}
		return t.deviceObjectID(i).String()
	case ManagedDevices:
		if !t.isManaged(i) {
			return ""
		}
		return t.postureID(postureDevice, i).String()
	case Applications:
		return t.ids.seal(classAppObject, 0, uint64(i)).String()
	case ServicePrincipals:
		ref, _ := t.principal(i)
		return ref.object.String()
	}
	w := writer{t: t}
	k, _ := kindOf(c) // its Count says that it exists
	k.write(&w, i)
	return firstText(w.b)
}

// firstText is the value of an object's first member, or of the second if the first is its type.
func firstText(object []byte) string {
	parts := strings.SplitN(string(object), `"`, 9)
	const key, value, next = 1, 3, 4
	switch {
	case len(parts) > value+next && parts[key] == "@odata.type":
		return parts[value+next]
	case len(parts) > value:
		return parts[value]
	}
	return ""
}

// Essential reports whether other objects, labelled cases or the integration count on object i: that it is there, and
// stays as it is.
func (t *Tenant) Essential(c Collection, i int) bool {
	switch c {
	case Users:
		return i < t.population.reserved+adminUsers || i == t.guestAdmin()
	case Groups:
		return i < reservedGroups
	case Applications:
		return i < reservedApps
	case ServicePrincipals:
		return i < reservedApps || i >= t.population.apps()+t.population.managed() && i < t.principals()
	case Devices:
		return false
	default:
		return true
	}
}
