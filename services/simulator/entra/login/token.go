package login

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
)

// request is a token request as far as errors repeat it.
type request struct{ tenant, clientID string }

// Claims are those of an access token that Graph reads.
type Claims struct {
	jwt.RegisteredClaims
	TenantID string   `json:"tid"`
	AppID    string   `json:"appid"`
	ObjectID string   `json:"oid"`
	IDType   string   `json:"idtyp"`
	Roles    []string `json:"roles,omitempty"`
	Version  string   `json:"ver"`
	AppName  string   `json:"app_displayname,omitempty"`
	// ClientCapabilities has CP1 if the client handles claims challenges.
	ClientCapabilities []string `json:"xms_cc,omitempty"`
	// TokenID tells tokens of one second apart.
	TokenID string `json:"uti"`
}

// Resources that tokens are issued for, beside the simulator's own address.
const (
	GraphResource     = "https://graph.microsoft.com"
	GraphAppID        = "00000003-0000-0000-c000-000000000000"
	eventHubsResource = "https://eventhubs.azure.net"
)

func (l *Login) token(w http.ResponseWriter, r *http.Request) {
	now := l.set.Now()
	q := request{tenant: r.PathValue("tenant")}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil {
		failure(900144, q, "grant_type").write(w, r, now)
		return
	}
	q.clientID = strings.ToLower(r.PostForm.Get("client_id"))
	issue := l.issue
	if isPersonGrant(r.PostForm.Get("grant_type")) {
		issue = l.issuePerson
	}
	body, fault := issue(q, r, now)
	if fault != nil {
		fault.write(w, r, now)
		return
	}
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, http.StatusOK, body)
}

// issue checks a request in the order Entra does and returns the answer.
func (l *Login) issue(q request, r *http.Request, now time.Time) ([]byte, *Error) {
	if fault := checkForm(q, r); fault != nil {
		return nil, fault
	}
	t, fault := l.findTenant(q)
	if fault != nil {
		return nil, fault
	}
	if d := l.set.Throttle.Take(throttle.BucketLogin, t.ID(), q.clientID, throttle.Login()); !d.OK {
		fault := failure(90055, q, "")
		fault.RetryAfter = int(d.RetryAfter / time.Second)
		return nil, fault
	}
	if t.OtherCloud {
		return nil, failure(90038, q, "")
	}
	app, grant, fault := l.findApp(q, t)
	if fault != nil {
		return nil, fault
	}
	resource, fault := l.resource(q, r)
	if fault != nil {
		return nil, fault
	}
	if fault := l.authenticate(q, r, app, now); fault != nil {
		return nil, fault
	}
	return l.answer(r, l.claims(t, app, grant, resource))
}

func checkForm(q request, r *http.Request) *Error {
	form := r.PostForm
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return failure(900144, q, "grant_type")
	case grant != "client_credentials":
		return failure(70003, q, grant)
	case strings.EqualFold(q.tenant, "organizations"):
		return failure(50194, q, "")
	case isShared(q.tenant):
		return failure(9001023, q, "")
	case q.clientID == "":
		return failure(900144, q, "client_id")
	case form.Get("scope") == "":
		return failure(900144, q, "scope")
	}
	return nil
}

func (l *Login) findApp(q request, t *state.Tenant) (*state.App, state.Grant, *Error) {
	app, err := l.set.State.App(q.clientID)
	if err != nil {
		return nil, state.Grant{}, failure(700016, q, "")
	}
	grant, err := l.set.State.Grant(t.ID(), q.clientID)
	switch {
	case err != nil:
		return nil, grant, failure(700016, q, "")
	case grant.ForceError != 0:
		return nil, grant, failure(grant.ForceError, q, app.Name)
	case grant.Disabled:
		return nil, grant, failure(7000112, q, app.Name)
	}
	return app, grant, nil
}

// resource returns what the scope is for, in the client's spelling. Scopes of OpenID beside it are ignored.
func (l *Login) resource(q request, r *http.Request) (string, *Error) {
	scope := r.PostForm.Get("scope")
	var resources []string
	for s := range strings.FieldsSeq(scope) {
		if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, s) {
			continue
		}
		resource, ok := strings.CutSuffix(s, "/.default")
		if s == ".default" {
			return "", failure(700023, q, scope)
		}
		if !ok || resource == "" {
			return "", failure(70011, q, scope)
		}
		resource = strings.TrimSuffix(resource, "/")
		if !slices.Contains(resources, resource) {
			resources = append(resources, resource)
		}
	}
	switch len(resources) {
	case 0:
		return "", failure(700023, q, scope)
	case 1:
	default:
		return "", failure(700022, q, "Scope "+scope)
	}
	if !l.serves(resources[0], r) {
		return "", failure(500011, q, resources[0])
	}
	return resources[0], nil
}

