package login

import (
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/people"
)

// devicePath is where people type the code that a device shows; Entra's is the same.
const devicePath = "/common/oauth2/deviceauth"

//go:embed page.html
var pageText string

// page is what page.html shows.
type page struct {
	// Text says what happened; the form is left out if it is set.
	Text string
	// Device says that the form asks for a code.
	Device  bool
	Code    string
	Persons []people.Person
}

func (l *Login) show(w http.ResponseWriter, status int, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	p.Persons = l.set.People.All()
	if !l.set.People.Config().Choose && p.Text == "" {
		status, p.Text = http.StatusForbidden, "Nobody signs in on this page: the admin API does it."
	}
	w.WriteHeader(status)
	_ = template.Must(template.New("page").Parse(pageText)).Execute(w, p) // the client is gone
}

// deviceCode is the device authorization request (RFC 8628 §3.1).
func (l *Login) deviceCode(w http.ResponseWriter, r *http.Request) {
	now, q := l.set.Now(), request{tenant: r.PathValue("tenant")}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil {
		failure(900144, q, "client_id").write(w, r, now)
		return
	}
	q.clientID = strings.ToLower(r.PostForm.Get("client_id"))
	t, fault := l.checkClient(q)
	if fault != nil {
		fault.write(w, r, now)
		return
	}
	scopes, fault := l.checkScopes(q, r.PostForm.Get("scope"))
	if fault != nil {
		fault.write(w, r, now)
		return
	}
	d := l.set.People.StartDevice(people.SignIn{Tenant: q.tenant, TenantID: t.ID(), Scopes: scopes})
	address := baseURL(r) + devicePath
	body, _ := json.Marshal(map[string]any{ // texts and numbers marshal
		"device_code": d.DeviceCode, "user_code": d.UserCode, "verification_uri": address,
		"expires_in": int(d.Expires / time.Second), "interval": int(d.Interval / time.Second),
		"message": "To sign in, use a web browser to open the page " + address + " and enter the code " + d.UserCode + " to authenticate.",
	})
	writeJSON(w, http.StatusOK, body)
}

func (l *Login) devicePage(w http.ResponseWriter, r *http.Request) {
	l.show(w, http.StatusOK, page{Device: true, Code: r.URL.Query().Get("user_code")})
}

// decideDevice takes the form of devicePage: user_code, and username or refuse.
func (l *Login) decideDevice(w http.ResponseWriter, r *http.Request) {
	if !l.readForm(w, r) {
		return
	}
	code := r.PostForm.Get("user_code")
	if r.PostForm.Has("refuse") {
		if l.set.People.Refuse(code) != nil {
			l.show(w, http.StatusNotFound, page{Text: "That code did not work. Check the code and try again."})
			return
		}
		l.show(w, http.StatusOK, page{Text: "You refused. You may close this page."})
		return
	}
	if l.set.People.Approve(code, r.PostForm.Get("username")) != nil {
		l.show(w, http.StatusNotFound, page{Text: "That code did not work. Check the code and try again."})
		return
	}
	l.show(w, http.StatusOK, page{Text: "You have signed in on your device. You may close this page."})
}

// readForm reads a form of a page, if people may use it.
func (l *Login) readForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil {
		l.show(w, http.StatusBadRequest, page{Text: "The form cannot be read."})
		return false
	}
	if !l.set.People.Config().Choose {
		l.show(w, http.StatusForbidden, page{})
		return false
	}
	return true
}

// authorizePage begins a sign-in by browser (RFC 6749 §4.1.1, RFC 7636).
func (l *Login) authorizePage(w http.ResponseWriter, r *http.Request) {
	if _, _, fault := l.checkAuthorization(r); fault != nil {
		l.show(w, fault.Status, page{Text: fault.Error()})
		return
	}
	l.show(w, http.StatusOK, page{})
}

// authorize takes the form of authorizePage, posted to the same address, and sends the browser back with a code.
func (l *Login) authorize(w http.ResponseWriter, r *http.Request) {
	if !l.readForm(w, r) {
		return
	}
	s, back, fault := l.checkAuthorization(r)
	if fault != nil {
		l.show(w, fault.Status, page{Text: fault.Error()})
		return
	}
	query := r.URL.Query()
	answer := back.Query()
	answer.Set("state", query.Get("state"))
	person, err := l.set.People.Find(r.PostForm.Get("username"))
	switch {
	case r.PostForm.Has("refuse"):
		answer.Set("error", accessDenied)
	case errors.Is(err, people.ErrNotFound):
		l.show(w, http.StatusNotFound, page{Text: "There is no such person."})
		return
	default:
		s.Username = person.Username
		answer.Set("code", l.set.People.AddCode(s, query.Get("redirect_uri"), query.Get("code_challenge")))
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// checkAuthorization reads the query of an authorization request. A browser is sent nowhere because of a wrong one.
func (l *Login) checkAuthorization(r *http.Request) (people.SignIn, *url.URL, *Error) {
	query := r.URL.Query()
	q := request{tenant: r.PathValue("tenant"), clientID: strings.ToLower(query.Get("client_id"))}
	t, fault := l.checkClient(q)
	if fault != nil {
		return people.SignIn{}, nil, fault
	}
	scopes, fault := l.checkScopes(q, query.Get("scope"))
	if fault != nil {
		return people.SignIn{}, nil, fault
	}
	back, err := url.Parse(query.Get("redirect_uri"))
	switch {
	case err != nil || !l.set.People.Config().Redirects(query.Get("redirect_uri")):
		return people.SignIn{}, nil, failure(50011, q, "")
	case query.Get("response_type") != "code":
		return people.SignIn{}, nil, failure(900144, q, "response_type")
	case query.Get("code_challenge") == "" || query.Get("code_challenge_method") != "S256":
		return people.SignIn{}, nil, failure(9002325, q, "")
	}
	return people.SignIn{Tenant: q.tenant, TenantID: t.ID(), Scopes: scopes, Nonce: query.Get("nonce")}, back, nil
}
