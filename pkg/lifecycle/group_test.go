package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken")

// part is a service that records what happens to it.
type part struct {
	name  string
	log   *journal
	ready chan struct{}
	warm  time.Duration               // from Run to ready
	work  time.Duration               // ends by itself after this, 0 never
	drain time.Duration               // needs this long to drain
	fail  error                       // returned
	run   func(context.Context) error // replaces all of it
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) part(name string) *part {
	return &part{name: name, log: j, ready: make(chan struct{})}
}

func (p *part) Name() string           { return p.name }
func (p *part) Ready() <-chan struct{} { return p.ready }

func (p *part) Run(ctx context.Context) error {
	if p.run != nil {
		return p.run(ctx)
	}
	p.log.add("start " + p.name)
	if !wait(ctx, p.warm) {
		return nil
	}
	close(p.ready)
	p.log.add("ready " + p.name)
	if p.work == 0 {
		<-ctx.Done()
	}
	wait(ctx, p.work)
	drain, cancel := lifecycle.Draining(ctx)
	defer cancel()
	if !wait(drain, p.drain) {
		return context.Cause(drain)
	}
	p.log.add("stop " + p.name)
	return p.fail
}

// wait reports whether d passed before ctx was done.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func TestGroupStartsRightToLeftAndStopsLeftToRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		parts := []*part{log.part("streamer"), log.part("bus"), log.part("sink")}
		for _, p := range parts {
			p.warm, p.drain = time.Second, 2*time.Second
		}
		group := lifecycle.NewGroup(lifecycle.DefaultDrain, parts[0], parts[1], parts[2])
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		began := time.Now()
		go func() { done <- group.Run(ctx) }()

		<-group.Ready()
		require.Equal(t, 3*time.Second, time.Since(began))
		stop()
		require.NoError(t, <-done)
		require.Equal(t, 9*time.Second, time.Since(began))
		require.Empty(t, cmp.Diff([]string{
			"start sink", "ready sink", "start bus", "ready bus", "start streamer", "ready streamer",
			"stop streamer", "stop bus", "stop sink",
		}, log.lines))
		require.ErrorIs(t, group.Run(ctx), lifecycle.ErrReused)
	})
}

func TestGroupStopsWhatWasStartedWhenAPartNeverGetsReady(t *testing.T) {
	cases := map[string]struct {
		middle func(*part)
		want   string
	}{
		"asked to stop": {func(p *part) { p.warm = time.Hour }, ""},
		"fails first": {func(p *part) {
			p.run = func(context.Context) error { return errBroken }
		}, "bus: broken"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &journal{}
				left, middle, right := log.part("streamer"), log.part("bus"), log.part("sink")
				tc.middle(middle)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := lifecycle.NewGroup(time.Second, left, middle, right).Run(ctx)
				requireText(t, tc.want, err)
				require.NotContains(t, log.lines, "start streamer")
				require.Contains(t, log.lines, "stop sink")
			})
		})
	}
}

func TestAFailureStopsAll(t *testing.T) {
	cases := map[string]struct {
		set  func(left, right *part)
		want string
	}{
		"error": {func(_, right *part) { right.work, right.fail = time.Second, errBroken }, "sink: broken"},
		"both": {func(left, right *part) {
			left.fail = errBroken
			right.work, right.fail = time.Second, errBroken
		}, "streamer: broken\nsink: broken"},
		"ends": {func(left, _ *part) { left.work = time.Second }, "streamer: ended without being asked to"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &journal{}
				left, right := log.part("streamer"), log.part("sink")
				tc.set(left, right)
				err := lifecycle.NewGroup(time.Minute, left, right).Run(t.Context())
				requireText(t, tc.want, err)
				require.Contains(t, log.lines, "stop streamer")
				require.Contains(t, log.lines, "stop sink")
			})
		})
	}
}

func TestAPanicBecomesAnErrorWithItsStack(t *testing.T) {
	p := (&journal{}).part("sink")
	p.run = func(context.Context) error { panic("boom") }
	err := lifecycle.NewGroup(time.Minute, p).Run(t.Context())
	require.ErrorContains(t, err, "sink: panic: boom\n")
	require.ErrorContains(t, err, "group_test.go")
}

func TestAllShareOneDrainBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		left, middle, right := log.part("streamer"), log.part("bus"), log.part("sink")
		left.drain, middle.drain, right.drain = 6*time.Second, 6*time.Second, time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := lifecycle.NewGroup(10*time.Second, left, middle, right).Run(ctx)
		require.Equal(t, 70*time.Second, time.Since(began))
		require.ErrorIs(t, err, lifecycle.ErrDrainBudget)
		requireText(t, "bus: drain budget exceeded\nsink: drain budget exceeded", err)
	})
}

func TestADeafServiceIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		deaf, right, release := log.part("streamer"), log.part("sink"), make(chan struct{})
		deaf.run = func(context.Context) error {
			close(deaf.ready)
			<-release
			return nil
		}
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := lifecycle.NewGroup(10*time.Second, deaf, right).Run(ctx)
		require.Equal(t, 71*time.Second, time.Since(began))
		requireText(t, "streamer: drain budget exceeded", err)
		require.Contains(t, log.lines, "stop sink")
	})
}

func TestAGroupInsideAGroupSharesTheOuterBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		inner, outer := log.part("sink"), log.part("up")
		inner.drain = time.Hour
		outer.run = func(ctx context.Context) error {
			close(outer.ready)
			return lifecycle.NewGroup(time.Hour, inner).Run(ctx)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := lifecycle.NewGroup(5*time.Second, outer).Run(ctx)
		requireText(t, "up: sink: drain budget exceeded", err)
	})
}

func TestDrainingOutsideAGroupEndsAfterTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		drain, cancel := lifecycle.Draining(ctx)
		defer cancel()
		require.True(t, wait(drain, time.Hour))
		stop()
		began := time.Now()
		<-drain.Done()
		require.Equal(t, lifecycle.DefaultDrain, time.Since(began))
		require.ErrorIs(t, context.Cause(drain), lifecycle.ErrDrainBudget)
	})
}

func requireText(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.EqualError(t, err, want)
}
