package graph

import (
	"net/http"
	"slices"
	"strings"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// expansion is a relation that is written into each object.
type expansion struct {
	relation tenant.Relation
	selected []string
}

// maxExpanded is how many objects $expand shows of a relation, as Graph does.
const maxExpanded = 20

// readExpand reads name or name($select=a,b), several with commas between.
func (c *call) readExpand(text string) *apiError {
	if c.resource.logs != nil || text == "" {
		return nil
	}
	for text != "" {
		end, depth := len(text), 0
		for i, r := range text {
			if r == '(' {
				depth++
			} else if r == ')' {
				depth--
			} else if r == ',' && depth == 0 {
				end = i
				break
			}
		}
		one := strings.TrimSpace(text[:end])
		text = strings.TrimPrefix(text[end:], ",")
		name, inner, _ := strings.Cut(one, "(")
		relation := tenant.Relation(name)
		if relation == "registeredUsers" {
			relation = tenant.RegisteredOwners
		}
		if !slices.Contains(c.resource.expands, relation) {
			return badRequest("Parsing OData Select and Expand failed: Could not find a property named '" + name +
				"' on type 'microsoft.graph." + c.resource.typeName + "'.")
		}
		selected := strings.TrimPrefix(strings.TrimSuffix(inner, ")"), "$select=")
		c.opts.expand = append(c.opts.expand, expansion{relation, splitList(selected)})
	}
	return nil
}

// expanded is an object with what was asked for of its relations.
func (c *call) expanded(ref tenant.Ref, object []byte) []byte {
	if len(c.opts.expand) == 0 {
		return object
	}
	var names []string
	values := map[string]string{}
	for _, e := range c.opts.expand {
		var all []string
		for _, to := range c.linked(ref, e.relation, maxExpanded) {
			all = append(all, string(c.typed(to, c.linkShape(to, e.selected))))
		}
		names = append(names, string(e.relation))
		values[string(e.relation)] = "[" + strings.Join(all, ",") + "]"
		if e.relation == tenant.Manager {
			values[string(e.relation)] = strings.Join(append(all, "null")[:1], "")
		}
	}
	return jsonwalk.Set(object, names, values)
}

// linked are the first n live objects that a relation leads to.
func (c *call) linked(ref tenant.Ref, relation tenant.Relation, n int) []tenant.Ref {
	var all []tenant.Ref
	c.tenant.Directory.EachLink(ref, relation, 0, func(_ int, to tenant.Ref) bool {
		all = append(all, to)
		return len(all) < n
	})
	return all
}

// typed is an object with its type, in a shape.
func (c *call) typed(ref tenant.Ref, s *shape) []byte {
	object := c.tenant.Directory.Object(ref, c.now)
	if len(object) < len(`{"id"`) {
		return []byte("{}")
	}
	p := newPage()
	defer p.free()
	s.append(p.buf, append([]byte(`{"@odata.type":"#microsoft.graph.`+directory.TypeName(ref.Collection)+`",`), object[1:]...))
	return slices.Clone(p.buf.Bytes())
}

func notFound(id string) *apiError {
	return fail(http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+id+
		"' does not exist or one of its queried reference-property objects are not present.")
}
