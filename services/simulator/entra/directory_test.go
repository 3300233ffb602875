package entra_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TestDeltaOverHTTP follows all collections through changes, faults and lost states, and holds them against the truth.
func TestDeltaOverHTTP(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) {
		c.Delta.PageSize, c.Delta.SliceSize = 20, 7
		c.Tenants[0].HugeGroupMembers = 90
		c.Apps[0].Grants[0].Consents = append(entra.ReadPermissions(), "Device.Read.All")
	})
	w.token(false)
	for _, f := range []entra.Fault{
		{Kind: "throttle", Share: 0.05, Seed: 1},
		{Kind: "unavailable", Share: 0.05, Seed: 2},
		{Kind: "bad_gateway", Share: 0.05, Seed: 3},
		{Kind: "cut", Share: 0.05, Seed: 4},
		{Kind: "page_token", Share: 0.05, Seed: 5},
		{Kind: "expired_page_token", Share: 0.05, Seed: 6},
		{Kind: "empty_page", Share: 0.1, Seed: 7},
		{Kind: "short_page", Share: 0.1, Seed: 8},
		{Kind: "duplicate", Share: 0.2, Seed: 9},
		{Kind: "delta_repeat", Share: 0.2, Seed: 10},
		{Kind: "delta_replay", Share: 0.3, Seed: 11},
	} {
		f.Path = "delta"
		_, err := w.server.InjectFault(f)
		require.NoError(t, err)
	}
	const user = "accountEnabled,userType,displayName,jobTitle,department,city,mobilePhone,otherMails,identities,manager"
	followers := map[string]*follower{
		"users":             w.follow("/v1.0/users/delta?$select=" + user),
		"groups":            w.follow("/v1.0/groups/delta()?$select=displayName,groupTypes,description,members,owners"),
		"devices":           w.follow("/v1.0/devices/microsoft.graph.delta()"),
		"applications":      w.follow("/beta/applications/delta"),
		"servicePrincipals": w.follow("/v1.0/servicePrincipals/delta?%24select=id,displayName,accountEnabled,tags"),
	}
	for round := range 8 {
		w.admin("POST", "directory/changes", `{"seed":`+string(rune('1'+round))+`,"n":200}`, 200)
		for name, f := range followers {
			switch round {
			case 3:
				w.admin("POST", "directory/expire-tokens", `{"collection":"`+name+`","gone":true}`, 204)
			case 5:
				w.admin("POST", "directory/expire-tokens", `{"collection":"`+name+`"}`, 204)
			}
			f.round()
		}
	}
	for name, f := range followers {
		f.round()
		f.equal(name, map[string][]string{"users": {"manager"}, "groups": {"members", "owners"}}[name]...)
	}
	for _, f := range w.server.Faults() {
		require.Positive(t, f.Hits, f.Kind)
	}
}

