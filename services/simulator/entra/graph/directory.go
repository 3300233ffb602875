package graph

import (
	"net/http"

	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// directory answers with a page of a collection of the directory, or one object.
func (g *Graph) directory(c *call) (*answer, *apiError) {
	s := c.directoryShape()
	p := newPage()
	if c.object != "" {
		return c.single(p, s)
	}
	from, err := c.start()
	if err != nil {
		p.free()
		return nil, err
	}
	p.open(c)
	source, i := c.tenant.Source, from.index
	count := source.Count(c.resource.collection)
	for scanned := 0; i < count && p.count < c.opts.top && scanned < maxScan; i, scanned = i+1, scanned+1 {
		object := source.Object(c.resource.collection, i, c.now)
		if object != nil && odata.Match(c.opts.filter, object) {
			p.record(s, object)
		}
	}
	link := ""
	if i < count {
		link = g.nextLink(c, place{index: i})
	}
	p.close(link)
	return &answer{status: http.StatusOK, body: p}, nil
}

func (c *call) directoryShape() *shape {
	s := &shape{keep: c.opts.selected}
	if s.keep == nil && !c.beta {
		s.keep = c.resource.defaults
	}
	if s.keep == nil && c.resource.collection == tenant.Users {
		s.drop = []string{"signInActivity"}
	}
	if c.selectsActivity() {
		s.keep = append([]string{"id"}, s.keep...)
	}
	return s
}

// single answers with one object by its id.
func (c *call) single(p *page, s *shape) (*answer, *apiError) {
	source := c.tenant.Source
	i := source.Find(c.resource.collection, c.object)
	if i < 0 {
		p.free()
		return nil, fail(http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+c.object+
			"' does not exist or one of its queried reference-property objects are not present.")
	}
	s.append(p.buf, source.Object(c.resource.collection, i, c.now))
	return &answer{status: http.StatusOK, body: p}, nil
}
