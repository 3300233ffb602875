package hub

import (
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"

	"github.com/entraflow/entraflow/pkg/entra"
)

// Cause is why a hub cannot be read, one of a fixed set of words. Those of the network are pkg/entra's.
type Cause string

// Causes.
const (
	CauseConnectionInvalid Cause = "connection_invalid"
	CauseCAFile            Cause = "ca_file_unreadable"
	CauseKeyWrong          Cause = "hub_key_wrong"
	CauseKeyExpired        Cause = "hub_key_expired"
	CauseClaimMissing      Cause = "hub_claim_missing"
	CauseRoleMissing       Cause = "hub_role_missing"
	CauseTokenRefused      Cause = "hub_token_refused"
	CauseHubNotFound       Cause = "hub_not_found"
	CauseHubDisabled       Cause = "hub_disabled"
	CauseGroupNotFound     Cause = "consumer_group_not_found"
	CauseTooManyReaders    Cause = "too_many_readers"
	CauseHubBusy           Cause = "hub_busy"
	CausePortBlocked       Cause = "amqp_port_blocked"
	CauseUnknown           Cause = Cause(entra.CauseUnknown)
	CauseNetworkDNS        Cause = Cause(entra.CauseNetworkDNS)
	CauseNetworkTLS        Cause = Cause(entra.CauseNetworkTLS)
	CauseNetworkRefused    Cause = Cause(entra.CauseNetworkRefused)
	CauseNetworkTimeout    Cause = Cause(entra.CauseNetworkTimeout)
	CauseNetwork           Cause = Cause(entra.CauseNetwork)
)

// causeText is what a person reads about a cause: a headline, and what to do.
type causeText struct {
	cause            Cause
	headline, remedy string
}

// causeTexts has a row for each cause.
var causeTexts = []causeText{
	{
		CauseConnectionInvalid, "The connection is not complete",
		"Copy the connection string again, from Shared access policies of the hub or its namespace, and name the hub unless the string ends in EntityPath.",
	},
	{
		CauseCAFile, "The file of trusted certificates cannot be read",
		"Correct ca_file of the namespace in the streamer's config; it must be PEM.",
	},
	{
		CauseKeyWrong, "The key of the connection string is wrong",
		"Copy the connection string again: the key was regenerated, or belongs to another namespace.",
	},
	{
		CauseKeyExpired, "The signature of the connection string has expired",
		"Check this machine's clock. If the string holds a SharedAccessSignature, make a new one, or use a key.",
	},
	{
		CauseClaimMissing, "The key may not listen",
		"Use the connection string of a policy with the claim Listen, or add Listen to this one under Shared access policies.",
	},
	{
		CauseRoleMissing, "The application may not read the hub",
		"Assign it the role Azure Event Hubs Data Receiver on the hub or its namespace (Access control), and wait some minutes.",
	},
	{
		CauseTokenRefused, "Event Hubs does not accept the application's token",
		"The subscription of the namespace must belong to the tenant of the application. Check tenant and application id, and this machine's clock.",
	},
	{
		CauseHubNotFound, "The Event Hub does not exist",
		"Check the hub's name: it is under Event Hubs of the namespace. Diagnostic settings without a hub's name make hubs called insights-logs-... when the first records come.",
	},
	{CauseHubDisabled, "The Event Hub is disabled", "Set its status to Active in the Azure portal."},
	{
		CauseGroupNotFound, "The consumer group does not exist",
		"Create it under Consumer groups of the hub, or use $Default.",
	},
	{
		CauseTooManyReaders, "Too many readers use this consumer group",
		"A group takes five readers a partition. Give Entraflow a consumer group of its own.",
	},
	{CauseHubBusy, "Event Hubs is busy", "Try again in a minute. If it stays so, the namespace has too few throughput units."},
	{
		CausePortBlocked, "The port of AMQP is blocked",
		"Open TCP 5671 to the namespace in the firewall, or let AMQP go over 443: set web_sockets for the namespace in the streamer's config.",
	},
	{CauseUnknown, "The hub cannot be read for an unknown reason", "Try again; report the code if it stays so."},
	{
		CauseNetworkDNS, "The namespace's host name is not found",
		"Check its spelling (contoso.servicebus.windows.net) and this machine's name server. The name of a private endpoint is known in its own network only.",
	},
	{
		CauseNetworkTLS, "The TLS certificate of the other side is not trusted",
		"If a proxy inspects TLS, exempt the namespace from it, or name the proxy's CA certificate in ca_file of the namespace in the streamer's config; otherwise check this machine's clock.",
	},
	{
		CauseNetworkRefused, "The connection is refused",
		"Check firewalls, and the namespace's own under Networking: TCP 5671, or 443 with web_sockets, must be open to it.",
	},
	{
		CauseNetworkTimeout, "The namespace does not answer in time",
		"Check firewalls, and the namespace's own under Networking: TCP 5671, or 443 with web_sockets, must be open to it.",
	},
	{
		CauseNetwork, "The connection broke off",
		"Check firewalls and proxies, and the namespace's own addresses under Networking. Try again.",
	},
}

