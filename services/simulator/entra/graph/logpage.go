package graph

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/fault"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Sizes of what page faults do, as shares of a page.
const (
	// duplicated is how much of a page comes again with the next one.
	duplicated = 10
	// shortened is how much a short page lacks: 941 of 1,000 were seen (graph.md §2.1).
	shortened = 17
)

// query is what the tenant is asked for: the filter's window within the retention.
func (c *call) query() tenant.Query {
	q := tenant.Query{From: c.opts.from, To: c.opts.to, At: c.now}
	if kept := c.resource.retention(c.tenant.Licence()); kept > 0 && q.From.Before(c.now.Add(-kept)) {
		q.From = c.now.Add(-kept)
	}
	if q.To.IsZero() || q.To.After(c.now) {
		q.To = c.now
	}
	if c.tenant.Licence() != tenant.P2 {
		q.Hide |= tenant.HideRisk
	}
	if !c.holds("Policy.Read.All", "Policy.Read.ConditionalAccess", "Policy.ReadWrite.ConditionalAccess") {
		q.Hide |= tenant.HidePolicies
	}
	return q
}

// logPage answers with a page of a log.
func (g *Graph) logPage(c *call) (*answer, *apiError) {
	from, err := c.start()
	if err != nil {
		return nil, err
	}
	shape, err := c.shape()
	if err != nil {
		return nil, err
	}
	p := newPage()
	p.open(c)
	limit, again := c.opts.top, 0
	for _, f := range g.set.Faults.Draw(c.faultTarget(), fault.ShortPage, fault.EmptyPage, fault.Duplicate) {
		switch f.Kind {
		case fault.ShortPage:
			limit = max(limit-limit/shortened-1, 1)
		case fault.EmptyPage:
			limit = 0
		case fault.Duplicate:
			again = max(limit/duplicated, 1)
		}
	}
	var next place
	var more bool
	switch {
	case limit == 0:
		next, more = c.unmoved(from), true
	case c.opts.ascending:
		next, more = c.ascending(p, shape, from, limit)
	default:
		next, more = c.descending(p, shape, from, limit, again)
	}
	link := ""
	if more {
		link = g.nextLink(c, next)
	}
	p.close(link)
	return &answer{status: http.StatusOK, body: p}, nil
}

// unmoved is a place that reads back as from.
func (c *call) unmoved(from place) place {
	if c.opts.ascending && from.at.IsZero() {
		from.at = c.oldest()
	}
	return from
}

func (c *call) oldest() time.Time {
	cfg := c.tenant.Source.Config()
	start := cfg.End.AddDate(0, 0, -cfg.Days-1)
	if q := c.query(); q.From.After(start) {
		return q.From
	}
	return start
}

func (c *call) descending(p *page, s *shape, from place, limit, again int) (next place, more bool) {
	w := newWalk(c.tenant.Source, c.opts.logs, c.query(), from, c.opts.filter, limit)
	rewound := false
	for n := range limit {
		if n > 0 && n == limit-again {
			next, rewound = first(w.place()), true
		}
		r := w.take()
		if r == nil {
			rewound = false
			break
		}
		p.record(s, r.JSON)
	}
	if rewound {
		return next, true
	}
	return w.place()
}

func first(p place, _ bool) place { return p }

func (c *call) ascending(p *page, s *shape, from place, limit int) (next place, more bool) {
	if from.at.IsZero() {
		from.at = c.oldest()
	}
	records, next, more := ascend(c.tenant.Source, c.opts.logs, c.query(), from, c.opts.filter, limit)
	for _, r := range records {
		p.record(s, r.JSON)
	}
	return next, more
}

// nextLink is the request's URL with a skip token. Its host is the request's; the options keep their order and come
// with $ as it is, as Graph's do.
func (g *Graph) nextLink(c *call, next place) string {
	var b strings.Builder
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	path := c.r.URL.EscapedPath()
	if c.resource.path == pathSignIns && !g.set.KeepPath {
		path = path[:len(path)-len("signIns")] + "signins"
	}
	b.WriteString(scheme + c.r.Host + path + "?")
	top := false
	for option := range strings.SplitSeq(c.r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(option, "=")
		name = strings.Replace(name, "%24", "$", 1)
		if option == "" || name == "$skiptoken" {
			continue
		}
		top = top || name == "$top"
		b.WriteString(strings.Replace(option, "%24", "$", 1) + "&")
	}
	if c.resource.path == pathProvisioning && !top {
		b.WriteString("$top=1000&")
	}
	b.WriteString("$skiptoken=" + c.seal(next))
	return b.String()
}

// shape says which members of a record are sent and how.
func (c *call) shape() (*shape, *apiError) {
	s := &shape{replace: map[string]string{}}
	switch {
	case len(c.opts.selected) > 0:
		if c.resource.path == pathSignIns {
			if err := c.checkSelected(); err != nil {
				return nil, err
			}
		}
		s.keep = c.opts.selected
	case !c.beta:
		s.keep = c.resource.defaults
	}
	if !strings.Contains(c.r.Header.Get("Prefer"), "include-unknown-enum-members") {
		s.future = future
	}
	if c.resource.typeName == "riskDetection" && c.tenant.Licence() != tenant.P2 {
		s.replace["riskLevel"], s.replace["riskDetail"] = `"hidden"`, `"hidden"`
	}
	return s, nil
}

func (c *call) checkSelected() *apiError {
	for _, name := range c.opts.selected {
		if !slices.Contains(signInProperties, name) && (!c.beta || !slices.Contains(signInBetaProperties, name)) {
			return badRequest("Parsing OData Select and Expand failed: Could not find a property named '" + name +
				"' on type 'microsoft.graph." + c.resource.typeName + "'.")
		}
	}
	return nil
}
