// Package fault decides which requests go wrong, and how. Decisions depend on a fault's seed and on how many requests
// it has matched before, so that runs repeat. The package does nothing wrong itself.
package fault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind is what goes wrong.
type Kind string

// The kinds.
const (
	// Throttle answers 429, with Retry-After if the fault has it.
	Throttle Kind = "throttle"
	// Unavailable answers 503, with Retry-After if the fault has it.
	Unavailable Kind = "unavailable"
	// GatewayTimeout answers 504 without Retry-After.
	GatewayTimeout Kind = "gateway_timeout"
	// BadGateway answers 502 with a body of HTML.
	BadGateway Kind = "bad_gateway"
	// Unauthorized answers 401 InvalidAuthenticationToken to a good token.
	Unauthorized Kind = "unauthorized"
	// SkipToken answers 400 "Invalid Skip Token, skip token is null" to a request with a skip token.
	SkipToken Kind = "skip_token"
	// Slow waits Delay before it answers a request without a skip token.
	Slow Kind = "slow"
	// Cut closes the connection in the middle of the body.
	Cut Kind = "cut"
	// TruncatedGzip ends the gzip stream early, with a Content-Length that fits. It hits only clients that accept gzip.
	TruncatedGzip Kind = "truncated_gzip"
	// ShortPage returns fewer records than asked for, with a next link.
	ShortPage Kind = "short_page"
	// EmptyPage returns no record, with a next link.
	EmptyPage Kind = "empty_page"
	// Duplicate lets the next page begin with records of this one.
	Duplicate Kind = "duplicate"
	// Latency lets the answer to any request take Delay at least.
	Latency Kind = "latency"
	// Forbidden answers 403, as if a permission was missing.
	Forbidden Kind = "forbidden"
	// PageToken and ExpiredPageToken answer 400 DirectoryPageTokenNotFoundException and Directory_ExpiredPageToken to a
	// request of the directory with a skip token.
	PageToken        Kind = "page_token"
	ExpiredPageToken Kind = "expired_page_token"
	// DeltaRepeat lets a delta page have some of its objects twice.
	DeltaRepeat Kind = "delta_repeat"
	// DeltaReplay lets a delta round begin with changes that were told before, or with what was deleted before the first.
	DeltaReplay Kind = "delta_replay"
)

func kinds() []Kind {
	return []Kind{
		Throttle, Unavailable, GatewayTimeout, BadGateway, Unauthorized, SkipToken, Slow, Cut, TruncatedGzip, ShortPage,
		EmptyPage, Duplicate, Latency, Forbidden, PageToken, ExpiredPageToken, DeltaRepeat, DeltaReplay,
	}
}

// Fault is a fault to inject. Empty fields of its target match everything.
type Fault struct {
	Kind Kind `json:"kind" yaml:"kind"`
	// Tenant is a directory id, App a client id, Path a part of the URL's path, in whatever case.
	Tenant string `json:"tenant,omitempty" yaml:"tenant"`
	App    string `json:"app,omitempty" yaml:"app"`
	Path   string `json:"path,omitempty" yaml:"path"`
	// Share of the matching requests that are hit, above 0 to 1; 0 is all.
	Share float64 `json:"share,omitempty" yaml:"share"`
	// Every hits each so many-th of the matching requests; 0 and 1 are all that Share leaves.
	Every int `json:"every,omitempty" yaml:"every"`
	// Count is how many requests are hit before the fault goes; 0 is no bound.
	Count int `json:"count,omitempty" yaml:"count"`
	// After is how many matching requests are let through first.
	After int `json:"after,omitempty" yaml:"after"`
	// Seed chooses which requests a share hits.
	Seed uint64 `json:"seed,omitempty" yaml:"seed"`
	// RetryAfterSeconds is for Throttle and Unavailable; 0 is none.
	RetryAfterSeconds int `json:"retry_after_seconds,omitempty" yaml:"retry_after_seconds"`
	// Delay is for Slow and Latency; DelayMS is the same in milliseconds, for JSON.
	Delay   time.Duration `json:"-" yaml:"delay"`
	DelayMS int           `json:"delay_ms,omitempty" yaml:"-"`
}

// ErrBad says that a fault's fields make no sense.
var ErrBad = errors.New("fault not understood")

// ErrNotFound says that no fault has that id.
var ErrNotFound = errors.New("no such fault")

// maxDelay bounds delays; maxStanding the faults at a time.
const (
	maxDelay    = 10 * time.Minute
	maxStanding = 1000
)

