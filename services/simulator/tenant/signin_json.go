package tenant

import "encoding/base64"

// signIn writes a sign-in: Graph beta's signIn, or the properties of a hub's record.
func (w *writer) signIn(s *signIn) {
	w.guid(`{"id":"`, s.id)
	w.time(`,"createdDateTime":"`, s.at)
	w.signInUser(s)
	w.signInApp(s)
	w.signInNetwork(s)
	w.status(s)
	w.device(s)
	w.place(`,"location":`, s.place)
	w.riskFields(&s.risk)
	w.authentication(s)
	w.policies(s)
	w.tokens(s)
	w.raw("}")
}

// eventTypes are the values of signInEventTypes by log.
var eventTypes = [...]string{"interactiveUser", "nonInteractiveUser", "servicePrincipal", "managedIdentity"}

func (w *writer) signInUser(s *signIn) {
	if !w.f.hub {
		w.text(`,"signInEventTypes":["`, eventTypes[s.log])
		w.raw("]")
	}
	w.boolean(`,"isInteractive":`, s.log == logInteractive)
	if !s.isUser {
		w.raw(`,"userId":"","userPrincipalName":"","userDisplayName":""`)
		w.guid(`,"servicePrincipalId":"`, s.principal.object)
		w.appName(`,"servicePrincipalName":"`, &s.principal)
		w.optionalGUID(`,"servicePrincipalCredentialKeyId":"`, s.key)
		w.raw(`,"servicePrincipalCredentialThumbprint":"`)
		if s.credential == "clientAssertion" {
			w.thumbprint(s.key)
		}
		w.raw(`"`)
		w.optional(`,"clientCredentialType":`, s.credential)
		w.managedService(s)
		return
	}
	w.guid(`,"userId":"`, w.t.userID(s.who.index))
	w.userPrincipalName(`,"userPrincipalName":"`, &s.who)
	w.userName(`,"userDisplayName":"`, &s.who)
	w.text(`,"userType":"`, w.capital(s.who.userType()))
	if s.log == logInteractive {
		w.userPrincipalName(`,"signInIdentifier":"`, &s.who)
	}
	w.raw(`,"servicePrincipalId":""`)
	w.null(`,"servicePrincipalName":`)
}

func (u *user) userType() string {
	if u.guest {
		return "guest"
	}
	return "member"
}

// capital writes an enumeration the way hubs do: with a capital.
func (w *writer) capital(value string) string {
	if !w.f.hub {
		return value
	}
	if value == "guest" {
		return "Guest"
	}
	return "Member"
}

// thumbprint writes 40 hexadecimal digits of a certificate.
func (w *writer) thumbprint(key guid) {
	const digits = 16
	w.b = appendHex(w.b, mix(key.lo), digits)
	w.b = appendHex(w.b, mix(key.hi), digits)
	w.b = appendHex(w.b, key.lo, digits/2)
}

func (w *writer) managedService(s *signIn) {
	if s.log != logManagedIdentity {
		return
	}
	w.raw(`,"managedServiceIdentity":{"msiType":"systemAssigned","associatedResourceId":"/subscriptions/`)
	w.b = w.t.ids.seal(classOther, 1, 0).appendTo(w.b)
	w.raw(`/resourceGroups/prod/providers/Microsoft.Compute/virtualMachines/`)
	w.b = s.principal.appendName(w.b)
	w.raw(`","federatedTokenId":"","federatedTokenIssuer":""}`)
}

func (w *writer) signInApp(s *signIn) {
	w.appID(`,"appId":"`, &s.app)
	w.appName(`,"appDisplayName":"`, &s.app)
	w.appName(`,"resourceDisplayName":"`, s.resource)
	w.appID(`,"resourceId":"`, s.resource)
	switch {
	case !s.isUser:
	case s.who.guest:
		w.guid(`,"homeTenantId":"`, w.t.homeTenant(&s.who))
		w.raw(`,"crossTenantAccessType":"b2bCollaboration"`)
	default:
		w.text(`,"homeTenantId":"`, w.t.cfg.ID)
		w.raw(`,"crossTenantAccessType":"none"`)
	}
	if s.isUser {
		w.optional(`,"clientAppUsed":`, s.client)
	}
	w.text(`,"authenticationProtocol":"`, s.protocol)
	transfer := s.transfer
	if transfer == "" {
		transfer = "none"
	}
	w.text(`,"originalTransferMethod":"`, transfer)
}

