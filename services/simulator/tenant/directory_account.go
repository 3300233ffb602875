package tenant

import "strconv"

// account is what an account is for.
type account uint8

// The sorts of accounts.
const (
	person account = iota
	serviceAccount
	sharedMailbox
)

// account tells the sort of user i. Incidents and administrators are people's.
func (p *population) account(i int) account {
	if i < p.reserved+adminUsers || p.isGuest(i) {
		return person
	}
	const of, service, shared = 100, 2, 4
	switch n := mix(p.stamp^uint64(i)*golden) >> 26 % of; {
	case n < service:
		return serviceAccount
	case n < shared:
		return sharedMailbox
	}
	return person
}

// syncedAdmin, groupedAdmin and activatedAdmin are administrators, counted from the first: from on premises, by a group,
// by an activated eligibility.
const (
	syncedAdmin    = 3
	groupedAdmin   = 4
	activatedAdmin = 5
)

// isSynced reports whether user i comes from on premises.
func (p *population) isSynced(i int) bool {
	if p.isAdmin(i) {
		return i == p.reserved+syncedAdmin
	}
	const of, synced = 100, 30
	return i >= p.reserved && !p.isGuest(i) && mix(p.stamp^uint64(i)*golden)>>44%of < synced
}

// posture writes what the checks need of a user beside the name and the standing.
func (w *writer) posture(u *user, s *standing) {
	sort := w.t.population.account(u.index)
	w.accountKind(u, sort)
	w.identities(u)
	w.synchronised(u)
	w.time(`,"signInSessionsValidFromDateTime":"`, max(s.created, w.t.end-ticks(u.h>>7%200)*perDay))
	w.raw(`,"authorizationInfo":{"certificateUserIds":[`)
	const certificates = 40
	if !u.guest && u.h>>33%certificates == 0 {
		w.raw(`"X509:<PN>`)
		w.b = append(w.t.appendUPN(w.b, u), '"')
	}
	w.raw(`]},"ageGroup":null,"consentProvidedForMinor":null,"legalAgeGroupClassification":null,"companyName":null` +
		`,"officeLocation":null,"imAddresses":[],"deletedDateTime":null`)
	w.number(`,"securityIdentifier":"S-1-12-1-2-`, u.index)
	w.raw(`"`)
}

func (w *writer) accountKind(u *user, sort account) {
	if sort == serviceAccount {
		w.raw(`,"passwordPolicies":"DisablePasswordExpiration","employeeType":"Service Account","employeeId":null,"employeeHireDate":null`)
	} else {
		w.raw(`,"passwordPolicies":null,"employeeHireDate":null`)
		if u.guest || sort == sharedMailbox {
			w.raw(`,"employeeType":null,"employeeId":null`)
		} else {
			w.number(`,"employeeType":"Employee","employeeId":"E`, 100_000+u.index)
			w.raw(`"`)
		}
	}
	if sort == serviceAccount || u.guest {
		w.raw(`,"proxyAddresses":[]`)
	} else {
		w.userPrincipalName(`,"proxyAddresses":["SMTP:`, u)
		w.raw(`]`)
	}
	const others = 5
	if u.guest || u.h>>29%others != 0 {
		w.raw(`,"otherMails":[]`)
		return
	}
	w.raw(`,"otherMails":["`)
	w.b = u.appendLocal(w.b)
	w.raw(`@mail.example"]`)
}

// identities are how the account signs in: a guest's at the home tenant.
func (w *writer) identities(u *user) {
	w.raw(`,"identities":[`)
	if u.guest {
		w.raw(`{"signInType":"federated","issuer":"ExternalAzureAD","issuerAssignedId":null},`)
	}
	w.text(`{"signInType":"userPrincipalName","issuer":"`, w.t.population.domain)
	w.raw(`,"issuerAssignedId":"`)
	w.b = w.t.appendDirectoryUPN(w.b, u)
	w.raw(`"}]`)
}

// synchronised writes where the account comes from.
func (w *writer) synchronised(u *user) {
	if !w.t.population.isSynced(u.index) {
		w.raw(`,"onPremisesSyncEnabled":null,"onPremisesImmutableId":null,"onPremisesDomainName":null,"onPremisesSamAccountName":null` +
			`,"onPremisesUserPrincipalName":null,"onPremisesDistinguishedName":null,"onPremisesSecurityIdentifier":null,"onPremisesLastSyncDateTime":null`)
		return
	}
	w.raw(`,"onPremisesSyncEnabled":true,"onPremisesImmutableId":"`)
	const digits = 16
	w.b = appendHex(w.b, u.h, digits)
	w.text(`","onPremisesDomainName":"corp.`, w.t.population.domain)
	w.raw(`,"onPremisesSamAccountName":"u` + strconv.Itoa(u.index))
	w.userPrincipalName(`","onPremisesUserPrincipalName":"`, u)
	w.raw(`,"onPremisesDistinguishedName":"CN=u` + strconv.Itoa(u.index) + `,OU=Users,DC=corp","onPremisesSecurityIdentifier":"S-1-5-21-1-2-3-` +
		strconv.Itoa(1000+u.index) + `"`)
	w.time(`,"onPremisesLastSyncDateTime":"`, w.t.end-perHour)
}
