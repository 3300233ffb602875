package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// createFrom adds an object with some properties; the others are those of an object of the base, with names of its own.
func (d *Directory) createFrom(c tenant.Collection, properties map[string]string, now time.Time) tenant.Ref {
	n := len(d.table(c).created)
	id := derived(d.base.ID(), string(c), strconv.Itoa(n))
	values := d.fresh(c, n, id, now)
	maps.Copy(values, properties)
	body := jsonwalk.Set(d.template(c, n, now), slices.Sorted(maps.Keys(values)), values)
	var names []string
	for _, key := range []string{"userPrincipalName", "appId"} {
		if name, err := strconv.Unquote(string(jsonwalk.Get(body, key))); err == nil {
			names = append(names, name)
		}
	}
	return d.create(c, id, body, names...)
}

// template is an ordinary object to take properties from: the next one of the base behind the n-th.
func (d *Directory) template(c tenant.Collection, n int, now time.Time) []byte {
	count := d.base.Count(c)
	var last []byte
	for k := range count {
		i := (count/2 + n + k) % count
		body := d.base.Object(c, i, now)
		if body != nil && !d.base.Essential(c, i) && strings.Contains(string(body), `"id":`) {
			return body
		}
		if body != nil {
			last = body
		}
	}
	if last == nil {
		return []byte("{}")
	}
	return last
}

// fresh are the properties that a new object does not share with its template.
func (d *Directory) fresh(c tenant.Collection, n int, id string, now time.Time) map[string]string {
	at := quote(now.UTC().Format("2006-01-02T15:04:05Z"))
	values := map[string]string{"id": quote(id), "createdDateTime": at, "deletedDateTime": "null"}
	set := func(key, format string, args ...any) { values[key] = quote(fmt.Sprintf(format, args...)) }
	switch c {
	case tenant.Users:
		d.freshUser(n, at, values, set)
	case tenant.Groups:
		d.freshGroup(n, at, values, set)
	case tenant.Devices:
		values["deviceId"] = quote(derived(id, "device"))
		set("displayName", "NEW-PC-%d", n)
		values["registrationDateTime"], values["approximateLastSignInDateTime"] = at, at
	case tenant.Applications, tenant.ServicePrincipals:
		values["appId"] = quote(derived(id, "app"))
		set("displayName", "New App %d", n)
		if c == tenant.ServicePrincipals {
			set("appDisplayName", "New App %d", n)
			values["servicePrincipalNames"] = "[" + values["appId"] + "]"
		} else {
			values["passwordCredentials"], values["keyCredentials"] = d.credential(id, now), "[]"
		}
	}
	return values
}

func (d *Directory) freshUser(n int, at string, values map[string]string, set func(key, format string, args ...any)) {
	name, domain := "new.user."+strconv.Itoa(n), d.domain()
	set("userPrincipalName", "%s@%s", name, domain)
	set("mail", "%s@%s", name, domain)
	set("mailNickname", "%s", name)
	set("displayName", "New User %d", n)
	set("givenName", "New")
	set("surname", "User %d", n)
	set("employeeId", "N%d", n)
	values["userType"], values["creationType"], values["externalUserState"] = `"Member"`, "null", "null"
	values["externalUserStateChangeDateTime"], values["signInActivity"] = "null", ""
	values["proxyAddresses"] = `["SMTP:` + name + "@" + domain + `"]`
	values["otherMails"] = "[]"
	values["identities"] = `[{"signInType":"userPrincipalName","issuer":` + quote(domain) + `,"issuerAssignedId":` + values["userPrincipalName"] + `}]`
	values["lastPasswordChangeDateTime"], values["signInSessionsValidFromDateTime"] = at, at
	values["accountEnabled"] = "true"
}

func (d *Directory) freshGroup(n int, at string, values map[string]string, set func(key, format string, args ...any)) {
	set("displayName", "New Group %d", n)
	set("description", "New Group %d", n)
	set("mailNickname", "newgroup%d", n)
	set("securityIdentifier", "S-1-12-1-3-%d", n)
	values["renewedDateTime"], values["isAssignableToRole"], values["onPremisesSyncEnabled"] = at, "null", "null"
	if n%2 == 0 {
		values["groupTypes"], values["mailEnabled"], values["securityEnabled"] = `["Unified"]`, "true", "false"
		set("mail", "newgroup%d@%s", n, d.domain())
		values["proxyAddresses"] = `["SMTP:newgroup` + strconv.Itoa(n) + "@" + d.domain() + `"]`
	} else {
		values["groupTypes"], values["mailEnabled"], values["securityEnabled"] = `[]`, "false", "true"
		values["mail"], values["proxyAddresses"] = "null", "[]"
	}
	values["membershipRule"], values["membershipRuleProcessingState"] = "null", "null"
}

// credential is a list of one secret that is valid for half a year.
func (d *Directory) credential(of string, now time.Time) string {
	const half = 182 * 24 * time.Hour
	key := derived(of, "key", strconv.FormatUint(d.seq, 10))
	return `[{"keyId":"` + key + `","displayName":"key","customKeyIdentifier":null,"startDateTime":"` + now.UTC().Format(time.RFC3339) +
		`","endDateTime":"` + now.Add(half).UTC().Format(time.RFC3339) + `","hint":"` + key[:3] + `","secretText":null}]`
}

// domain is that of the tenant's users.
func (d *Directory) domain() string {
	upn := string(jsonwalk.Get(d.base.Object(tenant.Users, 0, time.Time{}), "userPrincipalName"))
	return strings.Trim(upn[strings.LastIndexByte(upn, '@')+1:], `"`)
}

func quote(s string) string { return strconv.Quote(s) } // of plain ASCII, as all that is made here

// derived is a GUID that depends on its parts alone.
func derived(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
