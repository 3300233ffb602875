package tenant

import "strconv"

// devices is how many indexes of devices there are: some of each user, but guests have none at theirs.
func (t *Tenant) devices() int { return t.population.users * t.cfg.DevicesPerUser }

// deviceUser is whose device i is.
func (t *Tenant) deviceUser(i int) int { return i / t.cfg.DevicesPerUser }

// hasDevice reports whether there is a device at an index: people's are registered, if they are of a kind that can be.
func (t *Tenant) hasDevice(i int) bool {
	p := &t.population
	if i < 0 || i >= t.devices() || p.isGuest(t.deviceUser(i)) || p.account(t.deviceUser(i)) != person {
		return false
	}
	u := p.user(t.deviceUser(i))
	return deviceKinds[u.deviceOf(i%t.cfg.DevicesPerUser)].trust != ""
}

func (t *Tenant) findDevice(id string) int {
	g, ok := parseGUID(id)
	if !ok || t.cfg.DevicesPerUser == 0 {
		return -1
	}
	c, n, user := t.ids.open(g)
	if c != classDeviceObject && c != classDevice || n >= uint64(t.cfg.DevicesPerUser) || user >= uint64(t.population.users) {
		return -1
	}
	i := int(user)*t.cfg.DevicesPerUser + int(n)
	if !t.hasDevice(i) {
		return -1
	}
	return i
}

// trustType is what the directory calls how a device is joined.
func (k *deviceKind) trustType() string {
	if k.trust == "Hybrid Azure AD joined" {
		return "ServerAd"
	}
	return "Workplace"
}

// platform is the device's operating system with its version, as the directory calls them.
func (k *deviceKind) platform() (system, version string) {
	switch k.system {
	case "MacOs":
		return "MacMDM", "15.6.1"
	case "Ios 18.6":
		return "IPhone", "18.6"
	case "Android 15":
		return "Android", "15.0"
	}
	return "Windows", "10.0.26100.6899"
}

func (w *writer) directoryDevice(i int) {
	if !w.t.hasDevice(i) {
		w.b = nil
		return
	}
	user, n := w.t.deviceUser(i), i%w.t.cfg.DevicesPerUser
	u := w.t.population.user(user)
	kind := &deviceKinds[u.deviceOf(n)]
	system, version := kind.platform()
	h := hash(u.h, 0xdece, uint64(n))
	created := w.t.end - ticks(30+h%700)*perDay
	const stale = 100 // of 100, how few have not been seen for long
	seen := w.t.end - ticks(h>>10%20)*perDay
	if h>>20%stale < 4 {
		seen = w.t.end - ticks(100+h>>30%200)*perDay
	}
	w.guid(`{"id":"`, w.t.deviceObjectID(i))
	w.guid(`,"deviceId":"`, w.t.ids.seal(classDevice, uint64(n), uint64(user)))
	w.raw(`,"displayName":"`)
	w.b = append(u.appendLocal(w.b), '-')
	w.b = strconv.AppendInt(w.b, int64(n), 10)
	w.boolean(`","accountEnabled":`, h>>40%50 != 0)
	w.text(`,"operatingSystem":"`, system)
	w.text(`,"operatingSystemVersion":"`, version)
	w.text(`,"trustType":"`, kind.trustType())
	w.raw(`,"profileType":"RegisteredDevice"`)
	if kind.managed {
		w.boolean(`,"isManaged":true,"isCompliant":`, h>>44%20 != 0)
		w.raw(`,"managementType":"MDM","enrollmentType":"UserEnrollment","deviceOwnership":"Company"`)
	} else {
		w.raw(`,"isManaged":null,"isCompliant":null,"managementType":null,"enrollmentType":null,"deviceOwnership":"Personal"`)
	}
	if kind.trustType() == "ServerAd" {
		w.raw(`,"onPremisesSyncEnabled":true`)
		w.time(`,"onPremisesLastSyncDateTime":"`, w.t.end-perHour)
	} else {
		w.raw(`,"onPremisesSyncEnabled":null,"onPremisesLastSyncDateTime":null`)
	}
	w.time(`,"approximateLastSignInDateTime":"`, seen)
	w.time(`,"createdDateTime":"`, created)
	w.time(`,"registrationDateTime":"`, created)
	w.raw(`,"isRooted":false,"manufacturer":null,"model":null,"mdmAppId":null,"complianceExpirationDateTime":null` +
		`,"deviceCategory":null,"extensionAttributes":{},"physicalIds":[],"systemLabels":[],"alternativeSecurityIds":[],"deletedDateTime":null}`)
}

func (t *Tenant) deviceObjectID(i int) guid {
	return t.ids.seal(classDeviceObject, uint64(i%t.cfg.DevicesPerUser), uint64(t.deviceUser(i)))
}
