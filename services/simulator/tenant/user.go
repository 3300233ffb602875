package tenant

import (
	"strconv"
	"strings"
)

// The layout of the user indexes. With incidents the first reservedUsers take part in nothing but
// incidents and posture; behind them come the administrators, then everybody else. So ordinary traffic
// never blurs a labelled case.
const (
	reservedUsers   = 72
	reservedMembers = 48 // the rest are guests
	adminUsers      = 6
)

// population is how users are laid out.
type population struct {
	users    int
	reserved int
	domain   string
	// homes are the places that users live in, by index of places.
	homes [homePlaces]int
	seed  uint64
	stamp uint64 // of user hashes
}

func newPopulation(cfg *Config) population {
	p := population{users: cfg.Users, seed: cfg.Seed, stamp: hash(cfg.Seed, 0x05e5)}
	if cfg.Incidents {
		p.reserved = reservedUsers
	}
	r := rng{hash(cfg.Seed, 0xd0)}
	p.domain = companies[r.below(len(companies))] + strconv.FormatUint(r.next()%9000+1000, 10) + ".example"
	var order [len(places)]int
	for i := range order {
		order[i] = i
	}
	for i := range p.homes {
		j := i + r.below(len(order)-i)
		order[i], order[j] = order[j], order[i]
		p.homes[i] = order[i]
	}
	return p
}

// ordinary is how many users are not reserved.
func (p *population) ordinary() int { return p.users - p.reserved }

func (p *population) isAdmin(i int) bool { return i >= p.reserved && i < p.reserved+adminUsers }

func (p *population) isGuest(i int) bool {
	if i < p.reserved {
		return i >= reservedMembers
	}
	const guests = 12 // of 100
	return !p.isAdmin(i) && mix(p.stamp^uint64(i)*golden)>>32%100 < guests
}

// user is a person, as a function of the index.
type user struct {
	index       int
	h           uint64
	guest       bool
	first, last string
	home        int // index of places
}

func (p *population) user(i int) user {
	u := user{index: i, h: mix(p.stamp ^ uint64(i)*golden), guest: p.isGuest(i)}
	r := rng{u.h}
	u.first = firstNames[r.below(len(firstNames))]
	u.last = lastNames[r.below(len(lastNames))]
	const total = 100
	u.home = p.homes[r.pick(homeWeights[:], total)]
	return u
}

func (t *Tenant) userID(i int) guid { return t.ids.seal(classUser, 0, uint64(i)) }

// appendName appends the display name.
func (u *user) appendName(b []byte) []byte {
	b = append(b, u.first...)
	b = append(b, ' ')
	return append(b, u.last...)
}

// appendLocal appends the name without a domain: names in lower case and the index, which makes it unique.
func (u *user) appendLocal(b []byte) []byte {
	b = appendLower(b, u.first)
	b = append(b, '.')
	b = appendLower(b, u.last)
	b = append(b, '.')
	return strconv.AppendInt(b, int64(u.index), 10)
}

// appendUPN appends the name that the logs use: a guest's is that of the home tenant.
func (t *Tenant) appendUPN(b []byte, u *user) []byte {
	b = append(u.appendLocal(b), '@')
	if u.guest {
		return append(b, u.partner()...)
	}
	return append(b, t.population.domain...)
}

// appendDirectoryUPN appends the name that the directory uses: a guest's has #EXT#.
func (t *Tenant) appendDirectoryUPN(b []byte, u *user) []byte {
	if !u.guest {
		return t.appendUPN(b, u)
	}
	b = append(u.appendLocal(b), '_')
	b = append(b, u.partner()...)
	b = append(b, "#EXT#@"...)
	return append(b, t.population.domain...)
}

// partner is the domain of a guest's home tenant.
func (u *user) partner() string { return partners[u.h>>40%uint64(len(partners))] }

// homeTenant is the directory id of a guest's home tenant.
func (t *Tenant) homeTenant(u *user) guid {
	return t.ids.seal(classTenant, 1, u.h>>40%uint64(len(partners)))
}

// findUser returns the index of a user by id or by user principal name, -1 if there is none.
func (t *Tenant) findUser(id string) int {
	if g, ok := parseGUID(id); ok {
		c, a, b := t.ids.open(g)
		if c == classUser && a == 0 && b < uint64(t.population.users) {
			return int(b)
		}
		return -1
	}
	name := strings.ToLower(id)
	local, _, _ := strings.Cut(name, "@")
	local, _, _ = strings.Cut(local, "_")
	i, err := strconv.Atoi(local[strings.LastIndexByte(local, '.')+1:])
	if err != nil || i < 0 || i >= t.population.users {
		return -1
	}
	u := t.population.user(i)
	if name == strings.ToLower(string(t.appendDirectoryUPN(nil, &u))) || name == string(t.appendUPN(nil, &u)) {
		return i
	}
	return -1
}

// worksAt reports whether a user is at work at a time: by the hour and weekday of the zone.
func (u *user) worksAt(second int64) bool {
	local := second - firstMonday + int64(places[u.home].zone)*secondsPerHour
	hour := local / secondsPerHour
	const friday = 4
	if hour/24%7 > friday {
		return false
	}
	const earliest, hours = 6, 10
	since := hour%24 - earliest - int64(u.h>>50%4)
	return since >= 0 && since < hours
}

// someUser picks an ordinary user who is likely to be at work.
func (t *Tenant) someUser(r *rng, at ticks) user {
	second, _ := at.split()
	var u user
	const tries = 5
	for range tries {
		u = t.population.user(t.population.reserved + r.below(t.population.ordinary()))
		const oddHours = 500
		if u.worksAt(second) || r.chance(oddHours) {
			break
		}
	}
	return u
}

func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b
}
