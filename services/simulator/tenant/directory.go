package tenant

import "time"

// Collection is a collection of directory objects, by its name in Graph's paths.
type Collection string

// The collections that can be changed, and those that belong to them.
const (
	Users             Collection = "users"
	Groups            Collection = "groups"
	Devices           Collection = "devices"
	Organizations     Collection = "organization"
	SubscribedSkus    Collection = "subscribedSkus"
	Applications      Collection = "applications"
	ServicePrincipals Collection = "servicePrincipals"
)

// kind is how a collection is generated.
type kind struct {
	count func(*Tenant) int
	write func(*writer, int)
	find  func(*Tenant, string) int
}

// kindOf returns how a collection is generated; ok is false if it does not exist. It is a function and no table,
// because the functions in it need it themselves.
func kindOf(c Collection) (k kind, ok bool) {
	switch c {
	case Users:
		return kind{(*Tenant).users, (*writer).directoryUser, (*Tenant).findUser}, true
	case Groups:
		return kind{(*Tenant).groups, (*writer).group, (*Tenant).findGroup}, true
	case Devices:
		return kind{(*Tenant).devices, (*writer).directoryDevice, (*Tenant).findDevice}, true
	case Organizations:
		return kind{one, (*writer).organization, (*Tenant).findOrganization}, true
	case SubscribedSkus:
		return kind{(*Tenant).countSkus, (*writer).sku, (*Tenant).findSku}, true
	case Applications:
		return kind{(*Tenant).applications, (*writer).application, (*Tenant).findApplication}, true
	case ServicePrincipals:
		return kind{(*Tenant).principals, (*writer).servicePrincipal, (*Tenant).findPrincipal}, true
	case DirectoryRoles:
		return kind{(*Tenant).countRoles, (*writer).role, (*Tenant).findRole}, true
	case RoleDefinitions:
		return kind{(*Tenant).countDefinitions, (*writer).roleDefinition, (*Tenant).findDefinition}, true
	case RoleAssignments:
		return kind{(*Tenant).countAssignments, (*writer).roleAssignment, (*Tenant).findAssignment}, true
	case RoleAssignmentInstances:
		return kind{(*Tenant).countAssignments, (*writer).roleInstance, (*Tenant).findInstance}, true
	case RoleEligibilities:
		return kind{(*Tenant).countEligibilities, (*writer).roleEligibility, (*Tenant).findEligibility}, true
	case OAuth2PermissionGrants:
		return kind{(*Tenant).countGrants, (*writer).grant, (*Tenant).findGrant}, true
	}
	return postureKind(c)
}

// Count returns how many indexes the collection has: 0 if it does not exist. Devices, managed devices and grants have indexes
// without an object.
func (t *Tenant) Count(c Collection) int {
	k, ok := kindOf(c)
	if !ok {
		return 0
	}
	return k.count(t)
}

// Object returns object i of the collection, 0 to Count-1, as Graph beta's JSON in one line with
// all properties that this package knows (signInActivity of users too: remove what was not
// selected). At is the time of the read. Nil if there is no such object.
func (t *Tenant) Object(c Collection, i int, at time.Time) []byte {
	k, ok := kindOf(c)
	if !ok || i < 0 || i >= k.count(t) {
		return nil
	}
	const usual = 3 << 10 // a user's length: growing costs as much as writing
	w := writer{t: t, f: form{at: ticksOf(at)}, b: make([]byte, 0, usual)}
	k.write(&w, i)
	return w.b
}

// Find returns the index of the object with this id, or -1. Users are found by user principal
// name too, applications and service principals by appId too.
func (t *Tenant) Find(c Collection, id string) int {
	k, ok := kindOf(c)
	if !ok {
		return -1
	}
	return k.find(t, id)
}

func one(*Tenant) int { return 1 }

func (t *Tenant) users() int { return t.population.users }

func (t *Tenant) applications() int { return t.population.apps() }

func (t *Tenant) countSkus() int { return len(t.skus()) }

func (t *Tenant) principals() int {
	return t.population.apps() + t.population.managed() + len(galleryApps) + len(firstParties) + len(resources)
}

func (t *Tenant) findApplication(id string) int { return t.findApp(id, classAppObject) }

func (t *Tenant) findOrganization(id string) int {
	if id == t.cfg.ID {
		return 0
	}
	return -1
}

func (t *Tenant) findSku(id string) int {
	for i, s := range t.skus() {
		if id == t.cfg.ID+"_"+s.id {
			return i
		}
	}
	return -1
}

// findApp finds one of the tenant's own applications by appId, or by an object id of a class.
func (t *Tenant) findApp(id string, object class) int {
	g, ok := parseGUID(id)
	if !ok {
		return -1
	}
	if g == t.appID(integrationApp) {
		return integrationApp
	}
	c, a, b := t.ids.open(g)
	known := c == object && a == 0 || c == classApp && a == 0 && b != integrationApp
	if !known || b >= uint64(t.population.apps()) {
		return -1
	}
	return int(b)
}

// principal returns service principal i with its type.
func (t *Tenant) principal(i int) (ref appRef, kind string) {
	if i < t.population.apps() {
		return t.ownApp(i), "Application"
	}
	if i -= t.population.apps(); i < t.population.managed() {
		return t.managedIdentity(i), "ManagedIdentity"
	}
	if i -= t.population.managed(); i < len(galleryApps) {
		return appRef{name: galleryApps[i], id: t.ids.seal(classApp, 1, uint64(i)), object: t.galleryPrincipal(i)}, "Application"
	}
	i -= len(galleryApps)
	if n := i - len(firstParties); n >= 0 {
		ref = resources[n]
		ref.object = t.ids.seal(classPrincipal, 2, uint64(n))
		return ref, "Application"
	}
	p := &firstParties[i]
	return appRef{name: p.name, known: p.id, object: t.ids.seal(classPrincipal, 1, uint64(i))}, "Application"
}