func (w *writer) signInNetwork(s *signIn) {
	w.raw(`,"ipAddress":"`)
	if s.address.IsValid() {
		w.b = s.address.AppendTo(w.b)
	}
	w.raw(`"`)
	asn := 0
	if s.place != nil {
		asn = s.place.asn
	}
	w.number(`,"autonomousSystemNumber":`, asn)
	if s.office {
		w.raw(`,"networkLocationDetails":[{"networkType":"trustedNamedLocation","networkNames":["Offices"]}]`)
	} else {
		w.raw(`,"networkLocationDetails":[]`)
	}
	agent := s.agent
	switch {
	case agent != "":
	case s.client == desktopClient:
		agent = deviceKinds[s.device].library
	default:
		agent = deviceKinds[s.device].agent
	}
	w.optional(`,"userAgent":`, agent)
}

func (w *writer) status(s *signIn) {
	w.number(`,"status":{"errorCode":`, s.code)
	if !w.f.hub || s.code != 0 {
		w.text(`,"failureReason":"`, reasonOf(s.code))
	}
	w.optional(`,"additionalDetails":`, s.detail)
	w.raw("}")
}

func (w *writer) device(s *signIn) {
	if s.device == noDevice {
		w.raw(`,"deviceDetail":{}`)
		return
	}
	k := &deviceKinds[s.device]
	w.optionalGUID(`,"deviceDetail":{"deviceId":"`, s.deviceID)
	if s.deviceID.isZero() {
		w.null(`,"displayName":`)
	} else {
		w.raw(`,"displayName":"DEV-`)
		const digits = 7
		w.b = appendHex(w.b, s.deviceID.lo, digits)
		w.raw(`"`)
	}
	w.optional(`,"operatingSystem":`, k.system)
	w.optional(`,"browser":`, k.browser)
	managed := k.managed && !s.deviceID.isZero()
	switch {
	case managed:
		w.raw(`,"isCompliant":true,"isManaged":true`)
	case !w.f.hub:
		w.raw(`,"isCompliant":false,"isManaged":false`)
	}
	trust := k.trust
	if s.deviceID.isZero() {
		trust = ""
	}
	w.optional(`,"trustType":`, trust)
	w.raw("}")
}

func (w *writer) riskFields(r *risk) {
	if w.f.hide&HideRisk != 0 {
		w.raw(`,"riskDetail":"hidden","riskLevelAggregated":"hidden","riskLevelDuringSignIn":"hidden",` +
			`"riskState":"none","riskEventTypes_v2":[]`)
		return
	}
	if r.state == "" {
		w.raw(`,"riskDetail":"none","riskLevelAggregated":"none","riskLevelDuringSignIn":"none",` +
			`"riskState":"none","riskEventTypes_v2":[]`)
		return
	}
	w.text(`,"riskDetail":"`, r.detail)
	w.text(`,"riskLevelAggregated":"`, r.aggregated)
	w.text(`,"riskLevelDuringSignIn":"`, r.during)
	w.text(`,"riskState":"`, r.state)
	w.text(`,"riskEventTypes_v2":["`, r.event)
	w.raw("]")
}

func (w *writer) tokens(s *signIn) {
	w.guid(`,"correlationId":"`, s.correlation)
	w.guid(`,"originalRequestId":"`, s.id)
	w.optionalGUID(`,"sessionId":"`, s.session)
	w.raw(`,"uniqueTokenIdentifier":"`)
	var token [16]byte
	for i := range token {
		token[i] = byte(mix(s.h+uint64(i/8)) >> (i % 8 * 8))
	}
	w.b = base64.RawURLEncoding.AppendEncode(w.b, token[:])
	w.text(`","incomingTokenType":"`, s.token)
	w.raw(`,"tokenIssuerType":"AzureAD","signInTokenProtectionStatus":"none"`)
	const least, spread = 40, 600
	w.number(`,"processingTimeInMilliseconds":`, least+int(s.h>>32%spread))
}