// Validate returns ErrBad for fields that make no sense.
func (f Fault) Validate() error {
	switch {
	case !slices.Contains(kinds(), f.Kind):
		return fmt.Errorf("%w: there is no kind %q", ErrBad, f.Kind)
	case f.Share < 0 || f.Share > 1:
		return fmt.Errorf("%w: share must be between 0 and 1", ErrBad)
	case f.Count < 0 || f.After < 0 || f.RetryAfterSeconds < 0 || f.Every < 0:
		return fmt.Errorf("%w: every, count, after and retry_after_seconds must not be negative", ErrBad)
	case f.Kind == EmptyPage && f.Count == 0 && f.Every < 2 && (f.Share == 0 || f.Share == 1):
		return fmt.Errorf("%w: empty pages for ever end no walk: give a count, a share below 1 or every of 2 or more", ErrBad)
	case f.Delay < 0 || f.Delay > maxDelay:
		return fmt.Errorf("%w: delay must be between 0 and %s", ErrBad, maxDelay)
	}
	return nil
}

// Standing is a fault that waits for requests.
type Standing struct {
	ID string `json:"id"`
	Fault
	// Matched is how many requests it matched, Hits how many it hit.
	Matched int `json:"matched"`
	Hits    int `json:"hits"`
}

// Request is what a fault is matched with.
type Request struct{ Tenant, App, Path string }

// Set holds faults. It is safe for concurrent use.
type Set struct {
	mu       sync.Mutex
	lastID   int
	standing []*Standing
}

// Inject adds a fault and returns its id. Its error is ErrBad.
func (s *Set) Inject(f Fault) (id string, err error) {
	if f.DelayMS != 0 {
		f.Delay = time.Duration(f.DelayMS) * time.Millisecond
	}
	f.DelayMS = int(f.Delay / time.Millisecond)
	if err := f.Validate(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.standing) >= maxStanding {
		return "", fmt.Errorf("%w: there are %d faults already", ErrBad, maxStanding)
	}
	s.lastID++
	id = strconv.Itoa(s.lastID)
	s.standing = append(s.standing, &Standing{ID: id, Fault: f})
	return id, nil
}

// List returns the faults that stand.
func (s *Set) List() []Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Standing, len(s.standing))
	for i, f := range s.standing {
		all[i] = *f
	}
	return all
}

// Clear removes a fault, or all if id is empty. Its error is ErrNotFound.
func (s *Set) Clear(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.standing)
	s.standing = slices.DeleteFunc(s.standing, func(f *Standing) bool { return id == "" || f.ID == id })
	if id != "" && len(s.standing) == before {
		return fmt.Errorf("clearing fault %q: %w", id, ErrNotFound)
	}
	return nil
}

// Draw returns the faults of some kinds that hit a request, in the order they were injected, one of a kind at most.
func (s *Set) Draw(r Request, of ...Kind) []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hits []Fault
	for i := 0; i < len(s.standing); i++ {
		f := s.standing[i]
		taken := func(h Fault) bool { return h.Kind == f.Kind }
		if !slices.Contains(of, f.Kind) || !f.matches(r) || slices.ContainsFunc(hits, taken) || !f.draw() {
			continue
		}
		hits = append(hits, f.Fault)
		if f.Count > 0 && f.Hits >= f.Count {
			s.standing = slices.Delete(s.standing, i, i+1)
			i--
		}
	}
	return hits
}

func (f *Fault) matches(r Request) bool {
	return (f.Tenant == "" || strings.EqualFold(f.Tenant, r.Tenant)) && (f.App == "" || strings.EqualFold(f.App, r.App)) &&
		strings.Contains(strings.ToLower(r.Path), strings.ToLower(f.Path))
}

// draw counts a match and decides whether it is hit.
func (f *Standing) draw() bool {
	f.Matched++
	if f.Matched <= f.After {
		return false
	}
	if f.Every > 1 && (f.Matched-f.After)%f.Every != 0 {
		return false
	}
	if f.Share > 0 && f.Share < 1 && uniform(f.Seed, string(f.Kind), f.Matched) >= f.Share {
		return false
	}
	f.Hits++
	return true
}

// uniform is a number from 0 to 1 that depends on its arguments alone.
func uniform(seed uint64, kind string, n int) float64 {
	h := fnv.New64a()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(n))
	_, _ = h.Write(b[:]) // never fails
	_, _ = h.Write([]byte(kind))
	x := h.Sum64()
	x ^= x >> 33 // FNV's low bits reach the high ones late
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}
