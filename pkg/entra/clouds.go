package entra

import (
	"crypto/x509"
	"net/http"
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

// CloudByName finds a cloud by its name or one of its aliases, in any case; "" is the global cloud.
func CloudByName(name string) (Cloud, bool) { return Cloud{}, false }

// Overrides replace a cloud's addresses for tests, simulators and proxies. Empty fields change nothing.
type Overrides struct {
	// AuthorityURL and GraphURL are https, or http for a loopback address (Graph only).
	AuthorityURL, GraphURL string
	// CAFile is a PEM bundle to trust beside the system's.
	CAFile string
}

// Endpoints is where requests go. Copy it freely.
type Endpoints struct {
	Cloud
	// RootCAs is nil for the system's.
	RootCAs *x509.CertPool
	// OwnAuthority says that the authority is none of Microsoft's, so that its document is not looked up there.
	OwnAuthority bool
}

// NewEndpoints returns the endpoints of the named cloud. It fails for an unknown cloud, an address that is
// no https URL, and a CA file that cannot be read.
func NewEndpoints(cloud string, o Overrides) (Endpoints, error) { return Endpoints{}, nil }

// Scope returns what a token for Graph is asked for.
func (e Endpoints) Scope() string { return e.GraphURL + "/.default" }

// Transport returns a new transport that trusts RootCAs and keeps HTTP/2 connections alive. The caller
// closes its idle connections.
func (e Endpoints) Transport() *http.Transport { return nil }