func (t *Tenant) findPrincipal(id string) int {
	if i := t.findApp(id, classPrincipal); i >= 0 {
		return i
	}
	if g, ok := parseGUID(id); ok {
		c, a, b := t.ids.open(g)
		if (c == classManaged || c == classManagedApp) && a == 0 && b < uint64(t.population.managed()) {
			return t.population.apps() + int(b)
		}
	}
	for i := t.population.apps() + t.population.managed(); i < t.Count(ServicePrincipals); i++ {
		ref, _ := t.principal(i)
		if id == ref.object.String() || id == string(ref.appendID(nil)) {
			return i
		}
	}
	return -1
}

// sku is a product that the tenant has bought.
type sku struct {
	id, part string
	plans    []servicePlan
}

type servicePlan struct{ id, name string }

func (t *Tenant) skus() []sku {
	p1 := servicePlan{"41781fb2-bc02-4b7c-bd55-b576c07bb09d", "AAD_PREMIUM"}
	p2 := servicePlan{"eec0eb4f-6444-4f95-aba0-50c24d67f998", "AAD_PREMIUM_P2"}
	intune := servicePlan{"c1ec4a95-1f05-45b3-a911-aa3fa01094f5", "INTUNE_A"}
	exchange := servicePlan{"9aaf7827-d63c-4b61-89c3-182f06f82e5c", "EXCHANGE_S_STANDARD"}
	all := []sku{{"3b555118-da6a-4418-894f-7df1e2096870", "O365_BUSINESS_ESSENTIALS", []servicePlan{exchange}}}
	switch t.cfg.Licence {
	case P1:
		all = append(all, sku{"078d2b04-f1bd-4111-bbd4-b4b1b354cef4", "AAD_PREMIUM", []servicePlan{p1}})
	case P2:
		all = append(all, sku{"84a661c4-e949-4bd2-a560-ed7766fcaf2b", "AAD_PREMIUM_P2", []servicePlan{p1, p2}})
	case Free:
	}
	if t.cfg.Intune {
		all = append(all, sku{"061f9ace-7d42-4136-88ac-31dc755f143f", "INTUNE_A", []servicePlan{intune}})
	}
	return all
}

func (w *writer) sku(i int) {
	s := w.t.skus()[i]
	w.text(`{"id":"`, w.t.cfg.ID)
	w.b = append(w.b[:len(w.b)-1], '_')
	w.raw(s.id)
	w.text(`","skuId":"`, s.id)
	w.text(`,"skuPartNumber":"`, s.part)
	w.raw(`,"appliesTo":"User","capabilityStatus":"Enabled"`)
	w.number(`,"consumedUnits":`, w.t.population.users)
	w.number(`,"prepaidUnits":{"enabled":`, w.t.population.users+w.t.population.users/10+1)
	w.raw(`,"suspended":0,"warning":0,"lockedOut":0},"servicePlans":[`)
	for i, p := range s.plans {
		if i > 0 {
			w.raw(",")
		}
		w.text(`{"servicePlanId":"`, p.id)
		w.text(`,"servicePlanName":"`, p.name)
		w.raw(`,"provisioningStatus":"Success","appliesTo":"User"}`)
	}
	w.raw("]}")
}

func (w *writer) organization(int) {
	w.text(`{"id":"`, w.t.cfg.ID)
	w.text(`,"displayName":"`, w.t.population.domain)
	w.time(`,"createdDateTime":"`, w.t.end-3000*perDay)
	w.text(`,"countryLetterCode":"`, places[w.t.population.homes[0]].country)
	w.time(`,"tenantType":"AAD","onPremisesSyncEnabled":true,"onPremisesLastSyncDateTime":"`, w.t.end-perHour)
	w.raw(`,"technicalNotificationMails":[],"assignedPlans":[`)
	first := true
	for _, s := range w.t.skus() {
		for _, p := range s.plans {
			if !first {
				w.raw(",")
			}
			first = false
			w.text(`{"servicePlanId":"`, p.id)
			w.text(`,"service":"`, p.name)
			w.time(`,"assignedDateTime":"`, w.t.end-1000*perDay)
			w.raw(`,"capabilityStatus":"Enabled"}`)
		}
	}
	w.text(`],"verifiedDomains":[{"name":"`, w.t.population.domain)
	w.raw(`,"type":"Managed","isDefault":true,"isInitial":true,"capabilities":"Email, OfficeCommunicationsOnline"}]}`)
}

// Collections returns all collections. The slice is the caller's.
func Collections() []Collection {
	return []Collection{
		Users, Groups, Devices, Organizations, SubscribedSkus, Applications, ServicePrincipals, DirectoryRoles, RoleDefinitions,
		RoleAssignments, RoleAssignmentInstances, RoleEligibilities, OAuth2PermissionGrants, Domains, AccessPolicies, NamedLocations,
		SecurityDefaults, AuthorizationPolicies, MethodsPolicies, Strengths, CrossTenantDefaults, CrossTenantPartners,
		ManagedDevices, DeviceConfigurations, CompliancePolicies, MobileApps, DetectedApps,
	}
}
