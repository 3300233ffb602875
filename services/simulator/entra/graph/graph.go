// Package graph plays Microsoft Graph v1.0 and beta as far as logs, risk data and the directory go: tokens,
// permissions, licences, $filter and paging with their errors, throttling by the documented buckets, and faults on
// demand (graph.md §2 to §4). It reads tenants from state and answers; it stores nothing and logs nothing.
package graph

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/fault"
	"github.com/entraflow/entraflow/services/simulator/entra/login"
	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Settings is what the program sets.
type Settings struct {
	State    *state.State
	Throttle *throttle.Throttle
	Faults   *fault.Set
	Now      func() time.Time
	// Sleep waits for a slow answer until the request's context ends.
	Sleep func(r *http.Request, d time.Duration) error
	// Verify checks a token's signature and lifetime.
	Verify func(token string) (login.Claims, error)
	// KeepPath leaves the path of next links as the request had it. Graph's own say auditLogs/signins.
	KeepPath bool
	// Delta says how changes are told.
	Delta DeltaSettings
}

// DeltaSettings says how the delta queries of the directory answer.
type DeltaSettings struct {
	// PageSize is how many objects a page has, SliceSize how many links of one group: the rest comes on the next page.
	PageSize, SliceSize int
	// TokenLife is how long a token is good; Graph's are for 7 days.
	TokenLife time.Duration
	// Gone answers expired tokens with 410 and a Location, else with 400 syncStateNotFound.
	Gone bool
	// IgnoreForeign leaves properties that are not Entra's out of a delta, else they are refused with 501.
	IgnoreForeign bool
}

// Graph is an http.Handler, safe for concurrent use.
type Graph struct {
	set    Settings
	tokens tokenCache
}

// New returns a Graph.
func New(set Settings) *Graph {
	return &Graph{set: set, tokens: tokenCache{verified: map[[32]byte]login.Claims{}}}
}

// maxBody bounds a request's body after decompression.
const maxBody = 4 << 20

// call is one request on its way.
type call struct {
	r         *http.Request
	now       time.Time
	requestID string
	beta      bool
	resource  *resource
	// parent is the id in the resource's path, cast the type behind it; object is what follows it: an id.
	parent, cast, object string
	// delta says that the collection's changes are asked for.
	delta         bool
	ignoreForeign bool
	// admins hold a role, for reports.
	admins map[tenant.Ref]bool
	claims login.Claims
	tenant *state.Tenant
	opts   options
	// latency is how long the answer shall take at least.
	latency time.Duration
}

// answer is a response; body is written as it is, but for gzip.
type answer struct {
	status int
	body   *page
	// contentType is that of a body that is no JSON.
	contentType string
}

