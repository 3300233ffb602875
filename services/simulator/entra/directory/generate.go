package directory

import (
	"math/rand/v2"
	"time"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Schedule is changes that happen by themselves.
type Schedule struct {
	// Rate is how many happen a second after the tenant's end; 0 is none.
	Rate float64
	// Seed chooses them.
	Seed uint64
}

// maxScheduled bounds the changes that one Advance makes; the rest follow with the next.
const maxScheduled = 100_000

// Advance makes the changes that are due.
func (d *Directory) Advance(now time.Time) {
	if d.schedule.Rate <= 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	since := now.Sub(d.base.Config().End).Seconds()
	if since <= 0 {
		return
	}
	due := uint64(since * d.schedule.Rate)
	for n := 0; d.scheduled < due && n < maxScheduled; n++ {
		d.scheduled++
		d.random(d.schedule.Seed, now)
	}
}

// Change makes n random changes of all sorts and returns how many there were of each. The same changes before and the
// same seed give the same. Readers come in between them.
func (d *Directory) Change(seed uint64, n int, now time.Time) map[string]int {
	counts := map[string]int{}
	one := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		counts[d.random(seed, now)]++
	}
	for range n {
		one()
	}
	return counts
}

// chance is a sort of change, and how often it comes.
type chance struct {
	name   string
	weight int
	make   func(*maker) bool
}

// sorts are all sorts of changes; the first can always be made.
func sorts() []chance {
	return []chance{
		{"update_user", 24, func(m *maker) bool { return m.update(tenant.Users) }},
		{"create_user", 10, func(m *maker) bool { return m.create(tenant.Users) }},
		{"delete_user", 8, func(m *maker) bool { return m.remove(tenant.Users) }},
		{"restore_user", 4, func(m *maker) bool { return m.restore(tenant.Users) }},
		{"purge_user", 2, func(m *maker) bool { return m.purge(tenant.Users) }},
		{"change_manager", 3, (*maker).manager},
		{"add_member", 18, func(m *maker) bool { return m.link(tenant.Groups, tenant.Members) }},
		{"remove_member", 14, func(m *maker) bool { return m.unlink(tenant.Groups, tenant.Members) }},
		{"add_owner", 2, func(m *maker) bool { return m.link(tenant.Groups, tenant.Owners) }},
		{"remove_owner", 2, func(m *maker) bool { return m.unlink(tenant.Groups, tenant.Owners) }},
		{"update_group", 4, func(m *maker) bool { return m.update(tenant.Groups) }},
		{"create_group", 3, func(m *maker) bool { return m.create(tenant.Groups) }},
		{"delete_group", 3, func(m *maker) bool { return m.remove(tenant.Groups) }},
		{"restore_group", 2, func(m *maker) bool { return m.restore(tenant.Groups) }},
		{"purge_group", 1, func(m *maker) bool { return m.purge(tenant.Groups) }},
		{"update_device", 4, func(m *maker) bool { return m.update(tenant.Devices) }},
		{"create_device", 2, func(m *maker) bool { return m.create(tenant.Devices) }},
		{"delete_device", 2, func(m *maker) bool { return m.remove(tenant.Devices) }},
		{"update_application", 2, func(m *maker) bool { return m.update(tenant.Applications) }},
		{"create_application", 1, func(m *maker) bool { return m.create(tenant.Applications) }},
		{"delete_application", 1, func(m *maker) bool { return m.remove(tenant.Applications) }},
		{"restore_application", 1, func(m *maker) bool { return m.restore(tenant.Applications) }},
		{"purge_application", 1, func(m *maker) bool { return m.purge(tenant.Applications) }},
		{"add_application_owner", 1, func(m *maker) bool { return m.link(tenant.Applications, tenant.Owners) }},
		{"remove_application_owner", 1, func(m *maker) bool { return m.unlink(tenant.Applications, tenant.Owners) }},
		{"update_service_principal", 2, func(m *maker) bool { return m.update(tenant.ServicePrincipals) }},
		{"create_service_principal", 1, func(m *maker) bool { return m.create(tenant.ServicePrincipals) }},
		{"delete_service_principal", 1, func(m *maker) bool { return m.remove(tenant.ServicePrincipals) }},
		{"restore_service_principal", 1, func(m *maker) bool { return m.restore(tenant.ServicePrincipals) }},
		{"add_service_principal_owner", 1, func(m *maker) bool { return m.link(tenant.ServicePrincipals, tenant.Owners) }},
	}
}

// random makes one change and returns its sort.
func (d *Directory) random(seed uint64, now time.Time) string {
	m := &maker{d: d, now: now, r: rand.New(rand.NewPCG(seed, d.seq))} //nolint:gosec // it has to repeat
	all, total := sorts(), 0
	for _, s := range all {
		total += s.weight
	}
	const tries = 20
	for range tries {
		n := m.r.IntN(total)
		for _, s := range all {
			if n -= s.weight; n >= 0 {
				continue
			}
			if s.make(m) {
				return s.name
			}
			break
		}
	}
	_ = all[0].make(m) // it can only fail in a directory without users
	return all[0].name
}

