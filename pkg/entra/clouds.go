package entra

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Cloud is one of Microsoft's clouds (graph.md §1).
type Cloud struct {
	// Name is global, us_gov, us_gov_dod or china.
	Name string
	// AuthorityURL and GraphURL have neither path nor slash at the end.
	AuthorityURL, GraphURL string
	// EventHubsSuffix ends the host of an Event Hubs namespace.
	EventHubsSuffix string
}

// Names of clouds.
const (
	CloudGlobal   = "global"
	CloudUSGov    = "us_gov"
	CloudUSGovDoD = "us_gov_dod"
	CloudChina    = "china"
)

// Clouds returns Microsoft's clouds. GCC (not High) is in the global one.
func Clouds() []Cloud {
	return []Cloud{
		{CloudGlobal, "https://login.microsoftonline.com", "https://graph.microsoft.com", "servicebus.windows.net"},
		{CloudUSGov, "https://login.microsoftonline.us", "https://graph.microsoft.us", "servicebus.usgovcloudapi.net"},
		{CloudUSGovDoD, "https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "servicebus.usgovcloudapi.net"},
		{
			CloudChina, "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn",
			"servicebus.chinacloudapi.cn",
		},
	}
}

// cloudAliases are other words for a cloud, without their separators.
var cloudAliases = map[string]string{
	"": CloudGlobal, "global": CloudGlobal, "public": CloudGlobal, "azurepublic": CloudGlobal,
	"azurecloud": CloudGlobal, "commercial": CloudGlobal, "gcc": CloudGlobal,
	"usgov": CloudUSGov, "usgovernment": CloudUSGov, "azureusgovernment": CloudUSGov, "gcchigh": CloudUSGov,
	"usgovl4": CloudUSGov, "l4": CloudUSGov,
	"usgovdod": CloudUSGovDoD, "dod": CloudUSGovDoD, "usgovl5": CloudUSGovDoD, "l5": CloudUSGovDoD,
	"china": CloudChina, "azurechina": CloudChina, "azurechinacloud": CloudChina, "21vianet": CloudChina,
}

// CloudByName finds a cloud by its name or one of its aliases, in any case and with any of "_", "-" and
// space; "" is the global cloud.
func CloudByName(name string) (Cloud, bool) {
	plain := strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
	known, ok := cloudAliases[plain]
	if !ok {
		return Cloud{}, false
	}
	for _, cloud := range Clouds() {
		if cloud.Name == known {
			return cloud, true
		}
	}
	return Cloud{}, false
}

// Overrides replace a cloud's addresses for tests, simulators and proxies. Empty fields change nothing.
type Overrides struct {
	// AuthorityURL is https, GraphURL too or http with a loopback address.
	AuthorityURL, GraphURL string
	// CAFile is a PEM bundle to trust beside the system's.
	CAFile string
}

// Endpoints is where requests go. Copy it freely.
type Endpoints struct {
	Cloud
	// RootCAs is nil for the system's.
	RootCAs *x509.CertPool
	// OwnAuthority says that the authority is none of Microsoft's, so that it is not looked up there.
	OwnAuthority bool
}

// NewEndpoints returns the endpoints of the named cloud. It fails for an unknown cloud, an address that is
// not as Overrides wants it, and a CA file that cannot be read; all faults are joined.
func NewEndpoints(cloud string, o Overrides) (Endpoints, error) {
	known, ok := CloudByName(cloud)
	if !ok {
		return Endpoints{}, fmt.Errorf("unknown cloud %.40q: use global, us_gov, us_gov_dod or china", cloud)
	}
	e := Endpoints{Cloud: known}
	var errs []error
	if o.AuthorityURL != "" {
		root, err := rootURL(o.AuthorityURL, false)
		errs = append(errs, wrapFault("the authority's URL", err))
		e.AuthorityURL, e.OwnAuthority = root, !microsoftAuthority(root)
	}
	if o.GraphURL != "" {
		root, err := rootURL(o.GraphURL, true)
		errs = append(errs, wrapFault("Graph's URL", err))
		e.GraphURL = root
	}
	if o.CAFile != "" {
		pool, err := readCAs(o.CAFile)
		errs = append(errs, err)
		e.RootCAs = pool
	}
	if err := errors.Join(errs...); err != nil {
		return Endpoints{}, err
	}
	return e, nil
}

func wrapFault(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func microsoftAuthority(root string) bool {
	for _, cloud := range Clouds() {
		if cloud.AuthorityURL == root {
			return true
		}
	}
	return false
}

// rootURL checks an address and drops the slash at its end. It does not repeat what it refuses: that may
// hold a password.
func rootURL(address string, plain bool) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", errors.New("must be https://host[:port] and nothing else")
	}
	loopback := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !plain || !loopback) {
		return "", errors.New("must begin with https://")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// maxCAFile bounds a bundle: a path to a wrong file must not fill memory.
const maxCAFile = 4 << 20

func readCAs(path string) (*x509.CertPool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading CA file: %w", err)
	}
	if info.Size() > maxCAFile {
		return nil, fmt.Errorf("reading CA file: %s is larger than %d bytes", path, maxCAFile)
	}
	bundle, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("reading CA file: %s holds no certificate in PEM", path)
	}
	return pool, nil
}

// Scope returns what a token for Graph is asked for.
func (e Endpoints) Scope() string { return e.GraphURL + "/.default" }

// Transport returns a new transport that trusts RootCAs, speaks HTTP/2 where the server does, and keeps
// connections alive. The caller closes its idle connections.
func (e Endpoints) Transport() *http.Transport {
	const (
		dialTimeout, keepAlive        = 10 * time.Second, 30 * time.Second
		idlePerHost                   = 32
		idleTimeout, tlsTimeout       = 90 * time.Second, 10 * time.Second
		pingAfter, pingTimeout        = 30 * time.Second, 15 * time.Second
		responseHeaderBytes     int64 = 256 << 10
	)
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    tlsTimeout,
		MaxResponseHeaderBytes: responseHeaderBytes,
		TLSClientConfig:        &tls.Config{RootCAs: e.RootCAs, MinVersion: tls.VersionTLS12},
	}
}
