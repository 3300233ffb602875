package entractl

import (
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// lineInterval is the least time between two plain lines of progress.
const lineInterval = 5 * time.Second

// newView returns bars for a terminal, else plain lines; beside the result if that is for programs.
func (c *caller) newView(f format) view {
	if f != formatTable {
		return &lines{to: c.Stderr, notes: c.Stderr}
	}
	if c.fancy() {
		return newBars(c.Stdout, c.Stderr)
	}
	return &lines{to: c.Stdout, notes: c.Stderr}
}

// lines shows a run as plain lines: one a change, at most one each lineInterval.
type lines struct {
	to, notes io.Writer
	last      time.Time // of the last line
	shown     string    // the last line, without its time
	waiting   *controlv1.Run
}

func (l *lines) show(run *controlv1.Run, now time.Time) {
	l.waiting = run
	l.tick(now)
}

func (l *lines) tick(now time.Time) {
	if l.waiting == nil || !l.last.IsZero() && now.Sub(l.last) < lineInterval {
		return
	}
	run := l.waiting
	l.waiting = nil
	if ended(run.GetState()) {
		return // its ending is written in full
	}
	if text := runLine(run); text != l.shown {
		l.last, l.shown = now, text
		fmt.Fprintf(l.to, "%s  %s\n", now.UTC().Format(time.RFC3339), text)
	}
}

func (l *lines) note(text string) { fmt.Fprintf(l.notes, "entractl: %s\n", text) }

func (l *lines) close() {}

// totals are the sums over a run's data types.
type totals struct {
	rows, unreadable uint64
	done, windows    uint32
	throttled        time.Duration
	retries          uint32
}

func sum(run *controlv1.Run) totals {
	var t totals
	for _, p := range run.GetDataTypes() {
		t.rows += p.GetRows()
		t.unreadable += p.GetUnreadable()
		t.done += p.GetWindowsDone()
		t.windows += p.GetWindowsTotal()
		t.throttled += duration(p.GetThrottleWait())
		t.retries += p.GetRetries()
	}
	return t
}

// runLine says how a run stands, on one line without a time.
func runLine(run *controlv1.Run) string {
	t := sum(run)
	parts := []string{
		stateWord(run.GetState()), fmt.Sprintf("%d/%d windows", t.done, t.windows), plural(t.rows, "row"),
		fmt.Sprintf("%s rows/s", count(uint64(max(run.GetRowsPerSecond(), 0)))),
	}
	if t.throttled >= time.Second {
		parts = append(parts, "throttled "+span(t.throttled))
	}
	if end := run.GetEstimatedEndTime(); end != nil && run.GetUpdateTime() != nil {
		parts = append(parts, "about "+span(end.AsTime().Sub(run.GetUpdateTime().AsTime()))+" left")
	}
	return strings.Join(parts, "  ")
}

// ending says how a run ended: what of it failed, why, and what helps.
func (s style) ending(run *controlv1.Run) string {
	var b strings.Builder
	t, colour := sum(run), green
	switch run.GetState() {
	case controlv1.RunState_RUN_STATE_SUCCEEDED:
	case controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED:
		colour = yellow
	default:
		colour = red
	}
	fmt.Fprintf(&b, "Run %s %s: %s of %s", idOf(run.GetName()), s.paint(colour, stateWord(run.GetState())),
		plural(t.rows, "row"), plural(uint64(len(run.GetDataTypes())), "data type"))
	if took, ok := runTime(run); ok {
		b.WriteString(" in " + span(took))
	}
	if t.throttled >= time.Second {
		b.WriteString(", throttled " + span(t.throttled))
	}
	b.WriteByte('\n')
	var help remedies
	if p := run.GetProblem(); p != nil {
		fmt.Fprintf(&b, "%s\n", problemDetail(p))
		help.add("the run", p)
	}
	for _, p := range run.GetDataTypes() {
		if p.GetProblem() != nil || p.GetState() == controlv1.RunState_RUN_STATE_FAILED {
			fmt.Fprintf(&b, "  %s %s after %s: %s\n", clean(p.GetDataType()), stateWord(p.GetState()), plural(p.GetRows(), "row"), problemDetail(orUnknown(p.GetProblem())))
			help.add(p.GetDataType(), p.GetProblem())
		}
		if n := p.GetUnreadable(); n > 0 {
			fmt.Fprintf(&b, "  %s: %s could not be read and became dead letters\n", clean(p.GetDataType()), plural(n, "record"))
		}
	}
	b.WriteString(help.text())
	return b.String()
}

func orUnknown(p *controlv1.Problem) *controlv1.Problem {
	if p == nil {
		return &controlv1.Problem{}
	}
	return p
}

// runTime is how long an ended run took.
func runTime(run *controlv1.Run) (time.Duration, bool) {
	start, end := run.GetStartTime(), run.GetEndTime()
	if start == nil || end == nil {
		return 0, false
	}
	return end.AsTime().Sub(start.AsTime()), true
}

func duration(d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.AsDuration()
}

// pace measures one data type from what a watch brings.
type pace struct{ samples []sample }

type sample struct {
	at   time.Time
	rows uint64
	done uint32
}

// paceWindow is how far back a pace looks.
const paceWindow = time.Minute

// add takes a measurement and forgets those older than paceWindow, but for the newest of them. A second of the same
// moment replaces the first.
func (p *pace) add(s sample) {
	if n := len(p.samples); n > 0 && !s.at.After(p.samples[n-1].at.Add(time.Second/2)) {
		p.samples[n-1].rows, p.samples[n-1].done = s.rows, s.done
		return
	}
	p.samples = append(p.samples, s)
	for len(p.samples) > 2 && s.at.Sub(p.samples[1].at) >= paceWindow {
		p.samples = p.samples[1:]
	}
}

// rate is rows a second; false if it is not known yet.
func (p *pace) rate() (uint64, bool) {
	first, last, span := p.ends()
	if span <= 0 || last.rows < first.rows {
		return 0, false
	}
	return uint64(float64(last.rows-first.rows) / span.Seconds()), true
}

// left is the time that the rest of total windows takes at this pace; false if it is not known.
func (p *pace) left(total uint32) (time.Duration, bool) {
	first, last, span := p.ends()
	if span <= 0 || last.done <= first.done || total < last.done {
		return 0, false
	}
	return time.Duration(float64(span) / float64(last.done-first.done) * float64(total-last.done)), true
}

func (p *pace) ends() (first, last sample, span time.Duration) {
	if len(p.samples) < 2 {
		return sample{}, sample{}, 0
	}
	first, last = p.samples[0], p.samples[len(p.samples)-1]
	return first, last, last.at.Sub(first.at)
}
