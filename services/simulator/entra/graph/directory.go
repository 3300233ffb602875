package graph

import (
	"net/http"
	"slices"

	"github.com/entraflow/entraflow/services/simulator/entra/fault"
	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// directory answers with a page of a collection of the directory, or one object.
func (g *Graph) directory(c *call) (*answer, *apiError) {
	s := c.directoryShape()
	if c.resource.row != nil {
		c.admins = c.tenant.Directory.Admins()
	}
	if c.object != "" || c.resource.singleton {
		return c.single(s)
	}
	from, err := c.start()
	if err != nil {
		return nil, err
	}
	limit, again := g.damage(c, c.opts.top)
	found, next, done := c.search(from.index, limit)
	if n := len(found) - again; again > 0 && n > 0 && !done {
		next = found[n].ref.Index
	}
	p := newPage()
	p.open(c)
	for _, f := range found {
		p.record(s, c.expanded(f.ref, f.object))
	}
	link := ""
	if !done {
		link = g.nextLink(c, place{index: next})
	}
	p.close(link)
	return &answer{status: http.StatusOK, body: p}, nil
}

// hit is an object that was found.
type hit struct {
	ref    tenant.Ref
	object []byte
}

// search finds up to limit objects that the filter matches from an index on. It only collects them: the directory is
// locked meanwhile.
func (c *call) search(from, limit int) (found []hit, next int, done bool) {
	if limit == 0 {
		return nil, from, false
	}
	next, done = c.tenant.Directory.Each(c.resource.collection, from, maxScan, c.now, func(ref tenant.Ref, object []byte) bool {
		if c.resource.row != nil {
			object = c.resource.row(c, ref, object)
		}
		if object == nil || !odata.Match(c.opts.filter, object) {
			return true
		}
		if len(found) == limit {
			return false
		}
		found = append(found, hit{ref, object})
		return true
	})
	return found, next, done
}

// damage is how many objects a page has, and how many of them come again, when faults have their say.
func (g *Graph) damage(c *call, top int) (limit, again int) {
	limit = top
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
	return limit, again
}

func (c *call) directoryShape() *shape {
	s := &shape{keep: c.opts.selected}
	if s.keep == nil && !c.beta {
		s.keep = c.resource.defaults
	}
	if s.keep == nil && c.resource.collection == tenant.Users {
		s.drop = []string{"signInActivity"}
	}
	if !c.beta {
		s.drop = append(s.drop, c.resource.betaOnly...)
	}
	if c.selectsActivity() {
		s.keep = append([]string{"id"}, s.keep...)
	}
	if s.keep != nil {
		for _, e := range c.opts.expand {
			s.keep = append(slices.Clip(s.keep), string(e.relation))
		}
	}
	return s
}

// single answers with one object by its id.
func (c *call) single(s *shape) (*answer, *apiError) {
	d := c.tenant.Directory
	ref, ok := tenant.Ref{Collection: c.resource.collection}, true
	if !c.resource.singleton {
		ref, ok = d.Find(c.resource.collection, c.object)
	}
	object := d.Object(ref, c.now)
	if ok && object != nil && c.resource.row != nil {
		object = nil
		if found, _, _ := c.search(ref.Index, 1); len(found) > 0 && found[0].ref == ref {
			object = found[0].object
		}
	}
	if !ok || object == nil {
		return nil, notFound(c.object)
	}
	p := newPage()
	s.append(p.buf, c.expanded(ref, object))
	return &answer{status: http.StatusOK, body: p}, nil
}