func TestDeltaPages(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) { c.Tenants[0].HugeGroupMembers = 95; c.Delta.SliceSize = 10 })
	page := func(link string, status int, header ...string) deltaBody {
		t.Helper()
		response, body, err := w.raw(t.Context(), link, w.token(false), header...)
		require.NoError(t, err)
		require.Equal(t, status, response.StatusCode, string(body))
		var p deltaBody
		require.NoError(t, json.Unmarshal(body, &p))
		return p
	}
	for _, option := range []string{"$top=5", "$expand=members", "$orderby=displayName", "$count=true", "$search=x"} {
		require.Equal(t, "Request_UnsupportedQuery", page("/v1.0/users/delta?"+option, 400).Error.Code, option)
	}
	require.Equal(t, "NotImplemented", page("/v1.0/users/delta?$select=id,signInActivity", 501).Error.Code)
	require.Equal(t, "Request_UnsupportedQuery", page("/v1.0/users/delta?$filter=displayName eq 'x'", 400).Error.Code)
	require.NotNil(t, page("/v1.0/users/delta?$deltatoken=abcdef", 400).Error)

	first := page("/v1.0/users/delta", 200)
	require.Len(t, first.Value, 100)
	require.NotContains(t, first.Value[0], "accountEnabled", "not one of the default properties")
	require.Contains(t, first.Value[0], "displayName")
	require.NotContains(t, first.Value[0], "manager@delta")
	require.Contains(t, first.Delta, "/v1.0/users/delta?$deltatoken=")
	latest := page("/v1.0/users/delta?$deltatoken=latest&$select=jobTitle,city", 200)
	require.Empty(t, latest.Value)

	id, _ := first.Value[90]["id"].(string)
	w.admin("PATCH", "directory/users/"+id, `{"jobTitle":"Boss"}`, 204)
	changed := page(latest.Delta, 200)
	require.Empty(t, cmp.Diff([]map[string]any{{"id": id, "jobTitle": "Boss", "city": changed.Value[0]["city"]}}, changed.Value))
	minimal := page(latest.Delta, 200, "Prefer", "return=minimal")
	require.Equal(t, []map[string]any{{"id": id, "jobTitle": "Boss"}}, minimal.Value)
	w.admin("PATCH", "directory/users/"+id, `{"department":"X"}`, 204)
	require.Empty(t, page(changed.Delta, 200).Value, "not selected")
	w.admin("DELETE", "directory/users/"+id, "", 204)
	gone := page(changed.Delta, 200)
	require.Equal(t, []map[string]any{{"id": id, "@removed": map[string]any{"reason": "changed"}}}, gone.Value)
	require.Equal(t, "Request_ResourceNotFound", w.get("/v1.0/users/"+id, 404).Error.Code)
	w.admin("POST", "directory/users/"+id+"/restore", "", 204)
	require.Contains(t, page(gone.Delta, 200).Value[0], "jobTitle")
	w.admin("DELETE", "directory/users/"+id+"?for_good=true", "", 204)
	require.Equal(t, []map[string]any{{"id": id, "@removed": map[string]any{"reason": "deleted"}}}, page(gone.Delta, 200).Value)

	// The last group has 95 members: it comes again and again, each time with ten of them.
	slices, members := 0, map[string]bool{}
	var huge string
	for link := "/v1.0/groups/delta"; link != ""; {
		p := page(link, 200)
		for _, v := range p.Value {
			all, _ := v["members@delta"].([]any)
			require.LessOrEqual(t, len(all), 10)
			require.NotContains(t, v, "owners@delta")
			huge, _ = v["id"].(string)
		}
		link = p.Next
		if link == "" {
			require.NotEmpty(t, p.Delta)
		}
	}
	for link := "/v1.0/groups/delta?$select=members&$filter=id eq '" + huge + "'"; link != ""; {
		p := page(link, 200)
		require.Len(t, p.Value, 1)
		all, _ := p.Value[0]["members@delta"].([]any)
		for _, one := range all {
			link, _ := one.(map[string]any)
			require.Equal(t, "#microsoft.graph.user", link["@odata.type"])
			to, _ := link["id"].(string)
			members[to] = true
		}
		slices++
		link = p.Next
	}
	truth, _ := w.objects("groups")[huge]["members"].([]any)
	require.Len(t, members, len(truth))
	require.GreaterOrEqual(t, slices, 9)
	require.Len(t, w.ids("/v1.0/groups/"+huge+"/members?$top=20"), len(truth))
}

func TestDeltaTokensExpire(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) {
		c.Delta.TokenLife = time.Second
		c.Delta.Expired = "gone"
		c.Delta.Foreign = "ignore"
	})
	f := w.follow("/v1.0/users/delta?$select=displayName,signInActivity")
	f.round()
	require.NotContains(t, f.objects[w.ids("/v1.0/users?$top=1")[0]], "signInActivity")
	require.Eventually(t, func() bool {
		status, header, p, err := f.try(f.delta)
		if err != nil || status == http.StatusOK {
			return false
		}
		return status == http.StatusGone && p.Error != nil &&
			strings.HasPrefix(header.Get("Location"), w.plain.URL+"/v1.0/users/delta?$select=displayName,signInActivity&$deltatoken=")
	}, 10*time.Second, 100*time.Millisecond)
	f.round()
	f.equal("users")
}

