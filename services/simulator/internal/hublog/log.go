// Package hublog is the log of one Event Hubs partition: events in the order of their sequence numbers, kept in
// memory up to a number of bytes. An event is encoded once, when it is appended, with the annotations every
// reader must see; readers get slices of that encoding. It reads no clock and opens nothing; the caller stamps.
package hublog

import (
	"slices"
	"strconv"
	"sync"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// maxSegmentBytes is how much one segment holds; segments are the unit of retention and of allocation.
const maxSegmentBytes = 1 << 20

// Log is one partition. All methods are safe for concurrent use.
type Log struct {
	geo          bool
	retention    int
	segmentBytes int

	mu         sync.Mutex
	segments   []*segment
	bytes      int
	next       int64
	nextOffset int64
	lastStamp  int64
	lastOffset int64
	stats      Stats
	waiters    []chan<- struct{}
}

// segment never moves its bytes: buf is filled up to its capacity and then left alone, so that slices of it stay
// valid for readers after the lock is released.
type segment struct {
	first  int64
	buf    []byte
	events []position
}

type position struct {
	end    int
	offset int64
	stamp  int64
}

// Event is an event to be appended, as cut from a message or encoded in process.
type Event struct {
	// Header is the encoded header section, if any.
	Header []byte
	// Annotations is the sender's map of message annotations, null if there is none.
	Annotations amqp.Value
	// Bare is the encoded message from the properties on.
	Bare []byte
	// PartitionKey is passed on to readers if HasKey.
	PartitionKey string
	HasKey       bool
}

// Stats counts what a log has seen.
type Stats struct {
	EventsIn, EventsOut, EventsTrimmed int64
	BytesIn, BytesOut                  int64
	// BytesKept is the size of the encoded events held now.
	BytesKept int64
}

// New returns an empty log that keeps about retentionBytes of encoded events and gives the first one the sequence
// number first. geo makes offsets of the form a geo-replicated hub has.
func New(retentionBytes int, geo bool, first int64) *Log {
	return &Log{
		geo:          geo,
		retention:    retentionBytes,
		segmentBytes: min(maxSegmentBytes, max(retentionBytes/8, 1024)),
		next:         first,
		nextOffset:   first,
		lastStamp:    noStamp,
		lastOffset:   first - 1,
	}
}

// Append adds the events with the same enqueued time, moved forward to that of the event before them if it is
// older, and returns the sequence number of the first and the time used.
func (l *Log) Append(events []Event, unixMilli int64) (first, stamp int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.next
	l.lastStamp = max(l.lastStamp, unixMilli)
	for i := range events {
		l.appendOne(&events[i])
	}
	l.trim()
	for _, w := range l.waiters {
		select {
		case w <- struct{}{}:
		default:
		}
	}
	return first, l.lastStamp
}

func (l *Log) appendOne(e *Event) {
	seg := l.room(encodedBound(e))
	before := len(seg.buf)
	seg.buf = l.encode(seg.buf, e)
	size := len(seg.buf) - before
	seg.events = append(seg.events, position{end: len(seg.buf), offset: l.nextOffset, stamp: l.lastStamp})
	l.lastOffset = l.nextOffset
	l.nextOffset += int64(size)
	l.next++
	l.bytes += size
	l.stats.EventsIn++
	l.stats.BytesIn += int64(size)
}

// room returns the last segment if it has the room, else a new one.
func (l *Log) room(n int) *segment {
	if k := len(l.segments); k > 0 {
		if seg := l.segments[k-1]; cap(seg.buf)-len(seg.buf) >= n {
			return seg
		}
	}
	seg := &segment{first: l.next, buf: make([]byte, 0, max(l.segmentBytes, n))}
	l.segments = append(l.segments, seg)
	return seg
}

// trim drops the oldest segments above the retention, but never the last one.
func (l *Log) trim() {
	drop := 0
	for l.bytes > l.retention && drop < len(l.segments)-1 {
		seg := l.segments[drop]
		l.bytes -= len(seg.buf)
		l.stats.EventsTrimmed += int64(len(seg.events))
		drop++
	}
	if drop > 0 {
		l.segments = slices.Delete(l.segments, 0, drop)
	}
}

// Read appends to dst the encoded messages from sequence number from on, at most count of them and, after the
// first, at most maxBytes. It returns them with the sequence number to read next. Trimmed events are passed over.
// The slices must not be changed.
func (l *Log) Read(dst [][]byte, from int64, count, maxBytes int) ([][]byte, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from = max(from, l.begin())
	total := 0
	for i := l.segmentOf(from); i < len(l.segments) && count > 0; i++ {
		seg := l.segments[i]
		for k := int(from - seg.first); k < len(seg.events) && count > 0; k++ {
			message := seg.message(k)
			if total > 0 && total+len(message) > maxBytes {
				return dst, from
			}
			dst = append(dst, message)
			total += len(message)
			count--
			from++
		}
	}
	return dst, from
}

// Delivered adds to the counters of what went out to readers.
func (l *Log) Delivered(events, bytes int) {
	l.mu.Lock()
	l.stats.EventsOut += int64(events)
	l.stats.BytesOut += int64(bytes)
	l.mu.Unlock()
}

func (s *segment) message(k int) []byte {
	start := 0
	if k > 0 {
		start = s.events[k-1].end
	}
	return s.buf[start:s.events[k].end:s.events[k].end]
}

// segmentOf returns the index of the segment that holds seq, or len(segments) if it is not written yet.
func (l *Log) segmentOf(seq int64) int {
	if seq >= l.next {
		return len(l.segments)
	}
	i, found := slices.BinarySearchFunc(l.segments, seq, func(s *segment, seq int64) int { return int(s.first - seq) })
	if found {
		return i
	}
	return i - 1
}

func (l *Log) begin() int64 {
	if len(l.segments) == 0 {
		return l.next
	}
	return l.segments[0].first
}

// Next returns the sequence number that the next event will have.
func (l *Log) Next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Wake registers a channel that gets a value, if it has room, after each append. Call the returned function to stop.
func (l *Log) Wake(c chan<- struct{}) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = append(l.waiters, c)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waiters = slices.DeleteFunc(l.waiters, func(w chan<- struct{}) bool { return w == c })
	}
}

// Stats returns the counters.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.BytesKept = int64(l.bytes)
	return s
}

// noStamp is the enqueued time of an empty partition: 0001-01-01 in Unix milliseconds.
const noStamp = -62135596800000

// Bounds describes what a partition holds, as $management reports it.
type Bounds struct {
	Begin, Last    int64
	LastOffset     string
	LastEnqueuedMS int64
	Empty          bool
}

// Bounds returns the sequence numbers held. An empty log that never held an event has Last -1.
func (l *Log) Bounds() Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := Bounds{
		Begin: l.begin(), Last: l.next - 1, Empty: len(l.segments) == 0,
		LastOffset: l.offsetText(l.lastOffset, l.next-1), LastEnqueuedMS: l.lastStamp,
	}
	if l.geo && b.Empty {
		b.Begin = -1
	}
	return b
}

// offsetText is the offset as clients see it. The parts of the geo-replicated form are inferred from one sample,
// "2:-1:-1": replication epoch, offset, sequence number.
func (l *Log) offsetText(offset, seq int64) string {
	if !l.geo {
		return strconv.FormatInt(offset, 10)
	}
	return geoPrefix + strconv.FormatInt(offset, 10) + ":" + strconv.FormatInt(seq, 10)
}

const geoPrefix = "2:"
