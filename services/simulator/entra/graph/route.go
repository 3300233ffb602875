package graph

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// route finds the collection of the path. Names are matched in whatever case, as Graph does.
func (c *call) route() *apiError {
	rest := strings.Trim(c.r.URL.Path, "/")
	version, rest, _ := strings.Cut(rest, "/")
	c.beta = strings.EqualFold(version, "beta")
	segments := strings.Split(rest, "/")
	for i := range resources {
		res := &resources[i]
		if res.beta && !c.beta {
			continue
		}
		if c.matches(res, segments) {
			c.resource = res
			return nil
		}
	}
	return fail(http.StatusBadRequest, "BadRequest", fmt.Sprintf("Resource not found for the segment '%s'.", segments[0]))
}

// anyID stands for an id in the path of a resource, anyCast for the name of a type.
const (
	anyID   = "{id}"
	anyCast = "{cast}"
)

// matches reports whether a path is a resource's, its delta or one of its objects, and takes the names out of it.
func (c *call) matches(res *resource, segments []string) bool {
	pattern := strings.Split(res.path, "/")
	if len(segments) < len(pattern) || len(segments) > len(pattern)+1 {
		return false
	}
	parent, cast := "", ""
	for i, want := range pattern {
		switch want {
		case anyID:
			parent = segments[i]
		case anyCast:
			cast = segments[i]
		default:
			if !strings.EqualFold(want, segments[i]) {
				return false
			}
		}
	}
	object := ""
	if len(segments) > len(pattern) {
		if object = segments[len(pattern)]; object == "" || res.relation != "" || res.collection == "" || res.singleton {
			return false
		}
	}
	c.parent, c.cast, c.object = parent, cast, object
	if isDelta(object) && len(res.deltaPermissions) > 0 {
		c.delta, c.object = true, ""
	}
	return true
}

// isDelta is true of the spellings of the function delta.
func isDelta(segment string) bool {
	return slices.Contains([]string{"delta", "delta()", "microsoft.graph.delta()", "microsoft.graph.delta"}, strings.ToLower(segment))
}
