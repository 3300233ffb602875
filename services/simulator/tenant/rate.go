package tenant

import "math/bits"

// weekWeights are how busy the hours of a week are, from Monday 00:00 UTC: nights and weekends are
// quiet. A log of machines has the same weight always.
type weekWeights struct {
	hour   [hoursPerWeek]uint64
	before [hoursPerWeek + 1]uint64 // weight-seconds of the week before each hour
}

const (
	hoursPerWeek   = 168
	secondsPerHour = 3600
	secondsPerWeek = hoursPerWeek * secondsPerHour
	// firstMonday is Monday 1970-01-05 in seconds.
	firstMonday = 4 * 86400
)

// dayShape is a working day of a tenant that spans some time zones, by UTC hour.
var dayShape = [...]uint64{3, 2, 2, 2, 3, 5, 9, 16, 22, 24, 23, 21, 19, 21, 22, 20, 17, 14, 11, 9, 8, 7, 5, 4}

func newWeekWeights(human bool) weekWeights {
	var w weekWeights
	const saturday = 5
	for i := range w.hour {
		switch {
		case !human:
			w.hour[i] = 10
		case i/24 >= saturday:
			w.hour[i] = dayShape[i%24]/5 + 1
		default:
			w.hour[i] = dayShape[i%24]
		}
		w.before[i+1] = w.before[i] + w.hour[i]*secondsPerHour
	}
	return w
}

// upTo returns the weight-seconds from the first Monday of 1970 to a time in seconds.
func (w *weekWeights) upTo(second int64) uint64 {
	s := second - firstMonday
	week, rest := s/secondsPerWeek, s%secondsPerWeek
	if rest < 0 {
		week, rest = week-1, rest+secondsPerWeek
	}
	hour, within := rest/secondsPerHour, rest%secondsPerHour
	return uint64(week)*w.before[hoursPerWeek] + w.before[hour] + uint64(within)*w.hour[hour]
}

// flow is how many ordinary records a log has up to any time: exactly total at end, in proportion to the
// weights before and after.
type flow struct {
	weights    weekWeights
	start      int64 // seconds
	base, span uint64
	total      uint64
}

func newFlow(human bool, start, end int64, total uint64) flow {
	f := flow{weights: newWeekWeights(human), start: start, total: total}
	f.base = f.weights.upTo(start)
	f.span = f.weights.upTo(end) - f.base
	return f
}

// before returns how many records have a time before a second.
func (f *flow) before(second int64) uint64 {
	if second <= f.start {
		return 0
	}
	hi, lo := bits.Mul64(f.total, f.weights.upTo(second)-f.base)
	if hi >= f.span {
		return 1 << 62
	}
	n, _ := bits.Div64(hi, lo, f.span)
	return n
}
