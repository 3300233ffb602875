package people

import (
	"cmp"
	"crypto/rand"
	"slices"
	"strings"
	"time"
)

// Device is the answer to a device authorization request.
type Device struct {
	DeviceCode, UserCode string
	// Expires is how long both are good, Interval the least time between two polls.
	Expires, Interval time.Duration
}

// Waiting is a sign-in by device that nobody has decided on.
type Waiting struct {
	UserCode string    `json:"user_code"`
	Tenant   string    `json:"tenant"`
	Scopes   []string  `json:"scopes"`
	Started  time.Time `json:"started"`
}

type device struct {
	SignIn
	userCode string
	started  time.Time
	expires  time.Time
	// polled is when the device asked last.
	polled            time.Time
	approved, refused bool
}

// StartDevice begins a sign-in; its Username is set when somebody approves.
func (p *People) StartDevice(s SignIn) Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	d := &device{SignIn: s, userCode: userCode(), started: now, expires: now.Add(p.cfg.DeviceLifetime)}
	code := random()
	p.devices.add(code, d)
	return Device{DeviceCode: code, UserCode: d.userCode, Expires: p.cfg.DeviceLifetime, Interval: p.cfg.DeviceInterval}
}

// Approve signs a person in with a device. Spelling of the code does not matter. Its error is ErrNotFound for a code
// that is not waiting, or for the person.
func (p *People) Approve(userCode, username string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.waiting(userCode)
	if err != nil {
		return err
	}
	i, err := p.find(username)
	if err != nil {
		return err
	}
	d.approved, d.Username = true, p.persons[i].Username
	return nil
}

// Refuse ends a sign-in by device. Its error is ErrNotFound.
func (p *People) Refuse(userCode string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.waiting(userCode)
	if err != nil {
		return err
	}
	d.refused = true
	return nil
}

func (p *People) waiting(userCode string) (*device, error) {
	code := strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(userCode))
	for _, d := range p.devices.values {
		if d.userCode == code && !d.approved && !d.refused && p.now().Before(d.expires) {
			return d, nil
		}
	}
	return nil, ErrNotFound
}

// Waiting returns the sign-ins that can be decided on, oldest first.
func (p *People) Waiting() []Waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := []Waiting{}
	for _, d := range p.devices.values {
		if _, err := p.waiting(d.userCode); err == nil {
			all = append(all, Waiting{UserCode: d.userCode, Tenant: d.Tenant, Scopes: d.Scopes, Started: d.started})
		}
	}
	slices.SortFunc(all, func(a, b Waiting) int {
		return cmp.Or(a.Started.Compare(b.Started), strings.Compare(a.UserCode, b.UserCode))
	})
	return all
}

// Poll returns the sign-in of a device code that was approved, once. Its errors are ErrPending, ErrTooFast, ErrRefused,
// ErrExpired and ErrNotFound. Polls may come at half the interval: clocks and networks are no metronomes.
func (p *People) Poll(deviceCode string) (SignIn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.devices.values[deviceCode]
	if !ok {
		return SignIn{}, ErrNotFound
	}
	now := p.now()
	last := d.polled
	d.polled = now
	switch {
	case !now.Before(d.expires):
		return SignIn{}, ErrExpired
	case d.refused:
		return SignIn{}, ErrRefused
	case d.approved:
		p.devices.take(deviceCode)
		return d.SignIn, nil
	case now.Sub(last) < p.cfg.DeviceInterval/2:
		return SignIn{}, ErrTooFast
	}
	return SignIn{}, ErrPending
}

// userCode has no vowels, so that it spells nothing (RFC 8628 §6.1). 20^9 of them cannot be tried out in a quarter of
// an hour.
func userCode() string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	var code strings.Builder
	for code.Len() < 9 {
		var b [1]byte
		_, _ = rand.Read(b[:]) // never fails
		if int(b[0]) < 240 {   // the largest multiple of 20: every letter is as likely
			code.WriteByte(letters[int(b[0])%len(letters)])
		}
	}
	return code.String()
}
