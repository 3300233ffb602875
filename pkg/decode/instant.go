package decode

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// instant is a point in time read from a record. The zero value means none.
type instant struct {
	seconds int64
	nanos   int32
	known   bool
}

// milliseconds returns the instant in milliseconds since 1970, cut, not rounded.
func (t instant) milliseconds() int64 { return t.seconds*1000 + int64(t.nanos)/1_000_000 }

// timestamp returns the instant in full, nil for none.
func (t instant) timestamp() *timestamppb.Timestamp {
	if !t.known {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: t.seconds, Nanos: t.nanos}
}

// instant consumes a date and time. Unreadable ones count as none and are noted.
func (r *reader) instant() instant {
	text := r.str()
	t := parseInstant(text)
	if !t.known && text != "" && !strings.HasPrefix(text, noTime) {
		r.notes.add(noteTimeUnreadable)
	}
	return t
}

// noTime is how .NET begins the time that stands for none.
const noTime = "0001-01-01"

// parseInstant reads the forms of dates seen in records: ISO 8601 with T or a space, any number of
// digits of a second (nanoseconds are kept), with Z, an offset or no zone, and American month/day/year
// with or without AM or PM. Without a zone it is UTC. Year 1 means none.
func parseInstant(text string) instant {
	p := clockParser{s: strings.TrimSpace(text), ok: true}
	if len(p.s) < len("1/1/2000 1:00") {
		return instant{}
	}
	if p.s[4] == '-' {
		p.isoDate()
	} else {
		p.usDate()
	}
	p.clock()
	p.meridiem()
	p.zone()
	if !p.ok || p.i != len(p.s) || p.year <= 1 || !p.inRange() {
		return instant{}
	}
	at := time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.second, 0, time.UTC)
	// time.Date turns February 30 into March 2.
	if at.Day() != p.day {
		return instant{}
	}
	return instant{seconds: at.Unix() - int64(p.offset), nanos: p.nanos, known: true}
}

// clockParser reads a date and time from left to right.
type clockParser struct {
	s  string
	i  int
	ok bool

	year, month, day     int
	hour, minute, second int
	nanos                int32
	offset               int // seconds east of Greenwich
}

func (p *clockParser) inRange() bool {
	return p.month >= 1 && p.month <= 12 && p.day >= 1 && p.day <= 31 &&
		p.hour <= 23 && p.minute <= 59 && p.second <= 59
}

// digits reads a number of least to most digits.
func (p *clockParser) digits(least, most int) int {
	n, start := 0, p.i
	for p.i < len(p.s) && p.i-start < most && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		n = n*10 + int(p.s[p.i]-'0')
		p.i++
	}
	if p.i-start < least {
		p.ok = false
	}
	return n
}

// char goes over one of the given characters and returns it, 0 if there is none.
func (p *clockParser) char(any string) byte {
	if p.i < len(p.s) && strings.IndexByte(any, p.s[p.i]) >= 0 {
		p.i++
		return p.s[p.i-1]
	}
	return 0
}

// must is char where there has to be one.
func (p *clockParser) must(any string) {
	if p.char(any) == 0 {
		p.ok = false
	}
}

func (p *clockParser) isoDate() {
	p.year = p.digits(4, 4)
	p.must("-")
	p.month = p.digits(1, 2)
	p.must("-")
	p.day = p.digits(1, 2)
	p.must("Tt ")
}

func (p *clockParser) usDate() {
	p.month = p.digits(1, 2)
	p.must("/")
	p.day = p.digits(1, 2)
	p.must("/")
	p.year = p.digits(4, 4)
	p.must(" ")
}

func (p *clockParser) clock() {
	p.hour = p.digits(1, 2)
	p.must(":")
	p.minute = p.digits(2, 2)
	if p.char(":") == 0 {
		return
	}
	p.second = p.digits(2, 2)
	if p.char(".,") == 0 {
		return
	}
	const nanosPerSecond = 1_000_000_000
	start := p.i
	for unit := int32(nanosPerSecond / 10); p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9'; unit /= 10 {
		p.nanos += int32(p.s[p.i]-'0') * unit
		p.i++
	}
	if p.i == start {
		p.ok = false
	}
}

func (p *clockParser) meridiem() {
	if p.i+2 >= len(p.s) || p.s[p.i] != ' ' || p.s[p.i+2]|0x20 != 'm' {
		return
	}
	half := p.s[p.i+1] | 0x20
	if half != 'a' && half != 'p' {
		return
	}
	p.i += len(" AM")
	if p.hour < 1 || p.hour > 12 {
		// "13:00:00 PM" says the same twice; "0:30 AM" likewise.
		if (half == 'p') != (p.hour >= 12) {
			p.ok = false
		}
		return
	}
	p.hour %= 12
	if half == 'p' {
		p.hour += 12
	}
}

func (p *clockParser) zone() {
	p.char(" ")
	if p.char("Zz") != 0 || p.i == len(p.s) {
		return
	}
	sign := p.char("+-")
	if sign == 0 {
		p.ok = false
		return
	}
	hours := p.digits(2, 2)
	p.char(":")
	minutes := p.digits(0, 2)
	if hours > 23 || minutes > 59 {
		p.ok = false
	}
	p.offset = hours*3600 + minutes*60
	if sign == '-' {
		p.offset = -p.offset
	}
}
