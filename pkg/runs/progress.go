package runs

import (
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// rateSpan is over how long rows_per_second is taken.
const rateSpan = time.Minute

// heartbeat is how often a run is written though nothing has changed but the time.
const heartbeat = 5 * time.Second

// Progress is a run as it grows. It is safe for concurrent use.
type Progress struct {
	mu      sync.Mutex
	run     *controlv1.Run
	types   map[string]*controlv1.DataTypeProgress
	samples []sample // of the last rateSpan, oldest first
	changed bool
	written time.Time
	// began and before are when this session took the run up, and the windows done by then.
	began  time.Time
	before uint32
}

type sample struct {
	at   time.Time
	rows uint64
}

// NewProgress goes on with a run; nil is one that nobody sees. What was asked for by name and is not among dataTypes has
// failed. The windows that are still to do are for the work to add to windows_total.
func NewProgress(run *controlv1.Run, dataTypes []string, now time.Time) *Progress {
	p := &Progress{run: &controlv1.Run{}, types: map[string]*controlv1.DataTypeProgress{}, changed: true, began: now}
	if run != nil {
		p.run = proto.CloneOf(run)
	}
	p.run.State = controlv1.RunState_RUN_STATE_RUNNING
	if p.run.GetStartTime() == nil {
		p.run.StartTime = timestamppb.New(now)
	}
	for _, t := range p.run.GetDataTypes() {
		p.types[t.GetDataType()] = t
	}
	for _, id := range dataTypes {
		if p.types[id] == nil {
			t := &controlv1.DataTypeProgress{DataType: id}
			p.types[id] = t
			p.run.DataTypes = append(p.run.DataTypes, t)
		}
	}
	for _, t := range p.run.GetDataTypes() {
		// Whoever reads says what is still to do.
		t.WindowsTotal = t.GetWindowsDone()
		p.before += t.GetWindowsDone()
		if t.GetThrottleWait() == nil {
			t.ThrottleWait = durationpb.New(0)
		}
		if slices.Contains(dataTypes, t.GetDataType()) {
			t.State, t.Problem = controlv1.RunState_RUN_STATE_RUNNING, nil
		} else if !Ended(t.GetState()) {
			t.State, t.Problem = controlv1.RunState_RUN_STATE_FAILED, notCollected()
		}
	}
	if len(p.types) == 0 {
		p.run.Problem = notCollected()
	}
	return p
}

func notCollected() *controlv1.Problem {
	return &controlv1.Problem{
		Cause: "nothing_to_collect", Detail: "It can not be collected, or is turned off.",
		Remedy: "Test the connection: its report says what each data type lacks.",
	}
}

// Update changes a data type of the run; one that is not in it is ignored. change must not block.
func (p *Progress) Update(id string, change func(*controlv1.DataTypeProgress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.types[id]; t != nil {
		change(t)
		p.changed = true
	}
}

// End ends a data type; without a problem it has succeeded.
func (p *Progress) End(id string, problem *controlv1.Problem) {
	p.Update(id, func(t *controlv1.DataTypeProgress) {
		if problem != nil {
			t.State, t.Problem = controlv1.RunState_RUN_STATE_FAILED, problem
			return
		}
		t.State, t.WindowsTotal = controlv1.RunState_RUN_STATE_SUCCEEDED, t.GetWindowsDone()
	})
}

// touch says that the run is to be written again.
func (p *Progress) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = true
}

// Take returns the run as it stands if it has changed since the last time, and whether it has ended.
func (p *Progress) Take(now time.Time) (run *controlv1.Run, changed, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rows uint64
	var done, total, running, failed int
	for _, t := range p.types {
		rows += t.GetRows()
		done += int(t.GetWindowsDone())
		total += int(t.GetWindowsTotal())
		switch t.GetState() { //nolint:exhaustive // the others are success
		case controlv1.RunState_RUN_STATE_RUNNING:
			running++
		case controlv1.RunState_RUN_STATE_FAILED:
			failed++
		}
	}
	if !p.changed && running > 0 && now.Sub(p.written) < heartbeat {
		return nil, false, false
	}
	p.changed, p.written = false, now
	p.run.RowsPerSecond = p.rate(now, rows)
	p.run.EstimatedEndTime = nil
	p.run.UpdateTime = timestamppb.New(now)
	if running == 0 {
		p.run.State, p.run.EndTime = ending(failed, len(p.types)), timestamppb.New(now)
	} else if here := done - int(p.before); here > 0 && total > done {
		left := time.Duration(float64(now.Sub(p.began)) / float64(here) * float64(total-done))
		p.run.EstimatedEndTime = timestamppb.New(now.Add(left))
	}
	return proto.CloneOf(p.run), true, running == 0
}

func ending(failed, all int) controlv1.RunState {
	switch {
	case failed == 0 && all > 0:
		return controlv1.RunState_RUN_STATE_SUCCEEDED
	case failed < all:
		return controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED
	default:
		return controlv1.RunState_RUN_STATE_FAILED
	}
}

// rate is the rows a second of the last rateSpan.
func (p *Progress) rate(now time.Time, rows uint64) float64 {
	p.samples = append(p.samples, sample{now, rows})
	for len(p.samples) > 2 && now.Sub(p.samples[0].at) > rateSpan {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	seconds := now.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(rows-first.rows) / seconds
}