func (g *Graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{r: r, now: g.set.Now(), requestID: newID(), ignoreForeign: g.set.Delta.IgnoreForeign}
	h := w.Header()
	h.Set("Date", c.now.UTC().Format(http.TimeFormat))
	h.Set("request-id", c.requestID)
	client := r.Header.Get("client-request-id")
	if client == "" {
		client = c.requestID
	}
	h.Set("client-request-id", client)
	h.Set("Cache-Control", "no-cache")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"Simulator","Slice":"E","Ring":"1","ScaleUnit":"000","RoleInstance":"SIM000"}}`)
	if err := unzipBody(r); err != nil {
		err.write(w, c)
		return
	}
	began := time.Now()
	a, err := g.serve(c, h)
	if a != nil {
		defer a.body.free()
	}
	g.delay(c, began)
	if err != nil {
		err.write(w, c)
		return
	}
	g.send(w, c, a)
}

// serve checks a request in the order Graph does: token, path, throttling, permission, licence, query.
func (g *Graph) serve(c *call, h http.Header) (*answer, *apiError) {
	if err := g.authenticate(c); err != nil {
		return nil, err
	}
	if err := c.route(); err != nil {
		return nil, err
	}
	if err := g.spoil(c); err != nil {
		return nil, err
	}
	if err := g.charge(c, h); err != nil {
		return nil, err
	}
	if c.r.Method != http.MethodGet {
		return nil, fail(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	if err := c.permit(); err != nil {
		return nil, err
	}
	read := c.readOptions
	if c.delta {
		read = c.readDeltaOptions
	}
	if err := read(); err != nil {
		return nil, err
	}
	if c.resource.logs != nil {
		return g.logPage(c)
	}
	c.tenant.Directory.Advance(c.now)
	switch {
	case c.resource.serve != nil:
		return c.resource.serve(g, c)
	case c.delta:
		return g.deltaPage(c)
	case c.resource.detail != "":
		return g.detailPage(c)
	case c.resource.relation != "":
		return g.linkPage(c)
	}
	return g.directory(c)
}

// IsPath reports whether a path is Graph's and not the login host's.
func IsPath(path string) bool {
	version, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return strings.EqualFold(version, "v1.0") || strings.EqualFold(version, "beta")
}

func unzipBody(r *http.Request) *apiError {
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return nil
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return fail(http.StatusBadRequest, "BadRequest", "The request's body is no gzip stream.")
		}
		r.Body = http.MaxBytesReader(nil, z, maxBody)
		r.ContentLength = -1
		r.Header.Del("Content-Encoding")
		return nil
	default:
		return fail(http.StatusUnsupportedMediaType, "BadRequest", "The content encoding is not supported.")
	}
}

// charge takes the request's costs from the buckets that cover it.
func (g *Graph) charge(c *call, h http.Header) *apiError {
	activity := c.selectsActivity()
	bucket, charges := c.charges()
	d := g.set.Throttle.Take(bucket, c.tenant.ID(), c.claims.AppID, charges)
	if activity && d.OK {
		d = g.set.Throttle.Take(throttle.BucketActivity, c.tenant.ID(), c.claims.AppID, throttle.Activity())
	}
	if bucket == throttle.BucketDirectory {
		h.Set("x-ms-resource-unit", fmt.Sprint(c.units()))
	}
	const shown = 0.8 // graph.md §3.5
	if d.Used >= shown {
		h.Set("x-ms-throttle-limit-percentage", fmt.Sprintf("%.2f", d.Used))
	}
	if d.OK {
		return nil
	}
	err := tooManyRequests(d.RetryAfter)
	scope := "Application"
	if d.Limit.PerTenant {
		scope = "Tenant_Application"
	}
	err.header.Set("x-ms-throttle-scope", fmt.Sprintf("%s/Read/%s/%s", scope, c.claims.AppID, c.tenant.ID()))
	err.header.Set("x-ms-throttle-information", throttleInformation(bucket))
	return err
}

func throttleInformation(bucket string) string {
	if bucket == throttle.BucketDirectory {
		return "ResourceUnitLimitExceeded"
	}
	return "RequestLimitExceeded"
}

func (c *call) charges() (bucket string, charges []throttle.Charge) {
	switch c.resource.bucket {
	case throttle.BucketReports:
		return throttle.BucketReports, throttle.Reports()
	case throttle.BucketProtection:
		return throttle.BucketProtection, throttle.Protection()
	case throttle.BucketIntune:
		return throttle.BucketIntune, throttle.Intune()
	case throttle.BucketUsage:
		return throttle.BucketUsage, throttle.Usage(c.resource.typeName)
	case throttle.BucketOther:
		return throttle.BucketOther, throttle.Other()
	}
	return throttle.BucketDirectory, throttle.Directory(c.tenant.Source.Count(tenant.Users), c.units())
}

// units are the resource units of a directory request.
func (c *call) units() int {
	units, q := c.resource.units, c.r.URL.Query()
	if q.Has("$select") {
		units--
	}
	if q.Has("$expand") {
		units++
	}
	const fewObjects = 20
	if top, err := topOf(q.Get("$top")); err == nil && q.Has("$top") && top < fewObjects {
		units--
	}
	return max(units, 1)
}

func (c *call) selectsActivity() bool {
	return c.resource.collection == tenant.Users &&
		(strings.Contains(c.r.URL.Query().Get("$select"), "signInActivity") || strings.Contains(c.r.URL.Query().Get("$filter"), "signInActivity"))
}
