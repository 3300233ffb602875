package tenant

import (
	"math"
	"time"
)

// ticks is a time in units of 100 ns since 1970: the precision of Graph's times.
type ticks int64

const (
	perSecond ticks = 10_000_000
	perMinute       = 60 * perSecond
	perHour         = 60 * perMinute
	perDay          = 24 * perHour
	nsPerTick       = 100
	maxTicks        = ticks(math.MaxInt64 / nsPerTick)
)

// ticksOf cuts a time to ticks. Times beyond what time.Time.UnixNano can tell are cut to that.
func ticksOf(t time.Time) ticks {
	const farthest = math.MaxInt64/1_000_000_000 - 1
	if s := t.Unix(); s > farthest {
		return maxTicks
	} else if s < -farthest {
		return -maxTicks
	}
	ns := t.UnixNano()
	n := ns / nsPerTick
	if ns%nsPerTick < 0 {
		n--
	}
	return ticks(n)
}

func ticksIn(d time.Duration) ticks { return ticks(d / nsPerTick) }

// split returns whole seconds since 1970 and the ticks beyond them.
func (t ticks) split() (seconds, rest int64) {
	seconds, rest = int64(t/perSecond), int64(t%perSecond)
	if rest < 0 {
		return seconds - 1, rest + int64(perSecond)
	}
	return seconds, rest
}

func (t ticks) time() time.Time {
	seconds, rest := t.split()
	return time.Unix(seconds, rest*nsPerTick).UTC()
}

// appendTo appends "2026-11-24T08:00:00.1234567" and zone.
func (t ticks) appendTo(b []byte, zone string) []byte {
	seconds, rest := t.split()
	at := time.Unix(seconds, 0).UTC()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	b = appendDigits(b, year, 4)
	b = append(b, '-')
	b = appendDigits(b, int(month), 2)
	b = append(b, '-')
	b = appendDigits(b, day, 2)
	b = append(b, 'T')
	b = appendDigits(b, hour, 2)
	b = append(b, ':')
	b = appendDigits(b, minute, 2)
	b = append(b, ':')
	b = appendDigits(b, second, 2)
	b = append(b, '.')
	b = appendDigits(b, int(rest), 7)
	return append(b, zone...)
}

func appendDigits(b []byte, n, digits int) []byte {
	var text [20]byte
	for i := digits - 1; i >= 0; i-- {
		text[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, text[:digits]...)
}
