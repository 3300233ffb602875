package tenant

// DirectoryRoles are the activated roles.
const DirectoryRoles Collection = "directoryRoles"

func (t *Tenant) roleMembers(int) []run { return nil }
