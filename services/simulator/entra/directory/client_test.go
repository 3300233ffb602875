package directory_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// client merges delta pages as Graph's documentation says, and knows nothing else.
type client struct {
	bodies map[string]map[string]any
	links  map[string]map[string]map[string]bool // object, relation, target
	round  directory.Round
	open   bool
}

func newClient() *client {
	return &client{bodies: map[string]map[string]any{}, links: map[string]map[string]map[string]bool{}}
}

func (c *client) merge(t *testing.T, items []directory.Item) {
	t.Helper()
	for _, item := range items {
		if item.Removed != "" {
			delete(c.bodies, item.ID)
			delete(c.links, item.ID)
			continue
		}
		var body map[string]any
		require.NoError(t, json.Unmarshal(item.Body, &body))
		c.bodies[item.ID] = body
		if c.links[item.ID] == nil {
			c.links[item.ID] = map[string]map[string]bool{}
		}
		for _, l := range item.Links {
			held := c.links[item.ID][string(l.Relation)]
			if held == nil {
				held = map[string]bool{}
				c.links[item.ID][string(l.Relation)] = held
			}
			for _, link := range l.Links {
				if delete(held, link.ID); !link.Removed {
					held[link.ID] = true
				}
			}
		}
	}
}

// page reads one page and reports whether the round is over.
func (c *client) page(t *testing.T, d *directory.Directory, q directory.Query) bool {
	t.Helper()
	items, next, done, err := d.Delta(q, c.round)
	require.NoError(t, err)
	c.merge(t, items)
	c.round, c.open = next, !done
	return done
}

// equal holds a client against the truth.
func (c *client) equal(t *testing.T, d *directory.Directory, collection tenant.Collection) {
	t.Helper()
	want := lines(t, d, collection)
	require.Len(t, c.bodies, len(want))
	for id, line := range want {
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &object))
		for _, relation := range tenant.RelationsOf(collection) {
			ids, got := []string{}, []string{}
			links, ok := object[string(relation)].([]any)
			require.True(t, ok)
			for _, l := range links {
				link, ok := l.(map[string]any)
				require.True(t, ok)
				id, ok := link["id"].(string)
				require.True(t, ok)
				ids = append(ids, id)
			}
			delete(object, string(relation))
			for to := range c.links[id][string(relation)] {
				got = append(got, to)
			}
			slices.Sort(got)
			require.Empty(t, cmp.Diff(ids, got), "%s %s %s", collection, id, relation)
		}
		require.Empty(t, cmp.Diff(object, c.bodies[id]), "%s %s", collection, id)
	}
}
