package entractl

import (
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// maxBars bounds how much of a terminal a run takes; the collector has fewer data types.
const maxBars = 50

// bars shows a run as a bar for each data type and one for all.
type bars struct {
	progress *mpb.Progress
	notes    io.Writer
	all      *bar
	types    map[string]*bar
}

// bar is a line with a bar: its name, the bar, and columns.
type bar struct {
	bar     *mpb.Bar
	pace    pace
	columns atomic.Pointer[[barColumns]string] // read by the goroutine that draws
	ended   bool
}

// Columns behind a bar.
const (
	columnWindows = iota
	columnRows
	columnRate
	columnThrottle
	columnLeft
	barColumns
)

// newBars draws on to; notes is for lines once the bars are gone.
func newBars(to, notes io.Writer) *bars {
	const width, refresh = 100, 200 * time.Millisecond
	b := &bars{
		// WithAutoRefresh: the caller knows that this is a terminal, even where only its writer is given.
		progress: mpb.New(mpb.WithOutput(to), mpb.WithAutoRefresh(), mpb.WithWidth(width), mpb.WithRefreshRate(refresh)),
		notes:    notes, types: map[string]*bar{},
	}
	b.all = b.newBar("all", math.MaxInt)
	return b
}

func (b *bars) newBar(name string, priority int) *bar {
	made := &bar{}
	made.columns.Store(&[barColumns]string{})
	var columns []decor.Decorator
	for n := range barColumns {
		columns = append(columns, decor.Any(func(decor.Statistics) string { return made.columns.Load()[n] }, decor.WCSyncSpace))
	}
	made.bar = b.progress.New(0, mpb.BarStyle(), mpb.BarPriority(priority),
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)), mpb.AppendDecorators(columns...))
	return made
}

func (b *bars) show(run *controlv1.Run, now time.Time) {
	for n, p := range run.GetDataTypes() {
		id := clean(p.GetDataType())
		line := b.types[id]
		if line == nil && len(b.types) < maxBars {
			line = b.newBar(cell(id), n)
			b.types[id] = line
		}
		if line != nil {
			line.show(p, now)
		}
	}
	t := sum(run)
	columns := [barColumns]string{
		columnWindows: windows(t.done, t.windows), columnRows: plural(t.rows, "row"),
		columnRate: count(uint64(max(run.GetRowsPerSecond(), 0))) + "/s", columnThrottle: throttled(t.throttled),
	}
	if end := run.GetEstimatedEndTime(); end != nil && !ended(run.GetState()) {
		columns[columnLeft] = "~" + span(end.AsTime().Sub(now))
	}
	b.all.columns.Store(&columns)
	b.all.move(t.done, t.windows)
	if run.GetState() == controlv1.RunState_RUN_STATE_SUCCEEDED {
		b.all.end(true)
	}
}

// show moves a bar, and ends it with its data type.
func (l *bar) show(p *controlv1.DataTypeProgress, now time.Time) {
	if l.ended {
		return
	}
	l.pace.add(sample{now, p.GetRows(), p.GetWindowsDone()})
	columns := [barColumns]string{
		columnWindows: windows(p.GetWindowsDone(), p.GetWindowsTotal()), columnRows: plural(p.GetRows(), "row"),
		columnThrottle: throttled(duration(p.GetThrottleWait())),
	}
	over := ended(p.GetState())
	if over {
		columns[columnLeft] = stateWord(p.GetState())
	} else {
		if rate, ok := l.pace.rate(); ok {
			columns[columnRate] = count(rate) + "/s"
		}
		if left, ok := l.pace.left(p.GetWindowsTotal()); ok {
			columns[columnLeft] = "~" + span(left)
		}
	}
	l.columns.Store(&columns)
	l.move(p.GetWindowsDone(), p.GetWindowsTotal())
	if over {
		l.end(p.GetState() == controlv1.RunState_RUN_STATE_SUCCEEDED)
	}
}

func (l *bar) move(done, total uint32) {
	l.bar.SetTotal(int64(max(total, done, 1)), false)
	l.bar.SetCurrent(int64(done))
}

func (l *bar) end(full bool) {
	if l.ended {
		return
	}
	l.ended = true
	if full {
		l.bar.SetTotal(-1, true)
		return
	}
	l.bar.Abort(false)
}

// tick does nothing: bars draw themselves.
func (b *bars) tick(time.Time) {}

func (b *bars) note(text string) { fmt.Fprintf(b.progress, "entractl: %s\n", text) }

// close leaves the bars as they stand.
func (b *bars) close() {
	for _, line := range b.types {
		line.end(false)
	}
	b.all.end(false)
	b.progress.Wait()
	if b.progress.Error != nil {
		fmt.Fprintf(b.notes, "entractl: drawing progress: %v\n", b.progress.Error)
	}
}

func windows(done, total uint32) string { return fmt.Sprintf("%d/%d", done, total) }

func throttled(wait time.Duration) string {
	if wait < time.Second {
		return ""
	}
	return "throttled " + span(wait)
}
