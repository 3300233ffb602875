package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/entra/fault"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// replayed is how many changes a round tells again if a fault says so.
const replayed = 50

// deltaPage answers with a page of a delta round (graph.md §3.1).
func (g *Graph) deltaPage(c *call) (*answer, *apiError) {
	d, o := c.tenant.Directory, &c.opts.delta
	p := newPage()
	if o.latest {
		p.open(c)
		p.closeWith("@odata.deltaLink", g.deltaLink(c, "$deltatoken", d.Latest(c.resource.collection, c.now)))
		return &answer{status: http.StatusOK, body: p}, nil
	}
	limit, again := g.damage(c, g.set.Delta.PageSize)
	q := directory.Query{
		Collection: c.resource.collection, Properties: o.properties, Relations: o.relations, IDs: o.ids, Now: c.now,
		Objects: limit, Links: g.set.Delta.SliceSize, TokenLife: g.set.Delta.TokenLife,
	}
	round, repeat, early := g.disturb(c, o.round)
	items, next, done, err := d.Delta(q, round)
	if err != nil {
		p.free()
		return nil, g.expired(c, err)
	}
	if n := len(items) - again; again > 0 && n > 0 {
		q.Objects = n
		if _, middle, over, err := d.Delta(q, round); err == nil && !over {
			next, done = middle, false
		}
	}
	p.open(c)
	for _, id := range early {
		p.raw(removed(id, "changed"))
	}
	for _, item := range items {
		c.deltaItem(p.next(), item)
	}
	for _, item := range items[:min(repeat, len(items))] {
		c.deltaItem(p.next(), item)
	}
	name, option := "@odata.nextLink", "$skiptoken"
	if done {
		name, option = "@odata.deltaLink", "$deltatoken"
	}
	p.closeWith(name, g.deltaLink(c, option, next))
	return &answer{status: http.StatusOK, body: p}, nil
}

// disturb lets faults have their say: a round that begins earlier, objects that come twice, and some that are gone.
func (g *Graph) disturb(c *call, round directory.Round) (disturbed directory.Round, repeat int, early []string) {
	const some = 5
	for _, f := range g.set.Faults.Draw(c.faultTarget(), fault.DeltaRepeat, fault.DeltaReplay) {
		switch {
		case f.Kind == fault.DeltaRepeat:
			repeat = some
		case !round.Open && !round.Known:
			early = c.tenant.Directory.DeletedIDs(c.resource.collection)
		default:
			round = round.Replay(replayed)
		}
	}
	return round, repeat, early
}

// deltaItem writes an object as a page has it.
func (c *call) deltaItem(to *bytes.Buffer, item directory.Item) {
	if item.Removed != "" {
		to.Write(removed(item.ID, item.Removed))
		return
	}
	s := &shape{keep: c.opts.delta.properties}
	if s.keep != nil {
		s.keep = append([]string{"id"}, s.keep...)
	} else {
		s.drop = []string{"signInActivity"}
	}
	if item.Changed != nil && strings.Contains(c.r.Header.Get("Prefer"), "return=minimal") {
		changed := []string{"id"}
		for _, name := range item.Changed {
			if c.opts.delta.properties == nil || slices.Contains(c.opts.delta.properties, name) {
				changed = append(changed, name)
			}
		}
		s.keep = changed
	}
	s.append(to, item.Body)
	if len(item.Links) == 0 {
		return
	}
	to.Truncate(to.Len() - 1)
	b := to.AvailableBuffer()
	for _, l := range item.Links {
		b = append(b, `,"`+string(l.Relation)+`@delta":[`...)
		for i, link := range l.Links {
			if i > 0 {
				b = append(b, ',')
			}
			b = link.AppendJSON(b)
		}
		b = append(b, ']')
	}
	to.Write(append(b, '}'))
}

func removed(id, reason string) []byte {
	return []byte(`{"id":"` + id + `","@removed":{"reason":"` + reason + `"}}`)
}

// expired is the answer to a token that is not good any more: 400, or 410 with where to begin again.
func (g *Graph) expired(c *call, err error) *apiError {
	if !g.set.Delta.Gone && !errors.Is(err, directory.ErrGone) {
		return fail(http.StatusBadRequest, "syncStateNotFound",
			"The sync state generation is not found. The delta token is expired. Perform a full synchronization.")
	}
	e := fail(http.StatusGone, "resyncRequired", "Resync required. Perform a full synchronization.")
	e.header.Set("Location", c.base()+c.deltaSelect()+"$deltatoken=")
	return e
}

// base is the request's URL up to its query.
func (c *call) base() string {
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.r.Host + c.r.URL.EscapedPath() + "?"
}

func (c *call) deltaSelect() string {
	if len(c.opts.delta.selected) == 0 {
		return ""
	}
	return "$select=" + strings.Join(c.opts.delta.selected, ",") + "&"
}

// deltaLink is where to go on. The token carries what was selected: Graph's links have nothing else in them.
func (g *Graph) deltaLink(c *call, option string, r directory.Round) string {
	text, _ := json.Marshal(deltaToken{Round: r, Selected: c.opts.delta.selected, IDs: c.opts.delta.ids}) // it marshals
	return c.base() + option + "=" + c.sign(string(text))
}

// deltaToken is what a token carries.
type deltaToken struct {
	directory.Round
	Selected []string `json:"p,omitempty"`
	IDs      []string `json:"f,omitempty"`
}

// foreignProperties are not Entra's, and no delta tracks them.
var foreignProperties = []string{
	"signInActivity", "mailboxSettings", "skills", "mySite", "photo", "authentication", "aboutMe", "birthday", "hireDate", "interests",
	"pastProjects", "preferredName", "responsibilities", "schools",
}

// deltaRelations are those that a collection's delta can select.
func (c *call) deltaRelations() []tenant.Relation {
	if c.resource.collection == tenant.Devices || c.resource.collection == tenant.Applications {
		return nil
	}
	return tenant.RelationsOf(c.resource.collection)
}