func TestDirectoryPermissions(t *testing.T) {
	w := newWorld(t)
	for link, roles := range map[string][2]string{ // which suffice, and which do not
		"/v1.0/users/delta":             {"User.Read.All", "Group.Read.All"},
		"/v1.0/groups":                  {"GroupMember.Read.All", "User.Read.All"},
		"/v1.0/groups/delta":            {"Directory.Read.All", "User.Read.All"},
		"/v1.0/devices":                 {"Directory.Read.All", "User.Read.All"},
		"/v1.0/devices/delta":           {"Device.Read.All", "Directory.Read.All"},
		"/v1.0/applications/delta":      {"Application.Read.All", "User.Read.All"},
		"/v1.0/servicePrincipals/delta": {"Directory.Read.All", "User.Read.All"},
	} {
		require.NoError(t, w.server.SetConsents(clientID, tenantID, []string{roles[0]}))
		w.token(true)
		w.get(link, http.StatusOK)
		require.NoError(t, w.server.SetConsents(clientID, tenantID, []string{roles[1]}))
		w.token(true)
		require.Equal(t, "Authorization_RequestDenied", w.get(link, http.StatusForbidden).Error.Code, link)
	}
}

func TestLinks(t *testing.T) {
	w := newWorld(t)
	source, err := w.server.Tenant(tenantID)
	require.NoError(t, err)
	group := func(i int) string { return source.ObjectID(tenant.Groups, i) }
	const parent, child, devices, guests = 4, 5, 8, 10
	members := w.ids("/v1.0/groups/" + group(parent) + "/members")
	require.Contains(t, members, group(child))
	all := w.ids("/v1.0/groups/" + group(parent) + "/transitiveMembers?$top=5")
	require.Greater(t, len(all), len(members))
	users := w.ids("/v1.0/groups/" + group(parent) + "/transitiveMembers/microsoft.graph.user")
	require.Less(t, len(users), len(all))
	require.Equal(t, "Request_UnsupportedQuery", w.get("/v1.0/groups/"+group(parent)+"/members/microsoft.graph.moon", 400).Error.Code)
	require.Equal(t, "Request_ResourceNotFound", w.get("/v1.0/groups/"+clientID+"/members", 404).Error.Code)
	require.Contains(t, w.ids("/v1.0/users/"+users[0]+"/transitiveMemberOf"), group(parent))

	response, body, err := w.raw(t.Context(), "/v1.0/groups/"+group(devices)+"/members?$select=id,trustType", w.token(false))
	require.NoError(t, err)
	require.Equal(t, "2", response.Header.Get("x-ms-resource-unit"), "3, and 1 less for $select")
	require.Contains(t, string(body), `{"@odata.type":"#microsoft.graph.device","id":`)
	for link, units := range map[string]string{
		"/v1.0/users": "2", "/v1.0/users?$select=id": "1", "/v1.0/users?$top=5": "1", "/v1.0/users?$select=id&$top=5": "1",
		"/v1.0/applications?$expand=owners": "3", "/v1.0/groups/" + group(0) + "/transitiveMembers": "5", "/v1.0/groups": "1",
	} {
		response, _, err := w.raw(t.Context(), link, w.token(false))
		require.NoError(t, err)
		require.Equal(t, []any{200, units}, []any{response.StatusCode, response.Header.Get("x-ms-resource-unit")}, link)
	}
	guest := w.ids("/v1.0/groups/" + group(guests) + "/members")[0]
	w.admin("DELETE", "directory/users/"+guest, "", 204)
	require.NotContains(t, w.ids("/v1.0/groups/"+group(guests)+"/members"), guest, "Graph does not list who is deleted")
	w.admin("POST", "directory/users/"+guest+"/restore", "", 204)
	require.Contains(t, w.ids("/v1.0/groups/"+group(guests)+"/members"), guest)
	owned := w.get("/v1.0/devices?$expand=registeredOwners($select=id)&$top=1", 200)
	require.Contains(t, string(owned.Value[0]), `"registeredOwners":[{"@odata.type":"#microsoft.graph.user","id":"`)
	device := member(t, owned.Value[0], "id")
	owner := w.ids("/v1.0/devices/" + device + "/registeredUsers")[0]
	require.Contains(t, w.ids("/v1.0/users/"+owner+"/ownedDevices"), device)
	require.Equal(t, "BadRequest", w.get("/v1.0/devices?$expand=moons", 400).Error.Code)
}

