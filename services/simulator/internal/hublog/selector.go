package hublog

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Errors of a position that a reader asks for.
var (
	// ErrBadSelector says that the expression is none that the service knows.
	ErrBadSelector = errors.New("selector expression not understood")
	// ErrLegacyOffset says that a plain offset was used on a geo-replicated hub.
	ErrLegacyOffset = errors.New("the supplied offset is not valid for a geo-replicated event hub")
)

// BeyondEndError says that the position lies behind the last event. Its text is the service's.
type BeyondEndError struct {
	What     string
	Supplied int64
	Last     int64
}

func (e *BeyondEndError) Error() string {
	return fmt.Sprintf("The supplied %s '%d' is invalid. The last %s in the system is '%d'", e.What, e.Supplied, e.What, e.Last)
}

// Selector is the start position of a reader, parsed from its filter expression. The zero Selector starts at the
// first event.
type Selector struct {
	field     string
	value     string
	inclusive bool
}

const selectorPrefix = "amqp.annotation."

// ParseSelector parses "amqp.annotation.<field> > '<value>'" or the same with >=; "" is the start of the log.
func ParseSelector(expression string) (Selector, error) {
	if strings.TrimSpace(expression) == "" {
		return Selector{}, nil
	}
	field, value, found := strings.Cut(strings.TrimSpace(expression), ">")
	field, prefixed := strings.CutPrefix(strings.TrimSpace(field), selectorPrefix)
	if !found || !prefixed || !slices.Contains([]string{keyOffset, keySequence, keyEnqueued}, field) {
		return Selector{}, fmt.Errorf("%q: %w", expression, ErrBadSelector)
	}
	value, inclusive := strings.CutPrefix(value, "=")
	value = strings.Trim(strings.TrimSpace(value), "'")
	s := Selector{field: field, value: value, inclusive: inclusive}
	if _, err := strconv.ParseInt(value, 10, 64); err != nil && field != keyOffset {
		return Selector{}, fmt.Errorf("%q: %w", expression, ErrBadSelector)
	}
	return s, nil
}

// Resolve returns the sequence number of the first event that the selector admits.
func (l *Log) Resolve(s Selector) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.field == "":
		return l.begin(), nil
	case s.field == keySequence:
		return l.resolveSequence(s)
	case s.field == keyEnqueued:
		stamp, _ := strconv.ParseInt(s.value, 10, 64)
		return l.search(func(p position) bool { return p.stamp > stamp || s.inclusive && p.stamp == stamp }), nil
	case s.value == "@latest":
		if s.inclusive {
			return max(l.next-1, l.begin()), nil
		}
		return l.next, nil
	}
	return l.resolveOffset(s)
}

func (l *Log) resolveSequence(s Selector) (int64, error) {
	seq, _ := strconv.ParseInt(s.value, 10, 64)
	if seq >= l.next && (!s.inclusive || seq > l.next) {
		return 0, &BeyondEndError{What: "sequence number", Supplied: seq, Last: l.next - 1}
	}
	if !s.inclusive {
		seq++
	}
	return max(seq, l.begin()), nil
}

func (l *Log) resolveOffset(s Selector) (int64, error) {
	if s.value == "-1" {
		return l.begin(), nil
	}
	offset, err := l.parseOffset(s.value)
	if err != nil {
		return 0, err
	}
	if offset > l.lastOffset {
		return 0, &BeyondEndError{What: "offset", Supplied: offset, Last: l.lastOffset}
	}
	return l.search(func(p position) bool { return p.offset > offset || s.inclusive && p.offset == offset }), nil
}

func (l *Log) parseOffset(text string) (int64, error) {
	if parts := strings.Split(text, ":"); len(parts) == 3 {
		text = parts[1]
	} else if l.geo {
		return 0, fmt.Errorf("offset %q: %w", text, ErrLegacyOffset)
	}
	offset, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("offset %q: %w", text, ErrBadSelector)
	}
	return offset, nil
}

// search returns the first sequence number held whose event admits is true for; admits must be false, then true.
func (l *Log) search(admits func(position) bool) int64 {
	i := sort.Search(len(l.segments), func(i int) bool {
		seg := l.segments[i]
		last := len(seg.events) - 1
		return admits(seg.events[last])
	})
	if i == len(l.segments) {
		return l.next
	}
	seg := l.segments[i]
	k := sort.Search(len(seg.events), func(k int) bool { return admits(seg.events[k]) })
	return seg.first + int64(k)
}
