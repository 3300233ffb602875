package graph

import (
	"net/http"
	"strings"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// linkPage answers with the objects that a relation of one object leads to.
func (g *Graph) linkPage(c *call) (*answer, *apiError) {
	parent, ok := c.tenant.Directory.Find(c.resource.parent, c.parent)
	if !ok {
		return nil, notFound(c.parent)
	}
	only, err := c.castTo()
	if err != nil {
		return nil, err
	}
	from, err := c.start()
	if err != nil {
		return nil, err
	}
	var found []tenant.Ref // collected first: the directory is locked meanwhile
	next := -1
	add := func(position int, to tenant.Ref) bool {
		if only != "" && to.Collection != only {
			return true
		}
		if len(found) == c.opts.top {
			next = position
			return false
		}
		found = append(found, to)
		return true
	}
	switch {
	case c.resource.reverse, c.resource.transitive:
		for i, to := range c.farLinks(parent) {
			if i >= from.index && !add(i, to) {
				break
			}
		}
	default:
		c.tenant.Directory.EachLink(parent, c.resource.relation, from.index, add)
	}
	p := newPage()
	p.open(c)
	for _, to := range found {
		p.raw(c.typed(to, c.linkShape(to, c.opts.selected)))
	}
	link := ""
	if next >= 0 {
		link = g.nextLink(c, place{index: next})
	}
	p.close(link)
	return &answer{status: http.StatusOK, body: p}, nil
}

// linkShape is what is sent of an object: v1.0's default properties of users, or what was selected.
func (c *call) linkShape(to tenant.Ref, selected []string) *shape {
	s := &shape{}
	switch {
	case selected != nil:
		s.keep = append([]string{"@odata.type", "id"}, selected...)
	case to.Collection == tenant.Users && !c.beta:
		s.keep = append([]string{"@odata.type"}, userDefaults...)
	case to.Collection == tenant.Users:
		s.drop = []string{"signInActivity"}
	}
	return s
}

// castTo is the collection of the type at the path's end, "" if there is none.
func (c *call) castTo() (tenant.Collection, *apiError) {
	if c.cast == "" {
		return "", nil
	}
	name := c.cast[strings.LastIndexByte(c.cast, '.')+1:]
	for _, kind := range []tenant.Collection{tenant.Users, tenant.Groups, tenant.Devices, tenant.ServicePrincipals} {
		if strings.EqualFold(name, directory.TypeName(kind)) {
			return kind, nil
		}
	}
	return "", fail(http.StatusBadRequest, "Request_UnsupportedQuery", "The specified cast to '"+c.cast+"' is not supported.")
}

// maxFar bounds the objects of a transitive list.
const maxFar = 1_000_000

// farLinks are the ends of a relation that is followed through groups, or backwards. The list is made anew for each page:
// changes meanwhile shift it, as they do Graph's.
func (c *call) farLinks(parent tenant.Ref) []tenant.Ref {
	var all []tenant.Ref
	seen := map[tenant.Ref]bool{parent: true}
	queue := []tenant.Ref{parent}
	for len(queue) > 0 && len(all) < maxFar {
		at := queue[0]
		queue = queue[1:]
		c.near(at, func(to tenant.Ref) {
			if seen[to] {
				return
			}
			seen[to] = true
			all = append(all, to)
			if to.Collection == tenant.Groups && c.resource.transitive {
				queue = append(queue, to)
			}
		})
	}
	return all
}

func (c *call) near(at tenant.Ref, yield func(tenant.Ref)) {
	d := c.tenant.Directory
	switch {
	case !c.resource.reverse:
		d.EachLink(at, c.resource.relation, 0, func(_ int, to tenant.Ref) bool { yield(to); return true })
	case c.resource.relation == tenant.RegisteredOwners:
		d.EachHolder(tenant.Devices, tenant.RegisteredOwners, at, yield)
	default:
		d.EachHolder(tenant.Groups, tenant.Members, at, yield)
		d.EachHolder(tenant.DirectoryRoles, tenant.Members, at, yield)
	}
}