func TestEveryNth(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) { c.Faults = []entra.Fault{{Kind: "throttle", Every: 3}} })
	token, err := w.server.Token(tenantID, clientID)
	require.NoError(t, err)
	var got []int
	for range 7 {
		response, _, err := w.raw(t.Context(), "/v1.0/groups", token)
		require.NoError(t, err)
		got = append(got, response.StatusCode)
	}
	require.Equal(t, []int{200, 200, 429, 200, 200, 429, 200}, got)
}

func TestForbiddenPath(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) {
		c.Faults = []entra.Fault{{Kind: "forbidden", Path: "/groups"}}
		c.Latency = time.Millisecond
	})
	require.Equal(t, "Authorization_RequestDenied", w.get("/v1.0/groups/delta", 403).Error.Code)
	w.get("/v1.0/users", 200)
	require.Positive(t, w.server.Faults()[1].Hits)
}

func TestDirectoryAdmin(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) {
		c.Tenants[0].Changes.Rate = 5
		c.Tenants[0].End = time.Now().Add(-10 * time.Second)
	})
	var counts struct {
		Sequence uint64
		Counts   map[string]uint64
	}
	require.NoError(t, json.Unmarshal([]byte(w.admin("GET", "directory", "", 200)), &counts))
	require.GreaterOrEqual(t, counts.Sequence, uint64(50), "scheduled")
	require.Positive(t, counts.Counts["memberships"])
	var made struct{ Changes map[string]int }
	require.NoError(t, json.Unmarshal([]byte(w.admin("POST", "directory/changes", `{"seed":1,"n":10}`, 200)), &made))
	w.admin("POST", "directory/changes", `{"n":0}`, 400)
	w.admin("POST", "directory/moons", `{}`, 400)
	w.admin("POST", "directory/expire-tokens", `{"collection":"moons"}`, 400)
	w.admin("PATCH", "directory/users/x", `{"city":"y"}`, 404)
	w.admin("GET", "truth/moons", "", 404)
	w.admin("DELETE", "directory/users/x?for_good=perhaps", "", 400)
	var user struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(w.admin("POST", "directory/users", `{"displayName":"Ann"}`, 201)), &user))
	group := w.ids("/v1.0/groups?$top=1&$filter=displayName eq 'Staff'")[0]
	w.admin("PUT", "directory/groups/"+group+"/members/"+user.ID, "", 204)
	require.Contains(t, w.ids("/v1.0/groups/"+group+"/members"), user.ID)
	w.admin("DELETE", "directory/groups/"+group+"/members/"+user.ID, "", 204)
	require.NotContains(t, w.ids("/v1.0/groups/"+group+"/members"), user.ID)
	require.NoError(t, w.server.SetLicence(tenantID, tenant.Free))
	require.Contains(t, string(w.get("/v1.0/users?$filter=displayName eq 'Ann'", 200).Value[0]), user.ID, "changes outlive a licence")
}
