package tenant

import "strconv"

// The groups with a part of their own, by index. Those behind them are of all sorts.
const (
	groupAdmins     = iota // can hold roles, and holds one
	groupHelpdesk          // can hold roles, and is empty but for one member
	groupCompany           // Microsoft 365
	groupExcluded          // excluded from Conditional Access
	groupParent            // holds groupChild and groupSibling
	groupChild             // holds groupGrandchild
	groupSibling           //
	groupGrandchild        //
	groupDevices           // of devices
	groupServices          // of service principals
	groupGuests            // of guests
	groupEmpty             // dynamic, and empty
	reservedGroups
)

// groups is how many groups there are.
func (t *Tenant) groups() int {
	const perGroup = 20
	if t.cfg.Groups > 0 {
		return t.cfg.Groups
	}
	return max(t.population.users/perGroup, reservedGroups)
}

func (t *Tenant) findGroup(id string) int {
	return t.findSealed(id, classGroup, t.groups())
}

// findSealed returns the number that an id of a class has, or -1.
func (t *Tenant) findSealed(id string, of class, count int) int {
	g, ok := parseGUID(id)
	if !ok {
		return -1
	}
	c, a, b := t.ids.open(g)
	if c != of || a != 0 || b >= uint64(count) {
		return -1
	}
	return int(b)
}

// groupKind is what sort of group there is at an index.
type groupKind struct {
	unified, assignable, mail, dynamic, synced bool
}

func (t *Tenant) groupKind(i int) groupKind {
	switch {
	case i == groupAdmins || i == groupHelpdesk:
		return groupKind{assignable: true}
	case i == groupCompany:
		return groupKind{unified: true, mail: true}
	case i == groupEmpty:
		return groupKind{dynamic: true}
	case i < reservedGroups:
		return groupKind{}
	}
	switch h := hash(t.cfg.Seed, 0x960, uint64(i)); h % 10 {
	case 0, 1, 2, 3:
		return groupKind{unified: true, mail: true}
	case 4:
		return groupKind{mail: true}
	case 5:
		return groupKind{synced: true}
	case 6:
		return groupKind{dynamic: true}
	default:
		return groupKind{}
	}
}

// groupMembers are the members of group i.
func (t *Tenant) groupMembers(i int) []run {
	h, users := hash(t.cfg.Seed, 0x9a0, uint64(i)), t.population.users
	switch {
	case t.cfg.HugeGroupMembers > 0 && i == t.groups()-1:
		return []run{someOf(Users, t.cfg.HugeGroupMembers, users, h)}
	case t.cfg.MembersPerGroup > 0:
		return []run{someOf(Users, t.cfg.MembersPerGroup, users, h)}
	case i < reservedGroups:
		return t.reservedMembers(i, h)
	}
	const least, spread = 3, 40
	all := []run{someOf(Users, least+int(h>>40%spread), users, h)}
	if t.groupKind(i) != (groupKind{}) {
		return all // only plain security groups hold anything but users
	}
	switch h >> 50 % 8 {
	case 0:
		all = append(all, t.someDevices(2, h)...)
	case 1:
		all = append(all, someOf(ServicePrincipals, 2, t.principals(), h))
	case 2:
		if child := i + 1 + int(h>>30%7); child < t.groups() {
			all = append(all, single(Groups, child))
		}
	}
	return all
}

// reservedMembers are the members of a group with a part of its own.
func (t *Tenant) reservedMembers(i int, h uint64) []run {
	const few, some, many = 2, 10, 50
	users, admins := t.population.users, t.population.reserved
	switch i {
	case groupAdmins:
		return t.knownUsers(admins+groupedAdmin, admins+1)
	case groupHelpdesk:
		return t.knownUsers(admins + adminUsers + 1)
	case groupCompany:
		return []run{someOf(Users, many, users, h)}
	case groupExcluded:
		return []run{someOf(Users, few, users, h)}
	case groupParent:
		return t.knownGroups([]run{someOf(Users, some, users, h)}, groupChild, groupSibling)
	case groupChild:
		return t.knownGroups([]run{someOf(Users, some, users, h)}, groupGrandchild)
	case groupSibling, groupGrandchild:
		return []run{someOf(Users, some, users, h)}
	case groupDevices:
		return t.someDevices(some, h)
	case groupServices:
		return []run{someOf(ServicePrincipals, some, t.principals(), h)}
	case groupGuests:
		return t.someGuests(some)
	}
	return nil
}

func (t *Tenant) knownGroups(all []run, indexes ...int) []run {
	for _, i := range indexes {
		if i < t.groups() {
			all = append(all, single(Groups, i))
		}
	}
	return all
}

