package tenant

import "strconv"

// attacks weaves what comes from outside: sprays, floods and attempts on disabled accounts.
func (v *weaver) attacks() {
	const victims = 12
	var sprayed [victims]user
	for i := range sprayed {
		sprayed[i] = v.member()
	}
	v.spray(sprayed[:], 40*perSecond, true, "12 accounts failed from one address within 8 minutes")
	v.spray(sprayed[:8], 40*perSecond, false, "8 accounts only")
	v.spray(sprayed[:], 15*perMinute, false, "12 accounts, but in 3 hours: never 10 within 10 minutes")
	var same [victims]user
	for i := range same {
		same[i] = sprayed[0]
	}
	v.spray(same[:], 40*perSecond, false, "12 failures, but of one account")

	v.flood(6, 80*perSecond, true, "6 failed MFA steps within 7 minutes")
	v.flood(4, 80*perSecond, false, "4 failed MFA steps")
	v.flood(6, 12*perMinute, false, "6 failed MFA steps in an hour: never 5 within 10 minutes")

	v.disabled(4, 5*perMinute, true, "4 attempts on disabled accounts within 15 minutes")
	v.disabled(2, 5*perMinute, false, "2 attempts only")
	v.disabled(4, 75*perMinute, false, "4 attempts, but never 3 within an hour")
}

func (v *weaver) spray(victims []user, gap ticks, fails bool, note string) {
	c := v.begin()
	for i, u := range victims {
		s := c.usual(u, ticks(i)*gap)
		s.from(v.number, &farPlaces[3])
		s.client = browserClient
		v.t.failed(&s, 50126)
		c.signIn(logInteractive, s)
	}
	c.label("signin.password_spray", "ip_address", attackAddress(v.number).String(), fails, note)
	if !fails {
		return
	}
	// The last one's password is right; MFA stops it.
	s := c.usual(victims[0], ticks(len(victims))*gap)
	s.from(v.number, &farPlaces[3])
	v.t.failed(&s, 50076)
	c.events, c.from, c.to = nil, 0, 0
	c.signIn(logInteractive, s)
	c.user("signin.password_known_mfa_blocked", victims[0], true, "the spray found the password, MFA stopped it")
}

func (v *weaver) flood(times int, gap ticks, fails bool, note string) {
	c, u := v.begin(), v.member()
	for i := range times {
		s := c.usual(u, ticks(i)*gap)
		v.t.failed(&s, 500121)
		c.signIn(logInteractive, s)
	}
	c.user("signin.mfa_flood", u, fails, note)
}

func (v *weaver) disabled(times int, gap ticks, fails bool, note string) {
	c := v.begin()
	for i := range times {
		s := c.usual(v.t.population.user(disabledFirst+i), ticks(i)*gap)
		s.from(v.number, &farPlaces[3])
		v.t.failed(&s, 50057)
		c.signIn(logInteractive, s)
	}
	c.label("signin.disabled_account_attempts", "ip_address", attackAddress(v.number).String(), fails, note)
}

// logins weaves what shows in single sign-ins or a few of one user.
func (v *weaver) logins() {
	v.travel()
	v.countries()
	v.sessions()
	v.administrators()
	v.expiredSecret()

	const legacy, code, ropc = "signin.legacy_protocol", "signin.device_code", "signin.ropc"
	imap := func(s *signIn) {
		s.client, s.multiFactor, s.access, s.steps, s.detail = "IMAP4", false, accessNotApplied, passwordRight, ""
	}
	v.single(legacy, logInteractive, true, "success over IMAP", imap)
	v.single(legacy, logInteractive, false, "IMAP, but blocked by policy", func(s *signIn) {
		imap(s)
		v.t.failed(s, 53003)
	})
	v.single(code, logInteractive, true, "success by device code", func(s *signIn) { s.protocol = "deviceCode" })
	v.single(code, logNonInteractive, true, "token of a login by device code", func(s *signIn) {
		s.transfer, s.token = "deviceCodeFlow", "refreshToken"
	})
	v.single(code, logInteractive, false, "authentication transfer, not a device code", func(s *signIn) {
		s.transfer = "authenticationTransfer"
	})
	v.single(ropc, logInteractive, true, "success by resource-owner password flow", func(s *signIn) {
		imap(s)
		s.client, s.protocol = desktopClient, "ropc"
	})
	v.single(ropc, logInteractive, false, "resource-owner password flow with a wrong password", func(s *signIn) {
		s.protocol = "ropc"
		v.t.failed(s, 50126)
	})
}

// single weaves one sign-in of a user that differs from the usual.
func (v *weaver) single(check string, log int, fails bool, note string, differ func(*signIn)) {
	c, u := v.begin(), v.member()
	s := c.usual(u, 0)
	differ(&s)
	c.signIn(log, s)
	c.user(check, u, fails, note)
}

func (v *weaver) travel() {
	const check = "signin.impossible_travel"
	c, u := v.begin(), v.member()
	c.signIn(logInteractive, c.usual(u, 0))
	s := c.usual(u, perHour)
	s.from(v.number, &farPlaces[2])
	c.signIn(logInteractive, s)
	c.user(check, u, true, "from home to Hanoi in an hour")
	c.events = c.events[1:]
	c.user("signin.new_country_tenant", u, true, "the first success from VN")

	v.offices(perHour, true, "between two offices in an hour, but on a known and managed device")
	// A shorter history has no room for it.
	if v.t.cfg.Days > 3 {
		v.offices(-30*perHour, false, "between two offices, in 30 hours")
	}
}

