package tenant

// DirectoryRoles are the activated roles.
const DirectoryRoles Collection = "directoryRoles"

func (t *Tenant) roleMembers(int) []run { return nil }

// guestAdmin is a guest who holds a role, -1 if there is no guest.
func (t *Tenant) guestAdmin() int {
	for i := t.population.reserved; i < t.population.users; i++ {
		if t.population.isGuest(i) {
			return i
		}
	}
	return -1
}
