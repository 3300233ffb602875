package window

import "time"

const (
	// FirstWidth is what a log is read in until it is known how dense it is: the newest day comes first.
	FirstWidth = 24 * time.Hour
	// MinWidth is the least width of a window. One that fails at it is not split but tried again.
	MinWidth = time.Minute
	// MaxWidth is the largest width of a window.
	MaxWidth = 8 * 24 * time.Hour
	// A window should take some pages: fewer waste requests on little, more are read again after a fault.
	fewPages, goodPages, manyPages = 3, 8, 12
)

// Newest returns the newest piece of at most width that is within and not in done. ok is false if nothing is
// missing.
func Newest(done Set, within Interval, width time.Duration) (_ Interval, ok bool) {
	gaps := done.Gaps(within)
	if len(gaps) == 0 {
		return Interval{}, false
	}
	gap := gaps[len(gaps)-1]
	from := gap.To.Add(Step - width)
	if from.Before(gap.From) || from.Sub(gap.From) < width/4 {
		from = gap.From // no crumb of a window is left behind
	}
	return Interval{from, gap.To}, true
}

// NextWidth returns how wide windows should be from now on: width is what they are now, read that of one which took so
// many pages. Several may be read at once, begun when width was another: each is judged by its own width, and only one
// that is as wide as windows are now makes them wider.
func NextWidth(width, read time.Duration, pages int) time.Duration {
	switch {
	case pages > manyPages:
		width = min(width, time.Duration(int64(read)/int64(pages)*goodPages))
	case pages < fewPages && read >= width:
		width *= 2
	}
	return min(max(width, MinWidth), MaxWidth)
}

// Pieces estimates how many windows of that width are missing.
func Pieces(done Set, within Interval, width time.Duration) int {
	n := 0
	for _, gap := range done.Gaps(within) {
		n += int((gap.Width() + width - Step) / width)
	}
	return n
}
