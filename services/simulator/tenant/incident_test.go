package tenant_test

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// signIns decodes the sign-ins of users, oldest first.
func signIns(t *testing.T, tn *tenant.Tenant) []*eventv1.Event {
	t.Helper()
	var events []*eventv1.Event
	for _, log := range []string{tenant.Interactive, tenant.NonInteractive} {
		for _, r := range all(t, tn, log, tenant.Query{}, 100_000) {
			events = append(events, graphEvent(t, tn, log, r.JSON))
		}
	}
	slices.SortFunc(events, func(a, b *eventv1.Event) int { return a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime()) })
	return events
}

// busiest returns the keys under which most distinct values come within a window of time.
func busiest(events []*eventv1.Event, window time.Duration, least int, of func(*eventv1.SignIn) (key, value string)) []string {
	type seen struct {
		at    time.Time
		value string
	}
	recent, found := map[string][]seen{}, map[string]bool{}
	for _, e := range events {
		key, value := of(e.GetSignIn())
		if key == "" {
			continue
		}
		at := e.GetOccurredAt().AsTime()
		list := slices.DeleteFunc(recent[key], func(s seen) bool { return at.Sub(s.at) > window })
		recent[key] = append(list, seen{at, value})
		values := map[string]bool{}
		for _, s := range recent[key] {
			values[s.value] = true
		}
		if len(values) >= least {
			found[key] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// where returns the users of the sign-ins that match.
func where(events []*eventv1.Event, match func(*eventv1.SignIn) bool) []string {
	found := map[string]bool{}
	for _, e := range events {
		if match(e.GetSignIn()) {
			found[e.GetSignIn().GetUserId()] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// judgeSignIns finds the subjects of the checks by rules of its own, as checks.md words them.
func judgeSignIns(events []*eventv1.Event) map[string][]string {
	ok := func(s *eventv1.SignIn) bool { return s.GetErrorCode() == 0 }
	only := func(is bool, key, value string) (string, string) {
		if !is {
			return "", ""
		}
		return key, value
	}
	return map[string][]string{
		"signin.password_spray": busiest(events, 10*time.Minute, 10, func(s *eventv1.SignIn) (string, string) {
			return only(s.GetErrorCode() == 50126, s.GetIpAddress(), s.GetUserId())
		}),
		"signin.mfa_flood": busiest(events, 10*time.Minute, 5, func(s *eventv1.SignIn) (string, string) {
			return only(s.GetErrorCode() == 500121, s.GetUserId(), s.GetCorrelationId())
		}),
		"signin.disabled_account_attempts": busiest(events, time.Hour, 3, func(s *eventv1.SignIn) (string, string) {
			return only(s.GetErrorCode() == 50057, s.GetIpAddress(), s.GetCorrelationId())
		}),
		"signin.session_hijack": usersOf(events, busiest(events, time.Hour, 2, func(s *eventv1.SignIn) (string, string) {
			return only(s.GetSessionId() != "", s.GetSessionId(), string(rune(s.GetAutonomousSystemNumber())))
		})),
		"signin.legacy_protocol": where(events, func(s *eventv1.SignIn) bool { return ok(s) && s.GetClientAppUsed() == "IMAP4" }),
		"signin.ropc":            where(events, func(s *eventv1.SignIn) bool { return ok(s) && s.GetAuthenticationProtocol() == "ropc" }),
		"signin.device_code": where(events, func(s *eventv1.SignIn) bool {
			return s.GetAuthenticationProtocol() == "deviceCode" || s.GetOriginalTransferMethod() == "deviceCodeFlow"
		}),
		"signin.impossible_travel":  travellers(events),
		"signin.new_country_tenant": pioneers(events),
	}
}

// usersOf returns the users of sessions.
func usersOf(events []*eventv1.Event, sessions []string) []string {
	return where(events, func(s *eventv1.SignIn) bool { return slices.Contains(sessions, s.GetSessionId()) })
}

func travellers(events []*eventv1.Event) []string {
	last, found := map[string]*eventv1.Event{}, map[string]bool{}
	for _, e := range events {
		s := e.GetSignIn()
		if s.GetErrorCode() != 0 || s.GetLocation() == nil {
			continue
		}
		if before := last[s.GetUserId()]; before != nil {
			km := distance(before.GetSignIn().GetLocation(), s.GetLocation())
			hours := e.GetOccurredAt().AsTime().Sub(before.GetOccurredAt().AsTime()).Hours()
			known := s.GetDevice().GetIsManaged() && before.GetSignIn().GetDevice().GetIsManaged()
			if km > 500 && km/hours > 1000 && !known {
				found[s.GetUserId()] = true
			}
		}
		last[s.GetUserId()] = e
	}
	return slices.Sorted(maps.Keys(found))
}

// distance is the way along the earth in km.
func distance(a, b *eventv1.Location) float64 {
	rad := func(degrees float64) float64 { return degrees * math.Pi / 180 }
	dLat, dLon := rad(b.GetLatitude()-a.GetLatitude()), rad(b.GetLongitude()-a.GetLongitude())
	h := math.Pow(math.Sin(dLat/2), 2) +
		math.Cos(rad(a.GetLatitude()))*math.Cos(rad(b.GetLatitude()))*math.Pow(math.Sin(dLon/2), 2)
	return 2 * 6371 * math.Asin(math.Sqrt(h))
}

// pioneers are users with the first success from a country, after three days to learn.
func pioneers(events []*eventv1.Event) []string {
	seen, found := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		s := e.GetSignIn()
		country := s.GetLocation().GetCountry()
		if s.GetErrorCode() != 0 || seen[country] {
			continue
		}
		seen[country] = true
		if e.GetOccurredAt().AsTime().Sub(events[0].GetOccurredAt().AsTime()) > 72*time.Hour {
			found[s.GetUserId()] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func labelled(tn *tenant.Tenant, check string) []string {
	found := map[string]bool{}
	for _, i := range tn.Incidents() {
		if i.Check == check && i.MustFail {
			found[i.SubjectID] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// TestLabelsAreTheWholeTruth shows that the labelled subjects, and no others, fail.
func TestLabelsAreTheWholeTruth(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4} {
		tn := newTenant(t, func(c *tenant.Config) { c.Seed = seed })
		for check, found := range judgeSignIns(signIns(t, tn)) {
			require.Empty(t, cmp.Diff(labelled(tn, check), found), "seed %d: %s: -labelled +found", seed, check)
		}
	}
}

func TestEveryCheckHasACaseAndANearMiss(t *testing.T) {
	tn := newTenant(t, nil)
	fails, misses := map[string]int{}, map[string]int{}
	for _, i := range tn.Incidents() {
		require.NotEmpty(t, i.Note)
		require.NotEmpty(t, i.SubjectID)
		if i.MustFail {
			fails[i.Check]++
		} else {
			misses[i.Check]++
		}
	}
	for _, check := range []string{
		"signin.password_spray", "signin.mfa_flood", "signin.impossible_travel", "signin.legacy_protocol", "signin.device_code",
		"signin.session_hijack", "signin.disabled_account_attempts", "signin.risk_detected", "signin.ropc",
		"signin.ca_not_applied_admin", "signin.new_country_tenant", "audit.role_assigned_outside_pim",
		"audit.app_credential_added", "audit.consent_granted", "audit.federation_changed", "audit.elevated_access",
		"audit.temporary_access_pass", "audit.mfa_disabled", "audit.suspicious_activity_reported",
		"app.credential_expiring", "app.credential_long_lived", "integration.client_secret_expiring",
		"guest.inactive", "guest.invitation_pending", "user.never_signed_in", "user.risk_unresolved",
	} {
		require.Positive(t, fails[check], check)
		require.Positive(t, misses[check], check)
	}
}

// TestEventsOfIncidentsExist also in the shortest history and the smallest tenant.
func TestEventsOfIncidentsExist(t *testing.T) {
	for _, days := range []int{1, 6, 30} {
		tn := newTenant(t, func(c *tenant.Config) { c.Days, c.Users, c.Scale = days, 100, 0.1 })
		n := 0
		for _, i := range tn.Incidents() {
			for _, id := range i.EventIDs {
				r, ok := find(tn, id, i.To)
				require.True(t, ok, "%s: %s", i.Check, id)
				require.False(t, r.At.Before(i.From) || r.At.After(i.To) || r.At.Before(tn.Start()) || !r.At.Before(end()))
				n++
			}
		}
		require.Greater(t, n, 90)
	}
}

func find(tn *tenant.Tenant, id string, at time.Time) (tenant.Record, bool) {
	for _, log := range tenant.Logs() {
		if r, ok := tn.Lookup(log, id, tenant.Query{At: at}); ok {
			return r, true
		}
	}
	return tenant.Record{}, false
}

// TestPostureLabelsAreTheWholeTruth reads every user and application and judges anew.
func TestPostureLabelsAreTheWholeTruth(t *testing.T) {
	tn := newTenant(t, nil)
	found := map[string][]string{}
	fail := func(check, id string) { found[check] = append(found[check], id) }
	for i := range tn.Count(tenant.Users) {
		var u struct {
			ID, UserType, ExternalUserState string
			AccountEnabled                  bool
			CreatedDateTime                 time.Time
			SignInActivity                  *struct{ LastSuccessfulSignInDateTime time.Time }
		}
		require.NoError(t, json.Unmarshal(tn.Object(tenant.Users, i, end()), &u))
		age := end().Sub(u.CreatedDateTime).Hours() / 24
		switch {
		case u.SignInActivity == nil && u.AccountEnabled && age > 7:
			fail("user.never_signed_in", u.ID)
		case u.SignInActivity != nil && u.AccountEnabled && end().Sub(u.SignInActivity.LastSuccessfulSignInDateTime) > 30*24*time.Hour:
			require.Equal(t, "Guest", u.UserType)
			fail("guest.inactive", u.ID)
		}
		if u.ExternalUserState == "PendingAcceptance" && age > 30 {
			fail("guest.invitation_pending", u.ID)
		}
	}
	type key struct{ StartDateTime, EndDateTime time.Time }
	used := map[string]bool{}
	for _, r := range all(t, tn, tenant.ServicePrincipal, tenant.Query{From: end().AddDate(0, 0, -7), To: end()}, 100_000) {
		if s := graphEvent(t, tn, tenant.ServicePrincipal, r.JSON).GetSignIn(); s.GetErrorCode() == 7000222 {
			used[s.GetAppId()] = true
		}
	}
	for i := range tn.Count(tenant.Applications) {
		var a struct {
			ID, AppID           string
			PasswordCredentials []key
			KeyCredentials      []key
		}
		require.NoError(t, json.Unmarshal(tn.Object(tenant.Applications, i, end()), &a))
		last := time.Time{}
		for _, k := range append(a.PasswordCredentials, a.KeyCredentials...) {
			if last.Before(k.EndDateTime) {
				last = k.EndDateTime
			}
		}
		for _, k := range a.PasswordCredentials {
			if k.EndDateTime.Sub(k.StartDateTime) > 365*24*time.Hour {
				fail("app.credential_long_lived", a.ID)
			}
		}
		left := last.Sub(end())
		if left < 0 && used[a.AppID] || left >= 0 && left < 90*24*time.Hour {
			fail("app.credential_expiring", a.ID)
		}
	}
	require.Len(t, found, 5)
	for check, subjects := range found {
		slices.Sort(subjects)
		require.Empty(t, cmp.Diff(labelled(tn, check), subjects), check)
	}
}
