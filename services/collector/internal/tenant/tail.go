package tenant

import (
	"context"
	"time"

	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

// tail reads what is new, again and again, until ctx is done.
func (f *follower) tail(ctx context.Context) {
	retry := time.Duration(0)
	for f.set.Clock.Sleep(ctx, max(f.cfg.TailInterval, retry)) == nil {
		p, overlap := f.next()
		err := f.walk(ctx, p)
		if ctx.Err() != nil {
			return
		}
		retry = f.note(err, retry, tailPart)
		f.mu.Lock()
		switch {
		case err != nil:
			f.overlapRead = time.Time{} // a part of the pass may be missing
		case overlap:
			f.overlapRead = p.within.To
		}
		f.mu.Unlock()
	}
}

// tailReach is how many overlaps back the tail reads at most. What is missing beyond that is mended.
const tailReach = 3

// next plans a read of the tail. overlap says that it reaches back to what was read for good.
func (f *follower) next() (p pass, overlap bool) {
	f.mu.Lock()
	overlapRead := f.overlapRead
	f.mu.Unlock()
	within, overlap := tailWindow(f.cfg, f.now(), f.began, overlapRead, f.covered.snapshot())
	return pass{within: within, class: budget.Tail, windows: 1}, overlap
}

// tailWindow says what the tail reads now: since the last time, and every OverlapInterval as far back as records may come
// late.
func tailWindow(cfg Config, now, began, overlapRead time.Time, seen snapshot) (_ window.Interval, overlap bool) {
	from := began
	if seen.readUntil.After(from) {
		from = seen.readUntil
	}
	if from = from.Add(-cfg.TailOverlap); from.After(now) {
		from = now // the clock was set back
	}
	if now.Sub(overlapRead) < cfg.OverlapInterval {
		return window.Interval{From: from, To: now}, false
	}
	back := now.Add(-cfg.Overlap)
	// What was read for good grows without a gap.
	if until, ok := seen.done.Until(); ok && until.Before(back) && until.After(now.Add(-tailReach*cfg.Overlap)) {
		back = until.Add(window.Step)
	}
	if back.Before(from) {
		from = back
	}
	return window.Interval{From: from.UTC().Truncate(window.Step), To: now}, true
}
