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

// timeLen is the length of a time's text without zone.
const timeLen = len("2026-11-24T08:00:00.1234567")

// text returns "2026-11-24T08:00:00.1234567".
func (t ticks) text() (b [timeLen]byte) {
	seconds, rest := t.split()
	at := time.Unix(seconds, 0).UTC()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	putDigits(b[0:4], year)
	b[4] = '-'
	putDigits(b[5:7], int(month))
	b[7] = '-'
	putDigits(b[8:10], day)
	b[10] = 'T'
	putDigits(b[11:13], hour)
	b[13] = ':'
	putDigits(b[14:16], minute)
	b[16] = ':'
	putDigits(b[17:19], second)
	b[19] = '.'
	putDigits(b[20:27], int(rest))
	return b
}

// putDigits fills b with the last digits of n.
func putDigits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func appendDigits(b []byte, n, digits int) []byte {
	var text [20]byte
	putDigits(text[:digits], n)
	return append(b, text[:digits]...)
}
