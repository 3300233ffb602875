package tenant

// credential is a secret or certificate of an application.
type credential struct {
	key         int // its id is keyID(application, key)
	certificate bool
	start, end  ticks
}

// The applications with credentials of their own, behind the integration's.
const (
	appExpiring     = 1 // ends in 20 days
	appRenewed      = 2 // ends in 20 days, with a later one
	appExpiredUsed  = 3 // expired, and still used: 7000222
	appExpiredIdle  = 4 // expired, and nobody uses it
	appLongLived    = 5 // two years
	appJustLong     = 6 // 365 days
	appSAMLCert     = 7 // a certificate that ends in 60 days
	appFarEnd       = 8 // ends in 120 days
	integrationEnds = 60 * perDay
)

// credentials returns an application's credentials.
func (t *Tenant) credentials(i int) []credential {
	c := credential{start: t.end - 100*perDay, end: t.end + 120*perDay + ticks(i%100)*perDay}
	const certificates = 4
	c.certificate = i >= reservedApps && i%certificates == 1
	later := credential{key: 1, start: t.end - 10*perDay, end: t.end + 300*perDay}
	switch i {
	case integrationApp:
		c.end = t.end + integrationEnds
	case appExpiring:
		c.end = t.end + 20*perDay
	case appRenewed:
		c.end = t.end + 20*perDay
		return []credential{c, later}
	case appExpiredUsed, appExpiredIdle:
		c.start, c.end = t.end-200*perDay, t.end-10*perDay
	case appLongLived:
		c.end = c.start + 730*perDay
	case appJustLong:
		c.end = c.start + 365*perDay
	case appSAMLCert:
		c.certificate, c.end = true, t.end+60*perDay
	case appFarEnd:
		c.end = t.end + 120*perDay
	}
	return []credential{c}
}

func (w *writer) application(i int) {
	a := w.t.ownApp(i)
	w.guid(`{"id":"`, w.t.ids.seal(classAppObject, 0, uint64(i)))
	w.appID(`,"appId":"`, &a)
	w.appName(`,"displayName":"`, &a)
	w.raw(`,"signInAudience":"AzureADMyOrg"`)
	w.text(`,"publisherDomain":"`, w.t.population.domain)
	w.time(`,"createdDateTime":"`, w.t.end-400*perDay)
	w.raw(`,"identifierUris":[],"requiredResourceAccess":[],"tags":[],"notes":null,"description":null,"disabledByMicrosoftStatus":null` +
		`,"isFallbackPublicClient":null,"web":{"redirectUris":[],"implicitGrantSettings":{"enableAccessTokenIssuance":false,"enableIdTokenIssuance":false}}` +
		`,"spa":{"redirectUris":[]},"publicClient":{"redirectUris":[]},"servicePrincipalLockConfiguration":null,"deletedDateTime":null,"passwordCredentials":[`)
	w.credentials(i, false)
	w.raw(`],"keyCredentials":[`)
	w.credentials(i, true)
	w.raw("]}")
}

func (w *writer) credentials(i int, certificates bool) {
	n := 0
	for _, c := range w.t.credentials(i) {
		if c.certificate != certificates {
			continue
		}
		if n++; n > 1 {
			w.raw(",")
		}
		key := w.t.keyID(i, c.key)
		w.guid(`{"keyId":"`, key)
		w.raw(`,"displayName":"key","customKeyIdentifier":null`)
		w.time(`,"startDateTime":"`, c.start)
		w.time(`,"endDateTime":"`, c.end)
		if certificates {
			w.raw(`,"type":"AsymmetricX509Cert","usage":"Verify","key":null}`)
			continue
		}
		w.raw(`,"hint":"`)
		const digits = 3
		w.b = appendHex(w.b, key.hi, digits)
		w.raw(`","secretText":null}`)
	}
}

func (w *writer) servicePrincipal(i int) {
	ref, kind := w.t.principal(i)
	w.guid(`{"id":"`, ref.object)
	w.appID(`,"appId":"`, &ref)
	w.appName(`,"displayName":"`, &ref)
	w.appName(`,"appDisplayName":"`, &ref)
	w.text(`,"servicePrincipalType":"`, kind)
	w.raw(`,"accountEnabled":true,"appRoleAssignmentRequired":false`)
	owner := w.t.cfg.ID
	if ref.known != "" {
		owner = "f8cdef31-a31e-4b4a-93e4-5f571e91255a" // Microsoft's own tenant
	}
	w.text(`,"appOwnerOrganizationId":"`, owner)
	w.text(`,"servicePrincipalNames":["`, string(ref.appendID(nil)))
	w.raw(`],"tags":["WindowsAzureActiveDirectoryIntegratedApp"],"passwordCredentials":[],"keyCredentials":[`)
	if sso := w.t.isGallery(i); sso {
		w.guid(`{"keyId":"`, w.t.keyID(i, 9))
		w.time(`,"displayName":"CN=SSO","customKeyIdentifier":null,"type":"AsymmetricX509Cert","usage":"Sign","key":null,"startDateTime":"`, w.t.end-100*perDay)
		w.time(`,"endDateTime":"`, w.t.end+900*perDay)
		w.raw(`}],"preferredSingleSignOnMode":"saml"`)
	} else {
		w.raw(`],"preferredSingleSignOnMode":null`)
	}
	w.appRoles(i)
	w.time(`,"createdDateTime":"`, w.t.end-400*perDay)
	w.raw(`,"oauth2PermissionScopes":[],"alternativeNames":[],"homepage":null,"loginUrl":null,"replyUrls":[],"notes":null,"description":null` +
		`,"disabledByMicrosoftStatus":null,"signInAudience":"AzureADMyOrg","deletedDateTime":null}`)
}

func (t *Tenant) isGallery(i int) bool {
	i -= t.population.apps() + t.population.managed()
	return i >= 0 && i < len(galleryApps)
}

// weaveCredentials labels the credentials.
func (t *Tenant) weaveCredentials() {
	add := func(check string, i int, fails bool, note string) {
		t.incidents = append(t.incidents, Incident{
			Check: check, SubjectKind: "application",
			SubjectID: t.ids.seal(classAppObject, 0, uint64(i)).String(), MustFail: fails, Note: note,
		})
	}
	const expiring, long = "app.credential_expiring", "app.credential_long_lived"
	add("integration.client_secret_expiring", integrationApp, true, "the secret in use ends in 60 days")
	add("integration.client_secret_expiring", appExpiring, false, "ends in 20 days, but is not the integration's")
	add(expiring, integrationApp, true, "ends in 60 days")
	add(expiring, appExpiring, true, "the only secret ends in 20 days")
	add(expiring, appRenewed, false, "ends in 20 days, but a later one is valid")
	add(expiring, appExpiredUsed, true, "expired 10 days ago, and 7000222 was seen in the last 7 days")
	add(expiring, appExpiredIdle, false, "expired 10 days ago and not used since")
	add(expiring, appSAMLCert, true, "the only certificate ends in 60 days")
	add(expiring, appFarEnd, false, "ends in 120 days")
	add(long, appLongLived, true, "valid for 730 days")
	add(long, appJustLong, false, "valid for 365 days")
}