// someDevices are up to n devices. There are indexes without one, so each is looked for.
func (t *Tenant) someDevices(n int, h uint64) []run {
	count := t.devices()
	if count == 0 {
		return nil
	}
	const tries = 4
	var all []run
	from := someOf(Devices, n*tries, count, h)
	for k := 0; k < from.n && len(all) < n; k++ {
		if i := from.at(k).Index; t.hasDevice(i) {
			all = append(all, single(Devices, i))
		}
	}
	return all
}

// someGuests are the first n ordinary guests.
func (t *Tenant) someGuests(n int) []run {
	var all []run
	for i := t.population.reserved; i < t.population.users && len(all) < n; i++ {
		if t.population.isGuest(i) {
			all = append(all, single(Users, i))
		}
	}
	return all
}

// groupOwners are up to two users, and a service principal of some.
func (t *Tenant) groupOwners(i int) []run {
	h := hash(t.cfg.Seed, 0x90e, uint64(i))
	const pattern = 4
	switch {
	case i == groupAdmins:
		return t.knownUsers(t.population.reserved)
	case t.groupKind(i).unified:
		return []run{someOf(Users, 1+int(h%2), t.population.users, h)}
	case h>>8%pattern == 0:
		return []run{someOf(Users, 1, t.population.users, h), someOf(ServicePrincipals, 1, t.principals(), h)}
	case h>>8%pattern == 1:
		return []run{someOf(Users, 1, t.population.users, h)}
	}
	return nil
}

// groupName names a group: the ones with a part by it, the others by a department and a number.
func (t *Tenant) groupName(i int) string {
	names := [...]string{
		"Privileged Administrators", "Helpdesk Staff", "All Company", "Conditional Access Exclusions", "Staff", "Engineering All",
		"Sales All", "Engineering Platform", "Managed Devices", "Automation Identities", "External Partners", "Contractors",
	}
	if i < len(names) {
		return names[i]
	}
	return departments[i%len(departments)] + " Group " + strconv.Itoa(i)
}

func (w *writer) group(i int) {
	k := w.t.groupKind(i)
	nickname := "group" + strconv.Itoa(i)
	created := w.t.end - ticks(100+i%900)*perDay
	w.guid(`{"id":"`, w.t.groupID(i))
	w.raw(`,"deletedDateTime":null,"classification":null`)
	w.time(`,"createdDateTime":"`, created)
	w.text(`,"displayName":"`, w.t.groupName(i))
	w.text(`,"description":"`, w.t.groupName(i))
	w.raw(`,"groupTypes":[`)
	switch {
	case k.unified:
		w.raw(`"Unified"]`)
	case k.dynamic:
		w.raw(`"DynamicMembership"]`)
	default:
		w.raw(`]`)
	}
	w.boolean(`,"mailEnabled":`, k.mail)
	address := ""
	if k.mail {
		address = nickname + "@" + w.t.population.domain
	}
	w.optional(`,"mail":`, address)
	w.text(`,"mailNickname":"`, nickname)
	w.boolean(`,"securityEnabled":`, !k.unified)
	if k.assignable {
		w.raw(`,"isAssignableToRole":true`)
	} else {
		w.raw(`,"isAssignableToRole":null`)
	}
	if k.dynamic {
		w.raw(`,"membershipRule":"(user.department -eq \"None\")","membershipRuleProcessingState":"On"`)
	} else {
		w.raw(`,"membershipRule":null,"membershipRuleProcessingState":null`)
	}
	if k.synced {
		w.raw(`,"onPremisesSyncEnabled":true`)
		w.text(`,"onPremisesSamAccountName":"`, nickname)
		w.time(`,"onPremisesLastSyncDateTime":"`, w.t.end-perHour)
	} else {
		w.raw(`,"onPremisesSyncEnabled":null,"onPremisesSamAccountName":null,"onPremisesLastSyncDateTime":null`)
	}
	w.raw(`,"proxyAddresses":[`)
	if k.mail {
		w.text(`"SMTP:`, address)
	}
	w.time(`],"renewedDateTime":"`, created)
	w.number(`,"securityIdentifier":"S-1-12-1-1-`, i)
	w.raw(`"`)
	if k.unified {
		w.raw(`,"visibility":"Private","resourceProvisioningOptions":["Team"]}`)
	} else {
		w.raw(`,"visibility":null,"resourceProvisioningOptions":[]}`)
	}
}

func (t *Tenant) groupID(i int) guid { return t.ids.seal(classGroup, 0, uint64(i)) }
