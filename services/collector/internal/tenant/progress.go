package tenant

import (
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// rateSpan is over how long rows_per_second is taken.
const rateSpan = time.Minute

// progress is a run as it grows. It is safe for concurrent use.
type progress struct {
	mu      sync.Mutex
	run     *controlv1.Run
	types   map[string]*controlv1.DataTypeProgress
	samples []sample // of the last rateSpan, oldest first
	changed bool
}

type sample struct {
	at   time.Time
	rows uint64
}

// newProgress goes on with a run, in which every data type begins anew.
func newProgress(run *controlv1.Run, dataTypes []entra.DataType, now time.Time) *progress {
	p := &progress{run: proto.CloneOf(run), types: map[string]*controlv1.DataTypeProgress{}, changed: true}
	p.run.State = controlv1.RunState_RUN_STATE_RUNNING
	if p.run.GetStartTime() == nil {
		p.run.StartTime = timestamppb.New(now)
	}
	kept := map[string]*controlv1.DataTypeProgress{}
	for _, t := range p.run.GetDataTypes() {
		kept[t.GetDataType()] = t
	}
	p.run.DataTypes = nil
	for _, id := range dataTypes {
		t := kept[string(id)]
		if t == nil {
			t = &controlv1.DataTypeProgress{DataType: string(id), ThrottleWait: durationpb.New(0)}
		}
		t.State, t.Problem = controlv1.RunState_RUN_STATE_RUNNING, nil
		p.types[string(id)] = t
		p.run.DataTypes = append(p.run.DataTypes, t)
	}
	return p
}

// update changes a data type of the run.
func (p *progress) update(id entra.DataType, change func(*controlv1.DataTypeProgress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.types[string(id)]; t != nil {
		change(t)
		p.changed = true
	}
}

// end ends a data type; a nil problem is success.
func (p *progress) end(id entra.DataType, problem *controlv1.Problem) {
	p.update(id, func(t *controlv1.DataTypeProgress) {
		t.State, t.Problem = controlv1.RunState_RUN_STATE_SUCCEEDED, problem
		if problem != nil {
			t.State = controlv1.RunState_RUN_STATE_FAILED
		}
	})
}

// fail ends what has not ended.
func (p *progress) fail(problem *controlv1.Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.types {
		if t.GetState() == controlv1.RunState_RUN_STATE_RUNNING {
			t.State, t.Problem = controlv1.RunState_RUN_STATE_FAILED, problem
		}
	}
	p.run.Problem, p.changed = problem, true
}

// touch says that the run is to be written again.
func (p *progress) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = true
}

// take returns the run as it stands if it has changed since the last time, and whether it has ended.
func (p *progress) take(now time.Time) (run *controlv1.Run, changed, ended bool) {
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
	if !p.changed && running > 0 {
		return nil, false, false
	}
	p.changed = false
	p.run.RowsPerSecond = p.rate(now, rows)
	p.run.EstimatedEndTime = nil
	p.run.UpdateTime = timestamppb.New(now)
	if running == 0 {
		p.run.State, p.run.EndTime = ending(failed, len(p.types)), timestamppb.New(now)
	} else if elapsed := now.Sub(p.run.GetStartTime().AsTime()); done > 0 && total > done {
		left := time.Duration(float64(elapsed) / float64(done) * float64(total-done))
		p.run.EstimatedEndTime = timestamppb.New(now.Add(left))
	}
	return proto.CloneOf(p.run), true, running == 0
}

func ending(failed, all int) controlv1.RunState {
	switch {
	case failed == 0:
		return controlv1.RunState_RUN_STATE_SUCCEEDED
	case failed < all:
		return controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED
	default:
		return controlv1.RunState_RUN_STATE_FAILED
	}
}

// rate is the rows a second of the last rateSpan.
func (p *progress) rate(now time.Time, rows uint64) float64 {
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