func (l *Login) serves(resource string, r *http.Request) bool {
	return resource == GraphAppID || resource == GraphResource || resource == eventHubsResource ||
		resource == "https://"+r.Host || resource == "http://"+r.Host || isLoopbackURL(resource)
}

// isLoopbackURL is true of the simulator's other listener; its port is not known here.
func isLoopbackURL(resource string) bool {
	_, host, ok := strings.Cut(resource, "://")
	host, _, _ = strings.Cut(host, ":")
	return ok && (host == "localhost" || host == "127.0.0.1")
}

// Issue returns a token for Graph as an app in a tenant would get it. Its error is state.ErrNotFound.
func (l *Login) Issue(tenantID, clientID string) (string, error) {
	t, err := l.set.State.Tenant(tenantID)
	if err != nil {
		return "", err
	}
	app, err := l.set.State.App(clientID)
	if err != nil {
		return "", err
	}
	grant, err := l.set.State.Grant(t.ID(), app.ClientID)
	if err != nil {
		return "", err
	}
	return l.sign(l.claims(t, app, grant, GraphResource), l.set.TokenLifetime)
}

// claims are those of an app in a tenant. Without consents there are no roles at all.
func (l *Login) claims(t *state.Tenant, app *state.App, grant state.Grant, resource string) Claims {
	return Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: "https://sts.windows.net/" + t.ID() + "/", Subject: grant.ObjectID, Audience: jwt.ClaimStrings{resource},
		},
		TenantID: t.ID(), AppID: app.ClientID, ObjectID: grant.ObjectID, IDType: "app", Roles: grant.Consents,
		Version: "1.0", AppName: app.Name, TokenID: newID(),
	}
}

// sign makes the token.
func (l *Login) sign(claims Claims, lifetime time.Duration) (string, error) {
	now := l.set.Now()
	claims.IssuedAt, claims.NotBefore = jwt.NewNumericDate(now), jwt.NewNumericDate(now)
	claims.ExpiresAt = jwt.NewNumericDate(now.Add(lifetime))
	signed, err := l.keys.current().sign(audienceAsText{claims})
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return signed, nil
}

// answer is the body of a token that was issued.
func (l *Login) answer(r *http.Request, claims Claims) ([]byte, *Error) {
	lifetime := l.set.TokenLifetime
	if capabilities := clientCapabilities(r.PostForm.Get("claims")); slices.Contains(capabilities, "CP1") {
		claims.ClientCapabilities = capabilities
		lifetime = l.set.CAETokenLifetime
	}
	signed, err := l.sign(claims, lifetime)
	if err != nil {
		return nil, failure(90033, request{}, "")
	}
	seconds := int(lifetime/time.Second) - 1 // as Entra: 3599
	body, _ := json.Marshal(map[string]any{  // texts and numbers marshal
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": signed,
	})
	return body, nil
}

// audienceAsText writes a single audience as Entra does, as a text and not a list.
type audienceAsText struct{ Claims }

func (a audienceAsText) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Claims
		Audience string `json:"aud"`
	}{a.Claims, a.Audience[0]})
}

// clientCapabilities reads {"access_token":{"xms_cc":{"values":["CP1"]}}}; what is none has none.
func clientCapabilities(claims string) []string {
	var asked struct {
		AccessToken struct {
			Capabilities struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	if json.Unmarshal([]byte(claims), &asked) != nil {
		return nil
	}
	return asked.AccessToken.Capabilities.Values
}

// Verify reads a token of this login host, checks signature and lifetime, and returns its claims. Its error is jwt's.
func (l *Login) Verify(token string) (Claims, error) {
	var claims Claims
	_, err := jwt.ParseWithClaims(token, &claims, l.keys.find,
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(l.set.Now), jwt.WithExpirationRequired())
	if err != nil {
		return Claims{}, fmt.Errorf("verifying token: %w", err)
	}
	return claims, nil
}
