package tenant

import "strings"

// userDetails are a user's details. Users beyond the last are new: they have a mailbox and have registered nothing.
func (w *writer) userDetails(d Detail, i int) [][]byte {
	known := i < w.t.population.users
	var u user
	sort := person
	if known {
		u, sort = w.t.population.user(i), w.t.population.account(i)
	}
	switch d {
	case Methods:
		return w.methods(u, known)
	case Registration:
		w.registration(registeredMethods(u, known))
		return [][]byte{w.b}
	}
	if u.guest || sort == serviceAccount {
		return nil // no mailbox
	}
	switch d {
	case MailboxSettings:
		w.mailboxSettings(&u, sort)
		return [][]byte{w.b}
	case MailboxUsage:
		kind := "User"
		if sort == sharedMailbox {
			kind = "Shared"
		}
		w.number(`{"itemCount":`, int(u.h>>6%20_000))
		w.number(`,"bytes":`, int(u.h>>4%40_000_000_000))
		w.text(`,"recipientType":"`, kind)
		w.raw("}")
		return [][]byte{w.b}
	case MessageRules:
		return w.messageRules(&u)
	}
	return nil
}

func (w *writer) mailboxSettings(u *user, sort account) {
	purpose := "user"
	if sort == sharedMailbox {
		purpose = "shared"
	}
	w.text(`{"userPurpose":"`, purpose)
	w.raw(`,"archiveFolder":null,"timeZone":"UTC","delegateMeetingMessageDeliveryOptions":"sendToDelegateOnly","dateFormat":"yyyy-MM-dd"` +
		`,"timeFormat":"HH:mm","automaticRepliesSetting":{"status":"disabled","externalAudience":"all","internalReplyMessage":"","externalReplyMessage":""}` +
		`,"language":{"locale":"en-US","displayName":"English (United States)"}`)
	w.number(`,"workingHours":{"daysOfWeek":["monday","tuesday","wednesday","thursday","friday"],"startTime":"08:00:00.0000000","endTime":"17:00:00.0000000","utcOffsetHours":`,
		places[u.home].zone)
	w.raw("}}")
}

// messageRules are a few people's; one in fifty forwards to an address outside.
func (w *writer) messageRules(u *user) [][]byte {
	const outside, sorting = 50, 10
	switch {
	case u.first == "":
		return nil
	case u.h>>31%outside == 0:
		w.raw(`{"id":"AQAAAJ5dZqA=","displayName":"Forward","sequence":1,"isEnabled":true,"hasError":false,"isReadOnly":false,"conditions":null` +
			`,"exceptions":null,"actions":{"stopProcessingRules":true,"forwardTo":[{"emailAddress":{"name":"Outside","address":"`)
		w.b = u.appendLocal(w.b)
		w.raw(`@mail.example"}}]}}`)
	case u.h>>31%sorting == 1:
		w.raw(`{"id":"AQAAAJ5dZqB=","displayName":"Newsletters","sequence":1,"isEnabled":true,"hasError":false,"isReadOnly":false` +
			`,"conditions":{"subjectContains":["newsletter"]},"exceptions":null,"actions":{"moveToFolder":"AAMkAGVmMDEz","markAsRead":true}}`)
	default:
		return nil
	}
	return [][]byte{w.b}
}

// registeredMethods are what a user has registered, as the report names them (entra-lists.md §4). One in eight has nothing
// that counts.
func registeredMethods(u user, known bool) []string {
	const of = 8
	if !known || u.guest {
		return nil
	}
	switch u.h >> 45 % of {
	case 0:
		return nil
	case 1:
		return []string{"email"}
	case 2:
		return []string{"mobilePhone"}
	case 3:
		return []string{"fido2SecurityKey", "microsoftAuthenticatorPush"}
	case 4:
		return []string{"windowsHelloForBusiness", "microsoftAuthenticatorPush"}
	default:
		return []string{"microsoftAuthenticatorPush", "softwareOneTimePasscode", "mobilePhone"}
	}
}

// registration writes the report's row but for who it is of.
func (w *writer) registration(methods []string) {
	mfa := len(methods) > 0 && methods[0] != "email"
	strong := mfa && (methods[0] == "fido2SecurityKey" || methods[0] == "windowsHelloForBusiness")
	w.boolean(`{"isMfaCapable":`, mfa)
	w.boolean(`,"isMfaRegistered":`, mfa)
	w.boolean(`,"isPasswordlessCapable":`, strong)
	w.boolean(`,"isSsprCapable":`, len(methods) > 0)
	w.raw(`,"isSsprEnabled":true`)
	w.boolean(`,"isSsprRegistered":`, len(methods) > 0)
	w.raw(`,"isSystemPreferredAuthenticationMethodEnabled":true,"methodsRegistered":[`)
	if len(methods) > 0 {
		w.raw(`"` + strings.Join(methods, `","`) + `"`)
	}
	w.raw(`],"systemPreferredAuthenticationMethods":[`)
	preferred := "none"
	switch {
	case strong && methods[0] == "fido2SecurityKey":
		w.raw(`"Fido2"`)
		preferred = "push"
	case mfa && methods[0] == "mobilePhone":
		w.raw(`"Sms"`)
		preferred = "sms"
	case mfa:
		w.raw(`"PhoneAppNotification"`)
		preferred = "push"
	}
	w.text(`],"userPreferredMethodForSecondaryAuthentication":"`, preferred)
	w.time(`,"lastUpdatedDateTime":"`, w.t.end-5*perHour)
	w.raw("}")
}

// methods are a user's authentication methods as objects: the password, and what is registered.
func (w *writer) methods(u user, known bool) [][]byte {
	all := [][]byte{[]byte(`{"@odata.type":"#microsoft.graph.passwordAuthenticationMethod","id":"28c10230-6103-485e-b985-444c60001490","password":null}`)}
	for n, name := range registeredMethods(u, known) {
		one := writer{t: w.t}
		switch name {
		case "mobilePhone":
			one.raw(`{"@odata.type":"#microsoft.graph.phoneAuthenticationMethod","id":"3179e48a-750b-4051-897c-87b9720928f7","phoneNumber":"+1 5555550100","phoneType":"mobile","smsSignInState":"notAllowedByPolicy"}`)
		default:
			kind := map[string]string{
				"microsoftAuthenticatorPush": "microsoftAuthenticator", "softwareOneTimePasscode": "softwareOath", "fido2SecurityKey": "fido2",
				"windowsHelloForBusiness": "windowsHelloForBusiness", "email": "email",
			}[name]
			one.text(`{"@odata.type":"#microsoft.graph.`, kind+"AuthenticationMethod")
			one.guid(`,"id":"`, w.t.ids.seal(classOther, 20+uint64(n), uint64(u.index)))
			one.time(`,"displayName":null,"createdDateTime":"`, w.t.end-100*perDay)
			one.raw("}")
		}
		all = append(all, one.b)
	}
	return all
}
