package entractl

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var start = time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)

func TestLinesComeAtMostEveryFiveSeconds(t *testing.T) {
	var out bytes.Buffer
	l := &lines{to: &out}
	run := func(rows uint64) *controlv1.Run {
		return &controlv1.Run{State: controlv1.RunState_RUN_STATE_RUNNING, DataTypes: []*controlv1.DataTypeProgress{{Rows: rows}}}
	}
	for _, step := range []struct {
		second int
		run    *controlv1.Run // nil: a tick
		want   string
	}{
		{0, run(1), "2026-11-28T08:00:00Z  running  0/0 windows  1 row  0 rows/s\n"},
		{1, run(2), ""},
		{4, run(3), ""},
		{5, nil, "2026-11-28T08:00:05Z  running  0/0 windows  3 rows  0 rows/s\n"},
		{6, nil, ""},
		{20, nil, ""},
		{21, run(3), ""}, // nothing changed
		{22, run(4), "2026-11-28T08:00:22Z  running  0/0 windows  4 rows  0 rows/s\n"},
		{40, &controlv1.Run{State: controlv1.RunState_RUN_STATE_SUCCEEDED}, ""}, // its ending is written in full
	} {
		out.Reset()
		now := start.Add(time.Duration(step.second) * time.Second)
		if step.run != nil {
			l.show(step.run, now)
		} else {
			l.tick(now)
		}
		require.Equal(t, step.want, out.String(), step.second)
	}
}

func TestPace(t *testing.T) {
	var p pace
	add := func(second int, rows uint64, done uint32) {
		p.add(sample{start.Add(time.Duration(second) * time.Second), rows, done})
	}
	add(0, 0, 0)
	_, known := p.rate()
	require.False(t, known)
	add(0, 50, 0) // the same moment
	require.Len(t, p.samples, 1)
	add(10, 1050, 2)
	rate, known := p.rate()
	require.True(t, known)
	require.EqualValues(t, 100, rate)
	left, known := p.left(6)
	require.True(t, known)
	require.Equal(t, 20*time.Second, left)
	_, known = p.left(1) // fewer than are done
	require.False(t, known)
	for second := 20; second <= 200; second += 10 {
		add(second, 1050, 2)
	}
	require.LessOrEqual(t, len(p.samples), 8)
	rate, known = p.rate()
	require.True(t, known)
	require.Zero(t, rate)
	_, known = p.left(6)
	require.False(t, known)
}

func TestNumbersAndSpans(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		require.Equal(t, want, count(n))
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 45 * time.Second: "45s", 3*time.Minute + 4*time.Second: "3m04s",
		2*time.Hour + 5*time.Minute: "2h05m", 76 * time.Hour: "3d4h",
	} {
		require.Equal(t, want, span(d))
	}
}
