package tenant

import "net/netip"

// steps say what authenticationDetails holds.
type steps uint8

const (
	stepsNone steps = iota
	passwordRight
	passwordWrong
	passwordAndMFA
	passwordMFAAsked
	passwordMFADenied
	satisfiedByClaim
	accountDisabled
)

// access is the verdict of Conditional Access.
type access uint8

const (
	accessNotApplied access = iota
	accessGranted
	accessRefused
)

// risk are a sign-in's risk fields.
type risk struct{ detail, aggregated, during, state, event string }

// signIn is a sign-in before it is written. Every field has the record's meaning; empty is absent.
type signIn struct {
	log         int
	id          guid
	at          ticks
	isUser      bool
	who         user   // of the two logs of users
	principal   appRef // of the others
	key         guid   // the credential used
	credential  string // clientCredentialType
	app         appRef
	resource    *appRef
	address     netip.Addr
	place       *place
	office      bool
	device      int // index of deviceKinds
	deviceID    guid
	client      string // clientAppUsed
	protocol    string
	transfer    string
	token       string // incomingTokenType
	agent       string // overrides the device's
	code        int
	detail      string // status.additionalDetails
	steps       steps
	access      access
	multiFactor bool
	risk        risk
	session     guid
	correlation guid
	h           uint64 // for what no check looks at
}

const (
	browserClient = "Browser"
	desktopClient = "Mobile Apps and Desktop clients"
	oauth2        = "oAuth2"
)

// signInOf returns a record of the four logs of sign-ins.
func (t *Tenant) signInOf(log int, slot int64, h head) signIn {
	if h.index < 0 {
		s := *t.series[log].woven[-1-h.index].signIn
		s.id, s.at, s.log = t.recordGUID(log, slot, h), h.at, log
		s.h = hash(t.cfg.Seed, s.id.hi)
		return s
	}
	r := rng{hash(t.cfg.Seed, uint64(log), uint64(slot), uint64(h.index))}
	s := signIn{
		log: log, id: t.recordGUID(log, slot, h), at: h.at, h: r.next(), protocol: "none", token: "none",
		correlation: t.ids.seal(classCorrelation, uint64(slot), uint64(log)<<32|uint64(h.index)),
	}
	switch log {
	case logInteractive:
		t.interactive(&s, &r)
	case logNonInteractive:
		t.nonInteractive(&s, &r)
	case logServicePrincipal:
		t.principalSignIn(&s, &r)
	default:
		t.managedSignIn(&s, &r)
	}
	return s
}

// asUser fills who signs in, from where and with which of the devices.
func (t *Tenant) asUser(s *signIn, u user, device int, office bool) {
	s.isUser, s.who, s.office = true, u, office
	s.place = &places[u.home]
	s.address = homeAddress(u.home, u.h)
	if office {
		s.address = officeAddress(u.home)
	}
	s.device = u.deviceOf(device)
	if deviceKinds[s.device].trust != "" {
		s.deviceID = t.ids.seal(classDevice, uint64(device), uint64(u.index))
	}
	s.session = t.sessionOf(s, device)
}

// sessionOf returns the session of a sign-in: a client of a device at one address, for a day.
func (t *Tenant) sessionOf(s *signIn, device int) guid {
	day := uint64(s.at / perDay)
	place := uint64(device)<<2 | boolBit(s.office)<<1 | boolBit(s.client == browserClient)
	return t.ids.seal(classSession, place, day<<28|uint64(s.who.index))
}

func boolBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// somewhere picks the application, the user, the device and whether it is in the office.
func (t *Tenant) somewhere(s *signIn, r *rng) {
	t.useApp(s, r)
	u := t.someUser(r, s.at)
	const phone, other = 2500, 300
	device := 0
	if n := r.below(10_000); n < phone {
		device = 1
	} else if n < phone+other {
		device = 2
	}
	const atOffice = 4500
	t.asUser(s, u, device, !u.guest && device != 2 && r.chance(atOffice))
}

// useApp picks the application.
func (t *Tenant) useApp(s *signIn, r *rng) {
	const own = 1500
	s.client, s.resource = browserClient, &resources[graphResource]
	if r.chance(own) {
		s.app = t.ownApp(reservedApps + r.below(t.population.apps()-reservedApps))
		return
	}
	n, i := r.below(firstPartyTotal), 0
	for n >= firstParties[i].weight {
		n -= firstParties[i].weight
		i++
	}
	t.useFirstParty(s, i)
}

func (t *Tenant) useFirstParty(s *signIn, i int) {
	p := &firstParties[i]
	s.app = appRef{name: p.name, known: p.id, object: t.ids.seal(classPrincipal, 1, uint64(i))}
	s.resource = &resources[p.resource]
	s.client = desktopClient
	if p.browser {
		s.client = browserClient
	}
}