// offices weaves a near miss of travel between the first two of the tenant's places.
func (v *weaver) offices(gap ticks, managed bool, note string) {
	c, u := v.begin(), v.member()
	for i := range 2 {
		s := c.usual(u, ticks(i)*gap)
		s.place, s.session = &places[v.t.population.homes[i]], guid{}
		if managed {
			s.device, s.deviceID = windowsManaged, v.t.ids.seal(classDevice, 0, uint64(u.index))
		} else {
			s.device, s.deviceID = unknownBrowser, guid{}
		}
		c.signIn(logInteractive, s)
	}
	c.user("signin.impossible_travel", u, false, note)
}

func (v *weaver) countries() {
	const check = "signin.new_country_tenant"
	v.single(check, logInteractive, true, "the first success from NG", func(s *signIn) { s.from(v.number, &farPlaces[0]) })
	v.single(check, logInteractive, false, "a wrong password from BY, no success", func(s *signIn) {
		s.from(v.number, &farPlaces[1])
		v.t.failed(s, 50126)
	})
}

func (v *weaver) sessions() {
	const check = "signin.session_hijack"
	v.hijack(check, true, "one session at two addresses in different networks within 20 minutes", func(s *signIn) {
		home := *s.place
		home.asn = 64500 // reserved for documentation
		session := s.session
		s.from(v.number, &home)
		s.session = session
	})
	v.hijack(check, false, "one session with two user agents, but one address", func(s *signIn) {
		s.agent = deviceKinds[attackerPC].agent
	})
	v.hijack(check, false, "one session at two addresses of one network", func(s *signIn) {
		s.address = homeAddress(s.who.home, s.who.h+1<<8)
	})
}

// hijack weaves two sign-ins of one session.
func (v *weaver) hijack(check string, fails bool, note string, differ func(*signIn)) {
	c, u := v.begin(), v.member()
	first := c.usual(u, 0)
	first.session = v.t.ids.seal(classSession, maxA, uint64(v.number))
	c.signIn(logInteractive, first)
	second := c.usual(u, 20*perMinute)
	second.session, second.token, second.steps = first.session, "refreshToken", satisfiedByClaim
	differ(&second)
	c.signIn(logNonInteractive, second)
	c.user(check, u, fails, note)
}

func (v *weaver) administrators() {
	const check = "signin.ca_not_applied_admin"
	weave := func(u user, code int, fails bool, note string) {
		c := v.begin()
		s := c.usual(u, 0)
		v.t.useFirstParty(&s, azurePortal)
		s.multiFactor, s.access, s.steps, s.detail = false, accessNotApplied, passwordRight, ""
		if code != 0 {
			v.t.failed(&s, code)
		}
		c.signIn(logInteractive, s)
		c.user(check, u, fails, note)
	}
	weave(v.admin(0), 0, true, "an administrator's success without Conditional Access")
	weave(v.admin(1), 50126, false, "an administrator's wrong password")
	weave(v.member(), 0, false, "not privileged")
}

// expiredSecret weaves the use of a secret that has expired.
func (v *weaver) expiredSecret() {
	const times = 3
	for i := range times {
		s := signIn{at: v.t.end - ticks(4+i)*perHour, protocol: "none", token: "none"}
		v.t.asPrincipal(&s, appExpiredUsed)
		s.code, s.correlation = 7000222, v.t.ids.seal(classCorrelation, maxA-1, uint64(i))
		v.t.series[logServicePrincipal].weave(woven{at: s.at, signIn: &s})
	}
}

// risks weaves risk detections and risky users.
func (v *weaver) risks() {
	v.risk("medium", 0, true, "a medium detection names the success")
	v.risk("low", 0, false, "a low detection")
	v.risk("high", 50126, false, "a high detection, but the sign-in failed")

	const check = "user.risk_unresolved"
	states := [...]struct {
		days                 int
		level, state, detail string
		fails                bool
	}{
		{5, "high", "atRisk", "none", true},
		{5, "low", "atRisk", "none", false},
		{1, "high", "atRisk", "none", false},
		{5, "none", "remediated", "userPerformedSecuredPasswordReset", false},
	}
	for i, s := range states {
		// In the last day of a history there is no state that is older than one.
		if v.t.cfg.Days < 6 {
			return
		}
		c, u := v.begin(), v.t.population.user(v.guests+i)
		c.weave(logRiskyUser, woven{
			at:    v.t.end - ticks(s.days)*perDay + 7,
			risky: &riskyState{who: u, level: s.level, state: s.state, detail: s.detail},
		})
		c.user(check, u, s.fails, s.state+" at level "+s.level+" for "+strconv.Itoa(s.days)+" days")
	}
}

func (v *weaver) risk(level string, code int, fails bool, note string) {
	c, u := v.begin(), v.member()
	s := c.usual(u, 0)
	if code != 0 {
		v.t.failed(&s, code)
	}
	s.risk = risk{"none", level, level, "atRisk", "anonymizedIPAddress"}
	id := c.signIn(logInteractive, s)
	request, _ := parseGUID(id)
	c.weave(logRiskDetection, woven{at: s.at + 3*perMinute, detection: &detection{
		event: "anonymizedIPAddress", level: level, state: "atRisk", detail: "none", timing: "realtime", request: request,
		correlation: s.correlation, address: s.address, place: s.place, who: u, activity: s.at,
	}})
	c.user("signin.risk_detected", u, fails, note)
}
