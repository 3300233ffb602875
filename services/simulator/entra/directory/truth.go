package directory

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// WriteTruth writes the live objects of a collection as JSON, one a line, with all properties and with a list of id and type
// for each relation, sorted by id. The lines have no order. What a relation leads to and is soft-deleted has "deleted": true there: its
// link exists, but Graph does not list it. Registrations, Activities and AppRoleAssignments are collections here. Changes that are made meanwhile may be in it or not. Its errors are ErrNotFound
// for a collection that does not exist, and w's.
func (d *Directory) WriteTruth(w io.Writer, c tenant.Collection, now time.Time) error {
	if _, ok := reports()[c]; ok {
		return d.writeRows(w, c, now)
	}
	if !slices.Contains(tenant.Collections(), c) {
		return fmt.Errorf("finding collection %s: %w", c, ErrNotFound)
	}
	const chunk = 500
	var b bytes.Buffer
	for from, done := 0, false; !done; {
		b.Reset()
		d.mu.RLock()
		count := d.count(c)
		for n := 0; from < count && n < chunk; from, n = from+1, n+1 {
			d.truth(&b, tenant.Ref{Collection: c, Index: from}, now)
		}
		done = from >= count
		d.mu.RUnlock()
		if _, err := w.Write(b.Bytes()); err != nil {
			return fmt.Errorf("writing the truth of %s: %w", c, err)
		}
	}
	return nil
}

// truth writes a line, if the object is live.
func (d *Directory) truth(b *bytes.Buffer, ref tenant.Ref, now time.Time) {
	if d.state(ref) != live {
		return
	}
	body := d.body(ref, now)
	if body == nil {
		return
	}
	var names []string
	values := map[string]string{}
	for _, relation := range tenant.RelationsOf(ref.Collection) {
		names = append(names, string(relation))
		values[string(relation)] = d.linksJSON(ref, relation)
	}
	b.Write(jsonwalk.Set(body, names, values))
	b.WriteByte('\n')
}

func (d *Directory) linksJSON(ref tenant.Ref, relation tenant.Relation) string {
	all := []string{}
	d.eachLink(ref, relation, 0, func(_ int, to tenant.Ref) bool {
		gone := ""
		if d.state(to) == deleted {
			gone = `,"deleted":true`
		}
		all = append(all, `{"id":"`+d.id(to)+`","type":"`+TypeName(to.Collection)+`"`+gone+`}`)
		return true
	})
	slices.Sort(all)
	return "[" + strings.Join(all, ",") + "]"
}

// Counts returns how many live objects each collection has and how many rows each report, and under memberships and ownerships how many links the live
// groups have, those to soft-deleted objects too.
func (d *Directory) Counts() map[string]uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	counts := map[string]uint64{}
	for _, c := range tenant.Collections() {
		n := uint64(0)
		for i := range d.count(c) {
			ref := tenant.Ref{Collection: c, Index: i}
			if !d.isLive(ref) {
				continue
			}
			n++
			if c == tenant.Groups {
				counts["memberships"] += uint64(d.countLinks(ref, tenant.Members))
				counts["ownerships"] += uint64(d.countLinks(ref, tenant.Owners))
			}
		}
		counts[string(c)] = n
	}
	for report := range reports() {
		n := uint64(0)
		d.rows(report, d.base.Config().End, func([]byte) { n++ })
		counts[string(report)] = n
	}
	return counts
}
