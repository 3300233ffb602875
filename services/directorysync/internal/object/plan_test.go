package object_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/bus"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

const tenant = "75243ab2-44f8-435c-a7a6-b479385df6d4"

var (
	date  = time.Date(2026, time.November, 28, 12, 0, 0, 0, time.UTC)
	now   = date.Add(time.Second)
	users = object.Identity{Kind: "user", TenantID: tenant, Integration: "contoso"}
)

func seen(t *testing.T, raw string) object.Seen {
	t.Helper()
	s, err := object.Read([]byte(raw), "id", date)
	require.NoError(t, err)
	return s
}

// chain is the state after Graph said one thing after the other; the last is nil if it was nothing new.
func chain(t *testing.T, who object.Identity, said ...string) (before, last *directoryv1.Object) {
	t.Helper()
	for _, raw := range said {
		if last != nil {
			before = last
		}
		last = who.Next(before, seen(t, raw), now)
	}
	return before, last
}

func TestNext(t *testing.T) {
	const ada = `{"id":"a","displayName":"Ada","department":"R&D","accountEnabled":true}`
	cases := map[string]struct {
		said    []string
		nothing bool
		change  directoryv1.Change
		changed []string
		raw     string
	}{
		"new":               {said: []string{ada}, change: directoryv1.Change_CHANGE_CREATED, raw: `{"accountEnabled":true,"department":"R&D","displayName":"Ada","id":"a"}`},
		"said again":        {said: []string{ada, ada}, nothing: true},
		"in another order":  {said: []string{ada, `{"department":"R&D","id":"a","accountEnabled":true,"displayName":"Ada"}`}, nothing: true},
		"annotated":         {said: []string{ada, `{"@odata.id":"x","id":"a","displayName@odata.type":"y","displayName":"Ada"}`}, nothing: true},
		"less said":         {said: []string{ada, `{"id":"a","displayName":"Ada L."}`}, change: directoryv1.Change_CHANGE_UPDATED, changed: []string{"displayName"}, raw: `{"accountEnabled":true,"department":"R&D","displayName":"Ada L.","id":"a"}`},
		"cleared":           {said: []string{ada, `{"id":"a","department":null}`}, change: directoryv1.Change_CHANGE_UPDATED, changed: []string{"department"}, raw: `{"accountEnabled":true,"department":null,"displayName":"Ada","id":"a"}`},
		"never set":         {said: []string{ada, `{"id":"a","mail":null}`}, nothing: true},
		"two changes":       {said: []string{ada, `{"id":"a","displayName":"B","accountEnabled":false}`}, change: directoryv1.Change_CHANGE_UPDATED, changed: []string{"accountEnabled", "displayName"}, raw: `{"accountEnabled":false,"department":"R&D","displayName":"B","id":"a"}`},
		"deleted":           {said: []string{ada, `{"id":"a","@removed":{"reason":"changed"}}`}, change: directoryv1.Change_CHANGE_DELETED},
		"deleted again":     {said: []string{ada, `{"id":"a","@removed":{"reason":"changed"}}`, `{"id":"a","@removed":{"reason":"changed"}}`}, nothing: true},
		"purged":            {said: []string{ada, `{"id":"a","@removed":{"reason":"changed"}}`, `{"id":"a","@removed":{"reason":"deleted"}}`}, change: directoryv1.Change_CHANGE_PURGED},
		"deleted at once":   {said: []string{ada, `{"id":"a","@removed":{"reason":"deleted"}}`}, change: directoryv1.Change_CHANGE_PURGED},
		"replayed deletion": {said: []string{ada, `{"id":"a","@removed":{"reason":"deleted"}}`, `{"id":"a","@removed":{"reason":"changed"}}`}, nothing: true},
		"deleted, unknown":  {said: []string{`{"id":"a","@removed":{"reason":"deleted"}}`}, nothing: true},
		"restored":          {said: []string{ada, `{"id":"a","@removed":{"reason":"changed"}}`, `{"id":"a","displayName":"Ada"}`}, change: directoryv1.Change_CHANGE_RESTORED, raw: `{"displayName":"Ada","id":"a"}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before, got := chain(t, users, tc.said...)
			if tc.nothing {
				require.Nil(t, got)
				return
			}
			require.NotNil(t, got)
			require.Equal(t, tc.change, got.GetChange())
			require.Equal(t, tc.changed, got.GetChanged())
			require.Equal(t, tc.raw, string(got.GetRaw()))
			require.Equal(t, tc.raw == "", got.GetDeleted())
			require.NotEmpty(t, got.GetDisplayName(), "a tombstone keeps the name")
			require.Equal(t, "directory.v1.user."+tenant+".a", got.BusSubject())
			if before != nil {
				require.Greater(t, got.GetVersion(), before.GetVersion(), "in the same second of Graph's clock")
			} else {
				require.Equal(t, bus.Version(true, date, 0, 0, 0), got.GetVersion())
			}
		})
	}
}

func TestRelations(t *testing.T) {
	groups := object.Identity{Kind: "group", TenantID: tenant}
	const (
		made    = `{"id":"g","owners@delta":[{"@odata.type":"#microsoft.graph.user","id":"b"},{"@odata.type":"#microsoft.graph.servicePrincipal","id":"a"}],"members@delta":[{"@odata.type":"#microsoft.graph.user","id":"m"}]}`
		fewer   = `{"id":"g","owners@delta":[{"@odata.type":"#microsoft.graph.user","id":"b","@removed":{"reason":"deleted"}}]}`
		silent  = `{"id":"g","displayName":"G"}`
		managed = `{"id":"u","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"boss"}]}`
		unled   = `{"id":"u","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"boss","@removed":{"reason":"deleted"}}]}`
	)
	_, g := chain(t, groups, made)
	want := []*directoryv1.Member{{Id: "a", Kind: "service_principal"}, {Id: "b", Kind: "user"}}
	require.Empty(t, cmp.Diff(want, g.GetGroup().GetOwners(), protocmp.Transform()), "in order of id")
	require.JSONEq(t, `{"id":"g"}`, string(g.GetRaw()), "relations are no properties")
	s := seen(t, made)
	require.Len(t, s.Relation("members"), 1)

	_, g = chain(t, groups, made, fewer)
	require.Equal(t, []string{"owners"}, g.GetChanged())
	require.Len(t, g.GetGroup().GetOwners(), 1)
	_, g = chain(t, groups, made, silent)
	require.Equal(t, []string{"displayName"}, g.GetChanged())
	require.Len(t, g.GetGroup().GetOwners(), 2, "what is not mentioned stays")

	_, u := chain(t, users, managed, `{"id":"u","displayName":"U"}`)
	require.Equal(t, "boss", u.GetUser().GetManagerId())
	_, u = chain(t, users, managed, unled)
	require.Equal(t, []string{"manager"}, u.GetChanged())
	require.Empty(t, u.GetUser().GetManagerId())

	_, g = chain(t, groups, made)
	pruned := object.Prune(g, func(relation, to string) bool { return relation == "owners" && to == "a" }, date, now)
	require.Equal(t, []string{"owners"}, pruned.GetChanged())
	require.Len(t, pruned.GetGroup().GetOwners(), 1)
	require.Nil(t, object.Prune(g, func(string, string) bool { return true }, date, now))
	require.Nil(t, object.Prune(nil, nil, date, now))
}

func TestWhatIsNoObject(t *testing.T) {
	for _, raw := range []string{``, `[]`, `null`, `"a"`, `{}`, `{"id":null}`, `{"id":7}`, `{"id":""}`, `{"id":"a"`} {
		_, err := object.Read([]byte(raw), "id", date)
		require.ErrorIs(t, err, object.ErrUnreadable, raw)
	}
	_, err := object.Read([]byte(`{"tenantId":"p"}`), "tenantId", date)
	require.NoError(t, err)
	s, err := object.ReadSingle([]byte(`{"isEnabled":true,"@odata.context":"x"}`), "security_defaults", date)
	require.NoError(t, err)
	o := object.Identity{Kind: "policy", TenantID: tenant}.Next(nil, s, now)
	require.Equal(t, "enabled", o.GetPolicy().GetState())
	require.JSONEq(t, `{"isEnabled":true}`, string(o.GetRaw()))
}

// TestStrangeValues shows that a property of another type than expected takes nothing from the others.
func TestStrangeValues(t *testing.T) {
	_, o := chain(t, users, `{"id":"a","displayName":7,"mail":"a@b","businessPhones":"1","accountEnabled":"yes","createdDateTime":"soon","identities":[1],"assignedLicenses":{}}`)
	require.Empty(t, cmp.Diff(&directoryv1.User{Mail: "a@b"}, o.GetUser(), protocmp.Transform()))
	require.Contains(t, string(o.GetRaw()), `"displayName":7`)
}

func TestNextOfARecomputedReport(t *testing.T) {
	registrations := object.Identity{Kind: "authentication_registration", TenantID: tenant, Integration: "contoso"}
	const first, second = `{"id":"a","isMfaCapable":false,"lastUpdatedDateTime":"2026-11-28T01:00:00Z"}`, `{"id":"a","isMfaCapable":false,"lastUpdatedDateTime":"2026-11-28T02:00:00Z"}`
	_, got := chain(t, registrations, first, second)
	require.Nil(t, got, "computed again, and the same")
	_, got = chain(t, registrations, first, `{"id":"a","isMfaCapable":true,"lastUpdatedDateTime":"2026-11-28T02:00:00Z"}`)
	require.Equal(t, []string{"isMfaCapable", "lastUpdatedDateTime"}, got.GetChanged())
	_, got = chain(t, users, first, second)
	require.Equal(t, []string{"lastUpdatedDateTime"}, got.GetChanged())
}

func TestGather(t *testing.T) {
	slice := func(member string) object.Seen {
		return seen(t, `{"id":"g","displayName":"G","members@delta":[{"id":"`+member+`"}]}`)
	}
	gone := seen(t, `{"id":"g","@removed":{"reason":"changed"}}`)
	got := object.Gather([]object.Seen{slice("a"), seen(t, `{"id":"h"}`), slice("b"), gone, slice("c"), slice("d")})
	var said []string
	for _, s := range got {
		line := s.ID + s.Removed
		for _, r := range s.Relation("members") {
			line += " " + r.Member.GetId()
		}
		said = append(said, line)
	}
	require.Equal(t, []string{"g a b", "h", "gchanged", "g c d"}, said)
}
