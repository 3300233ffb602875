package graph

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// deltaOptions are the query options of a request for changes, checked.
type deltaOptions struct {
	round  directory.Round
	latest bool
	// selected is what the client named; properties are those to send and to track, nil for all.
	selected, properties []string
	relations            []tenant.Relation
	ids                  []string
}

// maxDeltaIDs bounds the ids of a filter.
const maxDeltaIDs = 50

// readDeltaOptions checks the query options of a request for changes. A link of ours has a token and nothing else.
func (c *call) readDeltaOptions() *apiError {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return badRequest("The query string is malformed.")
	}
	for name := range q {
		switch name {
		case "$select", "$filter", "$deltatoken", "$skiptoken":
		default:
			if strings.HasPrefix(name, "$") {
				return fail(http.StatusBadRequest, "Request_UnsupportedQuery", "The query parameter '"+name+"' is not supported for delta queries.")
			}
		}
	}
	o := &c.opts.delta
	token := q.Get("$skiptoken") + q.Get("$deltatoken")
	switch {
	case q.Has("$skiptoken") && q.Get("$skiptoken") == "":
		return badRequest("Invalid Skip Token, skip token is null")
	case token == "latest":
		o.latest = true
	case token != "":
		return c.resume(token)
	}
	o.selected = splitList(q.Get("$select"))
	if err := c.readDeltaFilter(q.Get("$filter")); err != nil {
		return err
	}
	return c.selectDelta()
}

// resume takes up a round where its token says.
func (c *call) resume(token string) *apiError {
	bad := badRequest("Badly formed token.")
	text, ok := c.verify(token)
	if !ok {
		return bad
	}
	var t deltaToken
	if json.Unmarshal([]byte(text), &t) != nil {
		return bad
	}
	o := &c.opts.delta
	o.round, o.selected, o.ids = t.Round, t.Selected, t.IDs
	return c.selectDelta()
}

// selectDelta splits what was selected into properties and relations.
func (c *call) selectDelta() *apiError {
	o := &c.opts.delta
	if len(o.selected) == 0 {
		o.properties, o.relations = c.resource.defaults, c.resource.deltaLinks
		return nil
	}
	o.properties = []string{}
	for _, name := range o.selected {
		switch {
		case slices.Contains(c.deltaRelations(), tenant.Relation(name)):
			o.relations = append(o.relations, tenant.Relation(name))
		case !slices.Contains(foreignProperties, name):
			o.properties = append(o.properties, name)
		case !c.ignoreForeign:
			return fail(http.StatusNotImplemented, "NotImplemented", "The property '"+name+"' is not supported for delta queries.")
		}
	}
	c.opts.selected = o.selected
	return nil
}

// readDeltaFilter reads id eq '…' or id eq '…'.
func (c *call) readDeltaFilter(text string) *apiError {
	if text == "" {
		return nil
	}
	unsupported := fail(http.StatusBadRequest, "Request_UnsupportedQuery", "Only filters by id are supported for delta queries, of 50 ids at most.")
	e, err := odata.Parse(text)
	if err != nil {
		return badRequest(err.Error())
	}
	parts, ok := e.(odata.Or)
	if !ok {
		parts = odata.Or{e}
	}
	for _, part := range parts {
		one, ok := part.(odata.Compare)
		if !ok || one.Path != "id" || one.Op != odata.Eq || one.Literal.Kind != odata.String {
			return unsupported
		}
		c.opts.delta.ids = append(c.opts.delta.ids, strings.ToLower(one.Literal.Text))
	}
	if len(c.opts.delta.ids) > maxDeltaIDs {
		return unsupported
	}
	return nil
}