func (c Cause) text() causeText {
	for _, row := range causeTexts {
		if row.cause == c {
			return row
		}
	}
	return CauseUnknown.text()
}

// Headline says the cause in a few words, without a full stop.
func (c Cause) Headline() string { return c.text().headline }

// Remedy returns what a person should do about a cause.
func (c Cause) Remedy() string { return c.text().remedy }

// Causes returns every cause.
func Causes() []Cause {
	all := make([]Cause, len(causeTexts))
	for i, row := range causeTexts {
		all[i] = row.cause
	}
	return all
}

// stage is what was asked of the hub when it failed.
type stage int

const (
	askingHub stage = iota
	readingGroup
)

// causeOf says why the SDK's error came, and Microsoft's code for it.
func causeOf(err error, at stage, byToken bool) (cause Cause, code string) {
	code = condition(err)
	switch status := rpcStatus(err); {
	case code == string(amqp.ErrCondNotFound), status == http.StatusNotFound:
		if at == readingGroup {
			return CauseGroupNotFound, code
		}
		return CauseHubNotFound, code
	case code == string(amqp.ErrCondResourceLimitExceeded):
		return CauseTooManyReaders, code
	case code == "com.microsoft:entity-disabled":
		return CauseHubDisabled, code
	case code == "com.microsoft:server-busy", status == http.StatusServiceUnavailable:
		return CauseHubBusy, code
	}
	known, ok := errors.AsType[*azeventhubs.Error](err)
	switch {
	case rpcStatus(err) == http.StatusUnauthorized, ok && known.Code == azeventhubs.ErrorCodeUnauthorizedAccess:
		return causeOfRefusal(err, at, byToken), code
	case ok && known.Code == azeventhubs.ErrorCodeConnectionLost:
		return CauseNetwork, code
	default:
		return causeOfNetwork(err), code
	}
}

// causeOfRefusal tells a credential that is none from one that may not do this. The SDK hides what it wraps, so it goes
// by the words of Event Hubs: "Unauthorized access. 'Listen' claim(s) are required".
func causeOfRefusal(err error, at stage, byToken bool) Cause {
	text := err.Error()
	switch known := at == readingGroup || strings.Contains(text, "claim(s)"); {
	case known && byToken:
		return CauseRoleMissing
	case known:
		return CauseClaimMissing
	case byToken:
		return CauseTokenRefused
	case strings.Contains(text, "ExpiredToken"):
		return CauseKeyExpired
	default:
		return CauseKeyWrong
	}
}

// condition returns the AMQP condition of an error; empty if it has none.
func condition(err error) string {
	if e, ok := errors.AsType[*amqp.Error](err); ok {
		return string(e.Condition)
	}
	if e, ok := errors.AsType[*amqp.LinkError](err); ok && e.RemoteErr != nil {
		return string(e.RemoteErr.Condition)
	}
	return ""
}

// rpcStatus returns the status of an answer of $cbs or $management; 0 if there was none.
func rpcStatus(err error) int {
	if e, ok := errors.AsType[interface {
		error
		RPCCode() int
	}](err); ok {
		return e.RPCCode()
	}
	return 0
}
