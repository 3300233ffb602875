package tenant

import "strconv"

// appRef names an application: one of Microsoft's by its well-known id, or one of the tenant's own.
type appRef struct {
	name   string
	number int    // behind the name, if not 0
	known  string // the id, if it is Microsoft's
	id     guid   // else
	object guid   // the service principal in the tenant
}

func (a *appRef) appendName(b []byte) []byte {
	b = append(b, a.name...)
	if a.number > 0 {
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(a.number), 10)
	}
	return b
}

func (a *appRef) appendID(b []byte) []byte {
	if a.known != "" {
		return append(b, a.known...)
	}
	return a.id.appendTo(b)
}

// firstParty is one of Microsoft's applications, and what users sign in to with it.
type firstParty struct {
	name, id string
	weight   int
	resource int // index of resources
	mobile   bool
	browser  bool
}

// firstParties are the clients that people use; the weights sum to firstPartyTotal.
var firstParties = [...]firstParty{
	{"Office365 Shell WCSS-Client", "89bee1f7-5e6e-4d8a-9f3d-ecd601259da7", 140, graphResource, false, true},
	{"Microsoft Teams", "1fec8e78-bce4-4aaf-ab1b-5451cc387264", 200, teamsResource, true, false},
	{"Outlook Mobile", "27922004-5251-4030-b22d-91ecd9a37ea4", 120, exchangeResource, true, false},
	{"One Outlook Web", "9199bf20-a13f-4107-85dc-02114787ef48", 140, exchangeResource, false, true},
	{"Microsoft Office", "d3590ed6-52b3-4102-aeff-aad2292ab01c", 120, graphResource, false, false},
	{"SharePoint Online Web Client Extensibility", "08e18876-6177-487e-b8b5-cf950c1e598c", 90, sharePointResource, false, true},
	{"OneDrive SyncEngine", "ab9b8c07-8f02-4f72-87fa-80105867a763", 60, sharePointResource, false, false},
	{"My Apps", "2793995e-0a7d-40d7-bd35-6968ba142197", 40, graphResource, false, true},
	{"Azure Portal", "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", 30, azureResource, false, true},
	{"Microsoft Edge", "ecd6b820-32c2-49b6-98a6-444530e5a77a", 40, graphResource, true, false},
	{"Windows Sign In", "38aa3b87-a06d-4817-b275-7a316988d93b", 20, directoryResource, false, false},
}

const (
	firstPartyTotal = 1000
	azurePortal     = 8
	officeClient    = 4
)

// The indexes of resources.
const (
	graphResource = iota
	exchangeResource
	sharePointResource
	azureResource
	directoryResource
	teamsResource
	vaultResource
)

// resources are what is signed in to.
var resources = [...]appRef{
	{name: "Microsoft Graph", known: "00000003-0000-0000-c000-000000000000"},
	{name: "Office 365 Exchange Online", known: "00000002-0000-0ff1-ce00-000000000000"},
	{name: "Office 365 SharePoint Online", known: "00000003-0000-0ff1-ce00-000000000000"},
	{name: "Windows Azure Service Management API", known: "797f4846-ba00-4fd7-ba43-dac1f8f63013"},
	{name: "Windows Azure Active Directory", known: "00000002-0000-0000-c000-000000000000"},
	{name: "Microsoft Teams Services", known: "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe"},
	{name: "Azure Key Vault", known: "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"},
}

// The layout of the tenant's own applications: the integration's is the first, then those of posture
// cases, then ordinary ones.
const (
	integrationApp = 0
	reservedApps   = 16
)

// apps is how many applications the tenant has of its own.
func (p *population) apps() int {
	const perApp, least, most = 50, 24, 2000
	return min(max(p.users/perApp, least), most)
}

// managed is how many managed identities there are.
func (p *population) managed() int {
	const perIdentity, least, most = 100, 6, 1000
	return min(max(p.users/perIdentity, least), most)
}

// ownApp returns application i of the tenant.
func (t *Tenant) ownApp(i int) appRef {
	a := appRef{id: t.appID(i), object: t.ids.seal(classPrincipal, 0, uint64(i))}
	if i == integrationApp {
		a.name = "Entraflow"
		return a
	}
	a.name, a.number = appNames[i%len(appNames)], i/len(appNames)
	return a
}

// appID returns the application id of application i.
func (t *Tenant) appID(i int) guid {
	if i == integrationApp {
		// A Config names it as text; Validate has checked the form.
		g, _ := parseGUID(t.cfg.ClientID)
		return g
	}
	return t.ids.seal(classApp, 0, uint64(i))
}

// managedIdentity returns managed identity i.
func (t *Tenant) managedIdentity(i int) appRef {
	return appRef{
		name: "vm-" + [...]string{"backup", "web", "build", "batch"}[i%4], number: i,
		id: t.ids.seal(classManagedApp, 0, uint64(i)), object: t.ids.seal(classManaged, 0, uint64(i)),
	}
}

// keyID returns the id of key n of application i.
func (t *Tenant) keyID(i, n int) guid { return t.ids.seal(classKey, uint64(i), uint64(n)) }
