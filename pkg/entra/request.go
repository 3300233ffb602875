package entra

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Request is a GET. The zero Class and Workload are a backfill of the directory.
type Request struct {
	// URL is absolute and of the endpoints' Graph host; or Path ("/v1.0/users") and Query stand in its place.
	URL, Path string
	Query     url.Values
	Class     budget.Class
	Workload  budget.Workload
	// Units is the cost of a directory request in ResourceUnits; 0 is 1.
	Units int
	// Header is sent with every page. Authorization, Accept-Encoding and User-Agent are the client's.
	Header http.Header
	// Timeout is in place of ClientSettings.RequestTimeout for the first page; see LogTimeout.
	Timeout time.Duration
	// Permission are those of which one is needed; they are named in a permission_missing error.
	Permission []string
}

// LogTimeout is for the first page of a log's window: big tenants take long (graph.md §2.1).
const LogTimeout = 300 * time.Second

// Response is a 2xx answer.
type Response struct {
	Status int
	Header http.Header
	// Date is the server's; the zero time if it sent none.
	Date time.Time
	Body []byte
}

// target returns the URL to ask, which is always of Graph's host: a token goes nowhere else.
func (c *Client) target(r Request) (*url.URL, error) {
	if r.URL == "" {
		if !strings.HasPrefix(r.Path, "/") || strings.HasPrefix(r.Path, "//") {
			return nil, newError(CauseBadRequest, "The request's path must begin with one slash.")
		}
		u := *c.root
		u.Path = r.Path
		// A plus stands for a space only in forms; OData wants %20.
		u.RawQuery = strings.ReplaceAll(strings.ReplaceAll(r.Query.Encode(), "+", "%20"), "%24", "$")
		return &u, nil
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, newError(CauseForeignHost, "The link is no URL.")
	}
	if u.User != nil || !sameHost(u, c.root) {
		return nil, newError(CauseForeignHost, "")
	}
	return u, nil
}

func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	default:
		return "80"
	}
}
