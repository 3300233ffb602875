// Package issuer signs people in at OpenID Connect issuers, by the device flow: they confirm a code in a browser, on
// whatever machine (RFC 8628).
package issuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Errors of this package.
var (
	// ErrEnded says that a login is over: the refresh token is used up, or was taken back.
	ErrEnded = errors.New("the login has ended")
	// ErrDeclined says that whoever was asked to confirm the code said no, and ErrLate that nobody said anything in time.
	ErrDeclined = errors.New("the login was declined")
	ErrLate     = errors.New("the code was not confirmed in time")
	// ErrNoDevices says that an issuer has no device flow.
	ErrNoDevices = errors.New("the issuer offers no device login")
	// ErrURL says that a URL cannot be an issuer's.
	ErrURL = errors.New("must be an https URL, or http on this machine, without query and fragment")
)

// requestTimeout bounds each request to an issuer.
const requestTimeout = 20 * time.Second

// Config says where to sign in and as which client.
type Config struct {
	// URL is the issuer's, ClientID that of a public client.
	URL, ClientID string
	// Scopes are asked for beside openid and offline_access.
	Scopes []string
	// Audience is asked for unless it is empty.
	Audience string
	// CAFile holds the issuer's certificate authorities in PEM. Empty: the system's.
	CAFile string
}

// Issuer is an issuer whose endpoints are known. It may be used by many goroutines.
type Issuer struct {
	oauth  oauth2.Config
	client *http.Client
	extra  []oauth2.AuthCodeOption
}

// CheckURL returns ErrURL for what cannot be an issuer's URL: tokens go over TLS, but for this machine's own.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Hostname())) {
		return fmt.Errorf("%q %w", text, ErrURL)
	}
	return nil
}

// IsLoopback reports whether a host is this machine by its name or address.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// Discover asks an issuer for its endpoints, all of which must be as safe as the issuer itself.
// Errors: ErrURL, ErrNoDevices, those of the network.
func Discover(ctx context.Context, cfg Config) (*Issuer, error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, err
	}
	client, err := newClient(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("asking the issuer %s for its endpoints: %w", cfg.URL, err)
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams // a public client has no secret to send otherwise
	if endpoint.DeviceAuthURL == "" {
		return nil, fmt.Errorf("%w: %s", ErrNoDevices, cfg.URL)
	}
	for _, address := range []string{endpoint.DeviceAuthURL, endpoint.TokenURL} {
		if err := checkEndpoint(address); err != nil {
			return nil, fmt.Errorf("the issuer %s names an endpoint: %w", cfg.URL, err)
		}
	}
	made := &Issuer{client: client, oauth: oauth2.Config{
		ClientID: cfg.ClientID, Endpoint: endpoint, Scopes: scopes(cfg.Scopes),
	}}
	if cfg.Audience != "" {
		made.extra = append(made.extra, oauth2.SetAuthURLParam("audience", cfg.Audience))
	}
	return made, nil
}

// Code is what somebody confirms in a browser.
type Code struct {
	// URL is the page, and User the code to enter there.
	URL, User string
	// Complete is the page with the code in it. Empty: the issuer has none.
	Complete string
	// Expiry is until when. Zero: it was not said.
	Expiry time.Time
}

// Login asks for a code, shows it, and waits until it was confirmed. Errors: ErrDeclined, ErrLate, ctx's, those of the
// network.
func (i *Issuer) Login(ctx context.Context, show func(Code)) (*oauth2.Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, i.client)
	answer, err := i.oauth.DeviceAuth(ctx, i.extra...)
	if err != nil {
		return nil, fmt.Errorf("asking for a code: %w", bare(err))
	}
	for _, address := range []string{answer.VerificationURI, answer.VerificationURIComplete} {
		if address != "" {
			if err := checkEndpoint(address); err != nil {
				return nil, fmt.Errorf("the issuer names a page: %w", err)
			}
		}
	}
	show(Code{URL: answer.VerificationURI, User: answer.UserCode, Complete: answer.VerificationURIComplete, Expiry: answer.Expiry})
	token, err := i.oauth.DeviceAccessToken(ctx, answer, i.extra...)
	var refused *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &refused) && refused.ErrorCode == "access_denied":
		return nil, ErrDeclined
	case errors.As(err, &refused) && refused.ErrorCode == "expired_token",
		errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, ErrLate
	default:
		return nil, fmt.Errorf("waiting for the code to be confirmed: %w", bare(err))
	}
}

// Refresh exchanges a refresh token. If the issuer gives no new one, the old one goes on. Errors: ErrEnded, those of the
// network.
func (i *Issuer) Refresh(ctx context.Context, refresh string) (*oauth2.Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, i.client)
	token, err := i.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	var refused *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError &&
		refused.Response.StatusCode != http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: %w", ErrEnded, bare(err))
	default:
		return nil, fmt.Errorf("refreshing the login: %w", bare(err))
	}
}

// bare leaves out the body of an issuer's answer, which may hold anything.
func bare(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return err
	}
	status := "no status"
	if refused.Response != nil {
		status = refused.Response.Status
	}
	if refused.ErrorCode == "" {
		return fmt.Errorf("the issuer answered %s", status)
	}
	if refused.ErrorDescription == "" {
		return fmt.Errorf("the issuer answered %s: %s", status, refused.ErrorCode)
	}
	return fmt.Errorf("the issuer answered %s: %s: %s", status, refused.ErrorCode, refused.ErrorDescription)
}

func scopes(own []string) []string {
	all := []string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess}
	for _, scope := range own {
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}

func checkEndpoint(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Hostname())) {
		return fmt.Errorf("%q %w", address, ErrURL)
	}
	return nil
}

func newClient(caFile string) (*http.Client, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: requestTimeout}).DialContext,
		TLSHandshakeTimeout: requestTimeout, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("reading the issuer's certificate authorities: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the file %s holds no certificate", caFile)
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	return &http.Client{Transport: transport, Timeout: requestTimeout}, nil
}
