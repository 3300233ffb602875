package eventhubs

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// right is a set of claims.
type right uint8

const (
	rightSend right = 1 << iota
	rightListen
	rightManage
	rightAll = rightSend | rightListen | rightManage
)

func (r right) String() string {
	switch r {
	case rightSend:
		return "Send"
	case rightListen:
		return "Listen"
	}
	return "Manage"
}

func parseClaims(names []string) (right, error) {
	if len(names) == 0 {
		return rightAll, nil
	}
	var r right
	for _, name := range names {
		switch strings.ToLower(name) {
		case "send":
			r |= rightSend
		case "listen":
			r |= rightListen
		case "manage":
			r = rightAll
		default:
			return 0, fmt.Errorf("claim %q is none of Send, Listen, Manage", name)
		}
	}
	return r, nil
}

// claim is what a token allows below an entity path, until a time. The zero time is never.
type claim struct {
	path    string
	rights  right
	expires time.Time
}

func (c claim) covers(path string, r right, now time.Time) bool {
	return c.rights&r != 0 && below(path, c.path) && (c.expires.IsZero() || now.Before(c.expires))
}

// below tells whether path is parent or lies under it; both are entity paths in lower case.
func below(path, parent string) bool {
	rest, found := strings.CutPrefix(path, parent)
	return found && (parent == "" || rest == "" || rest[0] == '/')
}

// tokenError is why a token is refused, as $cbs says it.
type tokenError struct {
	status int32
	text   string
}

func (e *tokenError) Error() string { return e.text }

func unauthorized(text string) *tokenError { return &tokenError{status: 401, text: text} }

const (
	tokenTypeSAS = "servicebus.windows.net:sastoken"
	tokenTypeJWT = "jwt"
	sasPrefix    = "SharedAccessSignature "
)

// judge checks a token that a client puts for an audience and returns the claim it gives.
func (n *namespace) judge(tokenType, token, audience string, now time.Time) (claim, error) {
	host, path := splitAudience(audience)
	if hub, _, _ := strings.Cut(path, "/"); hub != "" && hub != "$management" && n.hub(hub) == nil {
		return claim{}, &tokenError{status: 404, text: fmt.Sprintf("The messaging entity '%s' could not be found.", audience)}
	}
	switch tokenType {
	case tokenTypeSAS:
		rights, expires, err := n.checkSAS(token, host+"/"+path, now)
		return claim{path: path, rights: rights, expires: expires}, err
	case tokenTypeJWT:
		expires, err := n.checkJWT(token, now)
		return claim{path: path, rights: rightAll, expires: expires}, err
	}
	return claim{}, unauthorized("InvalidTokenType: The token type '" + tokenType + "' is not supported.")
}

// splitAudience cuts scheme and host from an audience such as amqps://ns/hub/Partitions/0. Both parts are in lower
// case; the path has no slash at either end.
func splitAudience(audience string) (host, path string) {
	audience = strings.ToLower(audience)
	if _, after, found := strings.Cut(audience, "://"); found {
		audience = after
	}
	host, path, _ = strings.Cut(audience, "/")
	return host, strings.Trim(path, "/")
}

// checkSAS checks signature, expiry and resource of a shared access signature against the resource host/path.
func (n *namespace) checkSAS(token, resource string, now time.Time) (right, time.Time, error) {
	text, found := strings.CutPrefix(token, sasPrefix)
	values, err := url.ParseQuery(text)
	if !found || err != nil {
		return 0, time.Time{}, unauthorized("MalformedToken: The shared access signature cannot be read.")
	}
	key, known := n.keys[values.Get("skn")]
	// The signed text is the resource as it stands in the token, still escaped.
	escaped, _, _ := strings.Cut(afterField(text, "sr="), "&")
	signature := sign(key.secret, escaped, values.Get("se"))
	if !known || subtle.ConstantTimeCompare([]byte(signature), []byte(values.Get("sig"))) != 1 {
		return 0, time.Time{}, unauthorized("InvalidSignature: The token has an invalid signature.")
	}
	seconds, err := strconv.ParseInt(values.Get("se"), 10, 64)
	if err != nil {
		return 0, time.Time{}, unauthorized("MalformedToken: The expiry cannot be read.")
	}
	expires := time.Unix(seconds, 0)
	if !now.Before(expires) {
		return 0, time.Time{}, expired(expires, now)
	}
	host, path := splitAudience(values.Get("sr"))
	if !below(strings.Trim(resource, "/"), strings.Trim(host+"/"+path, "/")) {
		return 0, time.Time{}, unauthorized("InvalidAudience: The token is not valid for the resource.")
	}
	return key.rights, expires, nil
}

func afterField(text, field string) string {
	_, after, _ := strings.Cut(text, field)
	return after
}

func expired(at, now time.Time) *tokenError {
	const layout = "01/02/2006 15:04:05"
	return unauthorized(fmt.Sprintf("ExpiredToken: The token is expired. Expiration time: '%s', current time: '%s'.",
		at.UTC().Format(layout), now.UTC().Format(layout)))
}

func sign(secret, resource, expiry string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(resource + "\n" + expiry))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// checkJWT applies the namespace's policy; no signature is checked.
func (n *namespace) checkJWT(token string, now time.Time) (time.Time, error) {
	switch n.cfg.Tokens {
	case TokensAny:
		return time.Time{}, nil
	case TokensUnexpired:
	default:
		return time.Time{}, unauthorized("InvalidToken: This namespace accepts no Entra tokens.")
	}
	expires, err := jwtExpiry(token)
	if err != nil {
		return time.Time{}, unauthorized("MalformedToken: The token cannot be read.")
	}
	if !now.Before(expires) {
		return time.Time{}, expired(expires, now)
	}
	return expires, nil
}

var errNoJWT = errors.New("no JWT with an expiry")

func jwtExpiry(token string) (time.Time, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, errNoJWT
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, errNoJWT
	}
	var payload struct {
		Exp int64 `json:"exp"`
	}
	if err := json.Unmarshal(raw, &payload); err != nil || payload.Exp == 0 {
		return time.Time{}, errNoJWT
	}
	return time.Unix(payload.Exp, 0), nil
}
