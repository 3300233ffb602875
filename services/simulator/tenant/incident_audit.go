package tenant

// audits weaves what administrators do.
func (v *weaver) audits() {
	v.roleAudits()
	v.appAudits()
	v.tenantAudits()
	v.methodAudits()
}

// administered is an audit by an administrator.
func (c *labelled) administered(activity, category, service, operation string, to ...target) audit {
	by := c.v.admin(2)
	return audit{
		activity: activity, category: category, service: service, operation: operation, result: success,
		by: &by, address: homeAddress(by.home, by.h), targets: to,
		correlation: c.v.t.ids.seal(classCorrelation, maxA, uint64(c.base)<<8|0xa0),
	}
}

func (c *labelled) audit(a audit) { c.weave(logAudit, woven{at: c.base, audit: &a}) }

func (v *weaver) userTarget(u user, properties ...property) target {
	return target{kind: "User", id: v.t.userID(u.index), who: &u, properties: properties}
}

func (v *weaver) roleAudits() {
	const check, roles = "audit.role_assigned_outside_pim", "RoleManagement"
	role := [...]property{
		{"Role.DisplayName", "", `\"Security Administrator\"`},
		{"Role.TemplateId", "", `\"194ae4cb-b126-40b2-bd5b-6091b380977d\"`},
	}
	pim := &appRef{name: "MS-PIM", known: "01fc33a7-78ba-4d2f-a4b7-768e336e890e", object: v.t.ids.seal(classPrincipal, 4, 0)}
	u := v.member()
	for _, one := range [...]struct {
		activity, service string
		by                *appRef
		fails             bool
		note              string
	}{
		{"Add member to role outside of PIM (permanent)", "PIM", nil, true, "assigned for good outside of PIM"},
		{"Add member to role", coreDirectory, nil, true, "assigned by a person, not by PIM"},
		{"Add member to role", coreDirectory, pim, false, "assigned by PIM"},
		{"Add member to role completed (PIM activation)", "PIM", nil, false, "activated through PIM"},
	} {
		c := v.begin()
		a := c.administered(one.activity, roles, one.service, "Assign", v.userTarget(u, role[:]...))
		a.byApp = one.by
		c.audit(a)
		c.user(check, u, one.fails, one.note)
	}
}

func (v *weaver) appAudits() {
	const apps = "ApplicationManagement"
	app := v.t.ownApp(reservedApps - 1)
	object := v.t.ids.seal(classAppObject, 0, reservedApps-1).String()
	label := func(c *labelled, check string, fails bool, note string) {
		c.label(check, "application", object, fails, note)
	}
	to := func(properties ...property) target {
		return target{kind: "ServicePrincipal", id: app.object, app: &app, properties: properties}
	}

	const key = "audit.app_credential_added"
	added := property{"KeyDescription", "[]", `[\"[KeyIdentifier=1,KeyType=Password,KeyUsage=Verify,DisplayName=x]\"]`}
	c := v.begin()
	c.audit(c.administered("Add service principal credentials", apps, coreDirectory, "Update", to(added)))
	label(c, key, true, "a secret was added; holds if the application is privileged")
	c = v.begin()
	a := c.administered("Add service principal credentials", apps, coreDirectory, "Update", to(added))
	a.result, a.reason = "failure", "Insufficient privileges"
	c.audit(a)
	label(c, key, false, "refused")

	const consent = "audit.consent_granted"
	c = v.begin()
	c.audit(c.administered("Consent to application", apps, coreDirectory, "Assign", to(
		property{"ConsentContext.IsAdminConsent", "", `\"True\"`}, property{"ConsentContext.OnBehalfOfAll", "", `\"True\"`},
		property{"ConsentAction.Permissions", "", `\"[] => [[Scope: Mail.ReadWrite Directory.ReadWrite.All]]\"`})))
	label(c, consent, true, "an administrator consented for everybody")
	c = v.begin()
	c.audit(c.administered("Consent to application", apps, coreDirectory, "Assign", to(
		property{"ConsentContext.IsAdminConsent", "", `\"False\"`}, property{"ConsentContext.OnBehalfOfAll", "", `\"False\"`},
		property{"ConsentAction.Permissions", "", `\"[] => [[Scope: openid profile User.Read]]\"`})))
	label(c, consent, false, "one user, permissions of low risk")
}

func (v *weaver) tenantAudits() {
	domain := target{kind: "Other", name: v.t.population.domain}
	whole := func(c *labelled, check string, fails bool, note string) {
		c.label(check, "tenant", v.t.cfg.ID, fails, note)
	}

	const federation = "audit.federation_changed"
	c := v.begin()
	c.audit(c.administered("Set domain authentication", "DirectoryManagement", coreDirectory, "Update", domain))
	whole(c, federation, true, "the authentication of a domain was set")
	c = v.begin()
	a := c.administered("Set domain authentication", "DirectoryManagement", coreDirectory, "Update", domain)
	a.result, a.reason = "failure", "Insufficient privileges"
	c.audit(a)
	whole(c, federation, false, "refused")

	const elevated, rbac = "audit.elevated_access", "Azure RBAC (Elevated Access)"
	admin := v.admin(2)
	c = v.begin()
	a = c.administered("User has elevated their access to User Access Administrator for their Azure Resources",
		"AzureRBACRoleManagementElevateAccess", rbac, "Assign", v.userTarget(admin))
	a.detail = property{name: "Action", new: "Microsoft.Authorization/elevateAccess/action"}
	c.audit(a)
	c.user(elevated, admin, true, "elevated to User Access Administrator")
	c = v.begin()
	c.audit(c.administered("The role assignment of User Access Administrator has been removed from the user",
		"AzureRBACRoleManagementElevateAccess", rbac, "Unassign", v.userTarget(v.admin(3))))
	c.user(elevated, v.admin(3), false, "the elevation was removed")
}

func (v *weaver) methodAudits() {
	const users = "UserManagement"
	weave := func(check, activity, service, reason string, u user, fails bool, note string) {
		c := v.begin()
		a := c.administered(activity, users, service, "Update", v.userTarget(u))
		a.reason = reason
		c.audit(a)
		c.user(check, u, fails, note)
	}
	someone := func(n int) user { return v.t.population.user(v.guests + 4 + n) }
	const pass = "Admin registered temporary access pass method for user"
	const tap, off, reported = "audit.temporary_access_pass", "audit.mfa_disabled", "audit.suspicious_activity_reported"
	weave(tap, "Admin registered security info", authMethods, pass, v.admin(4), true, "for an administrator")
	weave(tap, "Admin registered security info", authMethods, pass, someone(0), false, "for a user without privileges")
	weave(off, "Disable Strong Authentication", coreDirectory, "", someone(1), true, "MFA disabled")
	weave(off, "Enable Strong Authentication", coreDirectory, "", someone(2), false, "MFA enabled")
	weave(reported, "Suspicious activity reported", authMethods, "", someone(3), true, "the user reported a prompt")
	weave(reported, "User registered security info", authMethods, "User registered Authenticator App with Notification and Code",
		someone(4), false, "registered a method")
}