// maker makes one change.
type maker struct {
	d   *Directory
	r   *rand.Rand
	now time.Time
}

// pick chooses a live object of a collection that fits.
func (m *maker) pick(c tenant.Collection, fits func(tenant.Ref) bool) (tenant.Ref, bool) {
	const tries = 60
	count := m.d.count(c)
	for n := 0; n < tries && count > 0; n++ {
		ref := tenant.Ref{Collection: c, Index: m.r.IntN(count)}
		if m.d.isLive(ref) && (fits == nil || fits(ref)) {
			return ref, true
		}
	}
	return tenant.Ref{}, false
}

// expendable is true of objects that no others count on.
func (m *maker) expendable(ref tenant.Ref) bool {
	return ref.Index >= m.d.base.Count(ref.Collection) || !m.d.base.Essential(ref.Collection, ref.Index)
}

func (m *maker) create(c tenant.Collection) bool {
	ref := m.d.createFrom(c, nil, m.now)
	switch c {
	case tenant.Groups:
		const most = 16
		for range m.r.IntN(most) {
			if to, ok := m.pick(tenant.Users, nil); ok {
				m.d.relate(ref, tenant.Members, to, true)
			}
		}
		if to, ok := m.pick(tenant.Users, nil); ok {
			m.d.relate(ref, tenant.Owners, to, true)
		}
	case tenant.Devices:
		if to, ok := m.pick(tenant.Users, nil); ok {
			m.d.relate(ref, tenant.RegisteredOwners, to, true)
		}
	case tenant.Users:
		if to, ok := m.pick(tenant.Users, nil); ok && to != ref {
			m.d.relate(ref, tenant.Manager, to, true)
		}
	}
	return true
}

func (m *maker) update(c tenant.Collection) bool {
	ref, ok := m.pick(c, m.expendable)
	if !ok {
		return false
	}
	m.d.update(ref, m.properties(c))
	return true
}

func (m *maker) remove(c tenant.Collection) bool {
	ref, ok := m.pick(c, m.expendable)
	if !ok {
		return false
	}
	m.d.remove(ref, false)
	return true
}

// someDeleted chooses a soft-deleted object.
func (m *maker) someDeleted(c tenant.Collection) (tenant.Ref, bool) {
	all := m.d.table(c).deleted
	if len(all) == 0 {
		return tenant.Ref{}, false
	}
	return tenant.Ref{Collection: c, Index: all[m.r.IntN(len(all))]}, true
}

func (m *maker) restore(c tenant.Collection) bool {
	ref, ok := m.someDeleted(c)
	if ok {
		m.d.restore(ref)
	}
	return ok
}

func (m *maker) purge(c tenant.Collection) bool {
	ref, ok := m.someDeleted(c)
	if ok {
		m.d.remove(ref, true)
	}
	return ok
}

func (m *maker) manager() bool {
	ref, ok := m.pick(tenant.Users, m.expendable)
	to, found := m.pick(tenant.Users, func(to tenant.Ref) bool { return to != ref && !m.d.holds(ref, tenant.Manager, to) })
	if !ok || !found {
		return false
	}
	m.d.clear(ref, tenant.Manager)
	m.d.relate(ref, tenant.Manager, to, true)
	return true
}

// link adds a member or an owner. Groups that are nested lie behind the one they are in, so that there is no circle; only
// plain security groups have members that are not users.
func (m *maker) link(c tenant.Collection, relation tenant.Relation) bool {
	ref, ok := m.pick(c, nil)
	if !ok {
		return false
	}
	kind := tenant.Users
	if relation == tenant.Members && m.isPlain(ref) {
		const of = 10
		switch m.r.IntN(of) {
		case 0:
			kind = tenant.Groups
		case 1:
			kind = tenant.Devices
		case 2:
			kind = tenant.ServicePrincipals
		}
	}
	to, ok := m.pick(kind, func(to tenant.Ref) bool {
		return (kind != tenant.Groups || to.Index > ref.Index) && !m.d.holds(ref, relation, to)
	})
	return ok && m.d.relate(ref, relation, to, true)
}

func (m *maker) isPlain(ref tenant.Ref) bool {
	return !m.d.canRestore(ref) && m.expendable(ref)
}

func (m *maker) unlink(c tenant.Collection, relation tenant.Relation) bool {
	ref, ok := m.pick(c, func(ref tenant.Ref) bool { return m.d.countLinks(ref, relation) > 0 })
	if !ok {
		return false
	}
	n, found := m.r.IntN(m.d.countLinks(ref, relation)), tenant.Ref{}
	m.d.eachLink(ref, relation, 0, func(_ int, to tenant.Ref) bool {
		found = to
		n--
		return n >= 0
	})
	return m.d.relate(ref, relation, found, false)
}
