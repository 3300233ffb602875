package tenant

import "strconv"

// standing is what the directory says of a user besides the name.
type standing struct {
	enabled    bool
	created    ticks
	lastSignIn ticks // of a success; 0: never
	pending    bool  // a guest who has not redeemed the invitation
}

// The reserved users with a standing of their own, by index.
const (
	neverNew         = 3 // those before it never signed in
	neverDisabled    = 4
	disabledFirst    = 5 // four of them
	firstVictim      = 9 // to reservedMembers: free for incidents
	inactiveGuest    = reservedMembers
	activeGuest      = inactiveGuest + 3
	disabledGuest    = activeGuest + 1
	pendingGuest     = disabledGuest + 1
	newlyInvited     = pendingGuest + 3
	firstVictimGuest = newlyInvited + 1
)

// standing returns a user's standing at a time.
func (t *Tenant) standing(u *user, at ticks) standing {
	s := standing{enabled: true, created: t.end - ticks(60+u.h>>24%1500)*perDay - ticks(u.h>>8%uint64(perDay))}
	// The date of the last sign-in moves on once a day.
	day := max(t.end, at-at%perDay)
	s.lastSignIn = day - perHour - ticks(u.h>>16%uint64(60*perHour))
	if u.index >= t.population.reserved {
		const open = 4 // of so many shared mailboxes one can be signed in to, which is a finding in itself
		s.enabled = t.population.account(u.index) != sharedMailbox || u.h>>52%open == 0
		return s
	}
	switch i := u.index; {
	case i < neverNew:
		s.lastSignIn = 0
	case i == neverNew:
		s.lastSignIn, s.created = 0, t.end-3*perDay
	case i == neverDisabled:
		s.lastSignIn, s.enabled = 0, false
	case i < firstVictim:
		s.enabled = false
	case i < inactiveGuest:
	case i < activeGuest:
		s.lastSignIn = t.end - ticks(45+50*(i-inactiveGuest))*perDay
		s.created = s.lastSignIn - 100*perDay
	case i == activeGuest:
		s.lastSignIn = t.end - 20*perDay
	case i == disabledGuest:
		s.lastSignIn, s.enabled = t.end-90*perDay, false
	case i < newlyInvited:
		s.lastSignIn, s.pending, s.created = 0, true, t.end-ticks(40+10*(i-pendingGuest))*perDay
	case i == newlyInvited:
		s.lastSignIn, s.pending, s.created = 0, true, t.end-5*perDay
	}
	return s
}

func (w *writer) directoryUser(i int) {
	t := w.t
	u := t.population.user(i)
	s := t.standing(&u, w.f.at)
	p := &places[u.home]
	w.guid(`{"id":"`, t.userID(i))
	w.boolean(`,"accountEnabled":`, s.enabled)
	w.raw(`,"userPrincipalName":"`)
	w.b = append(t.appendDirectoryUPN(w.b, &u), '"')
	w.userName(`,"displayName":"`, &u)
	w.text(`,"givenName":"`, u.first)
	w.text(`,"surname":"`, u.last)
	sort := t.population.account(i)
	if sort == serviceAccount {
		w.number(`,"mail":null,"mailNickname":"svc-`, i)
		w.raw(`","department":null,"jobTitle":null`)
	} else {
		w.userPrincipalName(`,"mail":"`, &u)
		w.raw(`,"mailNickname":"`)
		w.b = append(u.appendLocal(w.b), '"')
		w.text(`,"department":"`, departments[u.h>>12%uint64(len(departments))])
		w.text(`,"jobTitle":"`, jobTitles[u.h>>36%uint64(len(jobTitles))])
	}
	w.text(`,"city":"`, p.city)
	w.text(`,"country":"`, p.country)
	w.text(`,"usageLocation":"`, p.country)
	w.text(`,"userType":"`, w.directoryType(&u))
	w.time(`,"createdDateTime":"`, s.created)
	w.raw(`,"businessPhones":[],"mobilePhone":null,"preferredLanguage":"en-US"`)
	w.invitation(&u, &s)
	w.time(`,"lastPasswordChangeDateTime":"`, max(s.created, t.end-ticks(u.h>>5%120)*perDay))
	w.raw(`,"assignedLicenses":[`)
	if !u.guest && sort != sharedMailbox {
		for i, k := range t.skus() {
			if i > 0 {
				w.raw(",")
			}
			w.text(`{"disabledPlans":[],"skuId":"`, k.id)
			w.raw("}")
		}
	}
	w.raw("]")
	w.posture(&u, &s)
	w.activity(&u, &s)
	w.raw("}")
}

func (w *writer) directoryType(u *user) string {
	if u.guest {
		return "Guest"
	}
	return "Member"
}

// invitation writes what is known of a guest's invitation.
func (w *writer) invitation(u *user, s *standing) {
	if !u.guest {
		w.raw(`,"creationType":null,"externalUserState":null,"externalUserStateChangeDateTime":null`)
		return
	}
	if s.pending {
		w.raw(`,"creationType":"Invitation","externalUserState":"PendingAcceptance"`)
		w.time(`,"externalUserStateChangeDateTime":"`, s.created)
		return
	}
	w.raw(`,"creationType":"Invitation","externalUserState":"Accepted"`)
	w.time(`,"externalUserStateChangeDateTime":"`, s.created+perDay)
}

// activity writes signInActivity, which users who never signed in do not have.
func (w *writer) activity(u *user, s *standing) {
	if s.lastSignIn == 0 {
		return
	}
	request := w.t.ids.seal(classOther, 4, uint64(u.index))
	w.time(`,"signInActivity":{"lastSignInDateTime":"`, s.lastSignIn)
	w.guid(`,"lastSignInRequestId":"`, request)
	w.time(`,"lastNonInteractiveSignInDateTime":"`, s.lastSignIn+perMinute)
	w.guid(`,"lastNonInteractiveSignInRequestId":"`, w.t.ids.seal(classOther, 5, uint64(u.index)))
	w.time(`,"lastSuccessfulSignInDateTime":"`, s.lastSignIn)
	w.guid(`,"lastSuccessfulSignInRequestId":"`, request)
	w.raw("}")
}

// weavePosture labels the standings.
func (t *Tenant) weavePosture() {
	add := func(check string, i int, fails bool, note string) {
		t.incidents = append(t.incidents, Incident{
			Check: check, SubjectKind: "user", SubjectID: t.userID(i).String(), MustFail: fails, Note: note,
		})
	}
	const never, inactive, pending = "user.never_signed_in", "guest.inactive", "guest.invitation_pending"
	for i := range neverNew {
		add(never, i, true, "created more than 60 days ago, no signInActivity")
	}
	add(never, neverNew, false, "created 3 days ago")
	add(never, neverDisabled, false, "disabled")
	for i := inactiveGuest; i < activeGuest; i++ {
		add(inactive, i, true, "last successful sign-in "+strconv.Itoa(45+50*(i-inactiveGuest))+" days ago")
	}
	add(inactive, activeGuest, false, "last successful sign-in 20 days ago")
	add(inactive, disabledGuest, false, "last successful sign-in 90 days ago, but disabled")
	for i := pendingGuest; i < newlyInvited; i++ {
		add(pending, i, true, "invitation pending for 40 days or more")
		add(never, i, true, "the invitation is pending for 40 days or more: no signInActivity")
	}
	add(pending, newlyInvited, false, "invited 5 days ago")
	add(never, newlyInvited, false, "created 5 days ago")
}
