package runs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var noon = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

const audit, risky = "audit", "risky_user"

func TestProgress(t *testing.T) {
	now := noon
	p := NewProgress(nil, []string{audit, risky}, now)
	run, changed, ended := p.Take(now)
	require.True(t, changed)
	require.False(t, ended)
	require.Equal(t, controlv1.RunState_RUN_STATE_RUNNING, run.GetState())
	_, changed, _ = p.Take(now)
	require.False(t, changed, "nothing is written twice")
	for second := range 20 {
		now = noon.Add(time.Duration(second+1) * time.Second)
		p.Update(audit, func(d *controlv1.DataTypeProgress) {
			d.WindowsTotal, d.WindowsDone = 40, d.GetWindowsDone()+1
			d.Rows += 100
		})
		run, changed, _ = p.Take(now)
		require.True(t, changed)
	}
	require.InDelta(t, 100, run.GetRowsPerSecond(), 0.1)
	require.Equal(t, now.Add(20*time.Second), run.GetEstimatedEndTime().AsTime(), "20 of 40 in 20 s")
	run, changed, _ = p.Take(now.Add(time.Minute))
	require.True(t, changed, "standstill shows")
	require.Less(t, run.GetRowsPerSecond(), 40.0)

	// The next session goes on with it.
	later := now.Add(time.Hour)
	p = NewProgress(run, []string{audit}, later)
	run, _, ended = p.Take(later)
	require.False(t, ended)
	first, second := run.GetDataTypes()[0], run.GetDataTypes()[1]
	require.EqualValues(t, 2000, first.GetRows())
	require.EqualValues(t, 20, first.GetWindowsTotal(), "what is left is counted again")
	require.Equal(t, controlv1.RunState_RUN_STATE_FAILED, second.GetState(), "it cannot be collected any more")
	require.Equal(t, "nothing_to_collect", second.GetProblem().GetCause())
	p.Update(audit, func(d *controlv1.DataTypeProgress) { d.WindowsTotal += 20; d.WindowsDone += 5 })
	run, _, _ = p.Take(later.Add(10 * time.Second))
	require.Equal(t, later.Add(40*time.Second), run.GetEstimatedEndTime().AsTime(), "the hour between does not count")
	p.End(audit, nil)
	run, _, ended = p.Take(later.Add(11 * time.Second))
	require.True(t, ended)
	require.Equal(t, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED, run.GetState())
	require.Equal(t, run.GetDataTypes()[0].GetWindowsDone(), run.GetDataTypes()[0].GetWindowsTotal())
	require.Nil(t, run.GetEstimatedEndTime())
	require.NotNil(t, run.GetEndTime())
}

func TestAnEndHasAState(t *testing.T) {
	fail := &controlv1.Problem{Cause: "licence_missing"}
	for name, tc := range map[string]struct {
		types map[string]*controlv1.Problem
		want  controlv1.RunState
	}{
		"nothing": {nil, controlv1.RunState_RUN_STATE_FAILED},
		"all":     {map[string]*controlv1.Problem{audit: nil, risky: nil}, controlv1.RunState_RUN_STATE_SUCCEEDED},
		"some":    {map[string]*controlv1.Problem{audit: nil, risky: fail}, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED},
		"none":    {map[string]*controlv1.Problem{audit: fail, risky: fail}, controlv1.RunState_RUN_STATE_FAILED},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []string
			for id := range tc.types {
				ids = append(ids, id)
			}
			p := NewProgress(nil, ids, noon)
			for id, err := range tc.types {
				p.End(id, err)
			}
			run, _, ended := p.Take(noon)
			require.True(t, ended)
			require.Equal(t, tc.want, run.GetState())
		})
	}
}