func (t *Tenant) interactive(s *signIn, r *rng) {
	t.somewhere(s, r)
	s.protocol = oauth2
	s.code = r.outcome(interactiveCodes[:])
	t.settle(s, r)
}

// settle fills what follows from an interactive sign-in's code.
func (t *Tenant) settle(s *signIn, r *rng) {
	switch s.code {
	case 0, 50140, 50199, 50125, 16000:
		t.settleSuccess(s, r)
	case 50126:
		s.steps = passwordWrong
	case 50053:
		s.steps = passwordWrong
	case 50057:
		s.steps = accountDisabled
	case 50074, 50076:
		s.steps, s.multiFactor, s.access = passwordMFAAsked, true, accessRefused
		s.detail = "MFA required in Azure AD"
	case 500121:
		s.steps, s.multiFactor, s.access = passwordMFADenied, true, accessRefused
		s.detail = "MFA denied; user did not respond to mobile app notification"
	case 53003, 53000:
		s.steps, s.access = passwordRight, accessRefused
	default:
		s.steps = passwordRight
	}
}

func (t *Tenant) settleSuccess(s *signIn, r *rng) {
	const single, claim = 2000, 7500
	if !t.population.isAdmin(s.who.index) && r.chance(single) {
		s.steps = passwordRight
		return
	}
	s.multiFactor, s.access, s.steps = true, accessGranted, passwordAndMFA
	s.detail = "MFA completed in Azure AD"
	if r.chance(claim) {
		s.steps, s.token = satisfiedByClaim, "primaryRefreshToken"
		s.detail = "MFA requirement satisfied by claim in the token"
	}
	const risky = 30
	if s.code == 0 && r.chance(risky) {
		s.risk = risk{"userPassedMFADrivenByRiskBasedPolicy", "low", "low", "remediated", "unfamiliarFeatures"}
	}
}

func (t *Tenant) nonInteractive(s *signIn, r *rng) {
	t.somewhere(s, r)
	s.protocol, s.token, s.steps = oauth2, "refreshToken", satisfiedByClaim
	const primary = 4000
	if r.chance(primary) {
		s.token = "primaryRefreshToken"
	}
	s.multiFactor, s.access = true, accessGranted
	s.detail = "MFA requirement satisfied by claim in the token"
	// Most tokens are renewed without a verdict or steps of their own.
	const bare = 6000
	if r.chance(bare) {
		s.multiFactor, s.access, s.steps, s.detail = false, accessNotApplied, stepsNone, ""
	}
	if s.code = r.outcome(nonInteractiveCodes[:]); s.code != 0 {
		s.steps, s.access, s.detail = stepsNone, accessNotApplied, ""
		if s.code == 53003 || s.code == 53000 {
			s.access = accessRefused
		}
	}
}

func (t *Tenant) principalSignIn(s *signIn, r *rng) {
	i := integrationApp
	const integration = 500
	if !r.chance(integration) {
		i = reservedApps + r.below(t.population.apps()-reservedApps)
	}
	t.asPrincipal(s, i)
	s.code = r.outcome(principalCodes[:])
	const exchange = 2500
	if r.chance(exchange) {
		s.resource = &resources[exchangeResource]
	}
}

// asPrincipal fills a sign-in of one of the tenant's applications with its own credential.
func (t *Tenant) asPrincipal(s *signIn, i int) {
	s.principal = t.ownApp(i)
	s.app, s.resource = s.principal, &resources[graphResource]
	s.key, s.credential = t.keyID(i, 0), "clientSecret"
	const certificates = 4
	if i%certificates == 1 {
		s.credential = "clientAssertion"
	}
	s.place, s.address, s.device = &cloud[0], cloudAddress(uint64(i)), noDevice
}

func (t *Tenant) managedSignIn(s *signIn, r *rng) {
	i := r.below(t.population.managed())
	s.principal = t.managedIdentity(i)
	s.app, s.credential = s.principal, "managedIdentity"
	s.resource = &resources[[...]int{azureResource, vaultResource, graphResource}[i%3]]
	s.device = noDevice
}

// change turns a sign-in into its second form: what Entra found out later.
func (s *signIn) change() {
	if s.code == 0 && s.access != accessGranted {
		s.access, s.multiFactor, s.detail = accessGranted, true, "MFA completed in Azure AD"
		return
	}
	s.risk = risk{"none", "low", "none", "atRisk", "unfamiliarFeatures"}
	if s.h%2 == 0 {
		s.risk = risk{"adminDismissedAllRiskForUser", "none", "none", "dismissed", "unfamiliarFeatures"}
	}
}
