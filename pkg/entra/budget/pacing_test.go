package budget_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// window counts like a strict server: it refuses a request if as many as the limit were let in within the
// window before it. Refused ones count, too.
type window struct {
	limit int
	width time.Duration

	mu       sync.Mutex
	times    []time.Time
	accepted int
	refused  int
}

func (w *window) ask() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for len(w.times) > 0 && now.Sub(w.times[0]) >= w.width {
		w.times = w.times[1:]
	}
	w.times = append(w.times, now)
	if len(w.times) > w.limit {
		w.refused++
		return false
	}
	w.accepted++
	return true
}

func start(t *testing.T, set budget.Settings) *budget.Budget {
	t.Helper()
	b, err := budget.New(set)
	require.NoError(t, err)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	wg.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return b
}

// load asks for ever with some workers.
func load(ctx context.Context, wg *sync.WaitGroup, b *budget.Budget, workers int, r budget.Request, done func(time.Duration)) {
	for range workers {
		wg.Go(func() {
			for {
				began := time.Now()
				if b.Acquire(ctx, r) != nil {
					return
				}
				done(time.Since(began))
			}
		})
	}
}

func memory() *memoryKV { return &memoryKV{values: map[string]stored{}} }

type stored struct {
	value    []byte
	revision uint64
}

// memoryKV is a KV bucket for tests of time; sharing_test has the real one.
type memoryKV struct {
	mu     sync.Mutex
	values map[string]stored
	writes int
	away   bool
}

var errAway = errors.New("away")

func (k *memoryKV) Get(_ context.Context, key string) ([]byte, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away {
		return nil, 0, errAway
	}
	v := k.values[key]
	return v.value, v.revision, nil
}

func (k *memoryKV) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return k.Update(ctx, key, value, 0)
}

func (k *memoryKV) Update(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away {
		return 0, errAway
	}
	if k.values[key].revision != revision {
		return 0, budget.ErrConflict
	}
	k.writes++
	k.values[key] = stored{value, revision + 1}
	return revision + 1, nil
}

func (k *memoryKV) setAway(away bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away = away
}

const (
	app, tenant = "a0000000-0000-0000-0000-000000000000", "b0000000-0000-0000-0000-000000000000"
)

func TestLimitsAreUsedAndKept(t *testing.T) {
	cases := map[string]struct {
		workload budget.Workload
		scale    float64
		limit    int
		width    time.Duration
		replicas int
		use      float64
	}{
		"reports":                           {budget.Reports, 1, 5, 10 * time.Second, 1, 0.9},
		"reports, two replicas":             {budget.Reports, 1, 5, 10 * time.Second, 2, 0.9},
		"reports, three replicas":           {budget.Reports, 1, 5, 10 * time.Second, 3, 0.9},
		"reports, scaled":                   {budget.Reports, 40, 200, 10 * time.Second, 2, 0.9},
		"identity protection":               {budget.IdentityProtection, 1, 1, time.Second, 1, 0.9},
		"identity protection, two replicas": {budget.IdentityProtection, 1, 1, time.Second, 2, 0.9},
		// It needs a unit of reports at the same moment, too.
		"sign-in activity":                   {budget.SignInActivity, 1, 10, time.Minute, 1, 0.8},
		"directory of a small tenant":        {budget.Directory, 1, 3500, 10 * time.Second, 1, 0.9},
		"directory of a small tenant, twice": {budget.Directory, 0.1, 350, 10 * time.Second, 2, 0.9},
		"intune":                             {budget.Intune, 0.1, 100, 20 * time.Second, 1, 0.9},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const windows = 12
				kv := memory()
				server := &window{limit: tc.limit, width: tc.width}
				ctx, cancel := context.WithTimeout(t.Context(), windows*tc.width)
				defer cancel()
				var wg sync.WaitGroup
				counts := make([]int, tc.replicas)
				var mu sync.Mutex
				for i := range tc.replicas {
					b := start(t, budget.Settings{KV: kv, Replica: string(rune('a' + i)), Scale: tc.scale})
					r := budget.Request{Workload: tc.workload, AppID: app, TenantID: tenant}
					load(ctx, &wg, b, 8, r, func(time.Duration) {
						server.ask()
						mu.Lock()
						counts[i]++
						mu.Unlock()
					})
				}
				wg.Wait()
				require.Zero(t, server.refused)
				require.GreaterOrEqual(t, float64(server.accepted), tc.use*float64(windows*tc.limit))
				for _, n := range counts {
					require.GreaterOrEqual(t, n, server.accepted/tc.replicas/2, "shares %v", counts)
				}
			})
		})
	}
}

func TestInteractiveGoesFirst(t *testing.T) {
	for name, replicas := range map[string]int{"same replica": 1, "another replica": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kv := memory()
				server := &window{limit: 5, width: 10 * time.Second}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				busy := start(t, budget.Settings{KV: kv, Replica: "a", Scale: 1})
				asker := busy
				if replicas == 2 {
					asker = start(t, budget.Settings{KV: kv, Replica: "b", Scale: 1})
				}
				var wg sync.WaitGroup
				r := budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant}
				load(ctx, &wg, busy, 20, r, func(time.Duration) { server.ask() })
				urgent := r
				urgent.Class = budget.Interactive
				for range 20 {
					require.NoError(t, clock.Real().Sleep(t.Context(), 7300*time.Millisecond))
					began := time.Now()
					require.NoError(t, asker.Acquire(ctx, urgent))
					server.ask()
					require.LessOrEqual(t, time.Since(began), 5*time.Second)
				}
				cancel()
				wg.Wait()
				require.Zero(t, server.refused)
			})
		})
	}
}

func TestClassesGoInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, budget.Settings{Scale: 1})
		var mu sync.Mutex
		var order []budget.Class
		var wg sync.WaitGroup
		for _, class := range []budget.Class{budget.Backfill, budget.Tail, budget.Backfill, budget.Interactive, budget.Tail, budget.Interactive} {
			wg.Go(func() {
				r := budget.Request{Workload: budget.IdentityProtection, TenantID: tenant, Class: class}
				if b.Acquire(t.Context(), r) == nil {
					mu.Lock()
					order = append(order, class)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		// The first unit may be free at once and goes to whoever is there.
		require.Len(t, order, 6)
		require.IsNonIncreasing(t, order[1:])
	})
}

func TestTenantsShareTheApplicationFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, budget.Settings{Scale: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		server := &window{limit: 122, width: 10 * time.Second}
		const tenants = 50 // 24 requests a second, of which the application may send 12
		counts := make([]int, tenants)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range tenants {
			r := budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant[:34] + string(rune('a'+i/25)) + string(rune('a'+i%25))}
			load(ctx, &wg, b, 1+i%3*4, r, func(time.Duration) {
				server.ask()
				mu.Lock()
				counts[i]++
				mu.Unlock()
			})
		}
		wg.Wait()
		require.Less(t, server.refused*100, server.accepted)
		require.Greater(t, server.accepted, 12*122*9/10)
		for _, n := range counts {
			require.InDelta(t, server.accepted/tenants, n, float64(server.accepted/tenants/3), "%v", counts)
		}
	})
}

func TestAPauseStopsEveryReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := memory()
		r := budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant}
		one := start(t, budget.Settings{KV: kv, Replica: "a", Scale: 1})
		two := start(t, budget.Settings{KV: kv, Replica: "b", Scale: 1})
		require.NoError(t, one.Acquire(t.Context(), r))
		one.Throttled(r, time.Minute)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, two.Acquire(t.Context(), r))
		require.GreaterOrEqual(t, time.Since(began), time.Minute)
		require.Less(t, time.Since(began), time.Minute+5*time.Second)
		began = time.Now()
		require.NoError(t, one.Acquire(t.Context(), r))
		require.Less(t, time.Since(began), 5*time.Second)
	})
}

func TestSharesStayWhileTheBucketIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := memory()
		server := &window{limit: 5, width: 10 * time.Second}
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
		defer cancel()
		for _, name := range []string{"a", "b"} {
			b := start(t, budget.Settings{KV: kv, Replica: name, Scale: 1})
			load(ctx, &wg, b, 8, budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant}, func(time.Duration) { server.ask() })
		}
		sleep := func(d time.Duration) { require.NoError(t, clock.Real().Sleep(t.Context(), d)) }
		sleep(2 * time.Minute)
		before := server.accepted
		kv.setAway(true)
		sleep(2 * time.Minute)
		away := server.accepted - before
		kv.setAway(false)
		wg.Wait()
		// While it is away the replicas may disagree a little about the last moment.
		require.Greater(t, away, 40)
		require.LessOrEqual(t, away, 60)
		require.LessOrEqual(t, server.refused, 3)
		require.Greater(t, server.accepted, 150)
	})
}

func TestLeasesCostNoWriteForEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := memory()
		b := start(t, budget.Settings{KV: kv, Scale: 100})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		var mu sync.Mutex
		n := 0
		load(ctx, &wg, b, 8, budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant}, func(time.Duration) {
			mu.Lock()
			n++
			mu.Unlock()
		})
		wg.Wait()
		require.Greater(t, n, 2700)
		require.Less(t, kv.writes, n/3)
	})
}

func TestACancelledRequestGivesItsUnitBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := memory()
		r := budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant}
		one := start(t, budget.Settings{KV: kv, Replica: "a", Scale: 1})
		two := start(t, budget.Settings{KV: kv, Replica: "b", Scale: 1})
		require.NoError(t, one.Acquire(t.Context(), r))
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, one.Acquire(ctx, r), context.DeadlineExceeded)
		require.NoError(t, two.Acquire(t.Context(), r))
		require.Less(t, time.Since(began), 2200*time.Millisecond)
	})
}

func TestAHugeScaleIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, budget.Settings{Scale: 1e9})
		r := budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant}
		b.Throttled(r, time.Hour)
		for range 1000 {
			require.NoError(t, b.Acquire(t.Context(), r))
		}
	})
}

func TestADirectoryGrowsWithItsTenant(t *testing.T) {
	for users, limit := range map[int]int{0: 3500, 50: 5000, 501: 8000} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, budget.Settings{Scale: 0.1})
			b.SetTenantUsers(tenant, users)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			var mu sync.Mutex
			n := 0
			load(ctx, &wg, b, 8, budget.Request{AppID: app, TenantID: tenant, Units: 2}, func(time.Duration) {
				mu.Lock()
				n++
				mu.Unlock()
			})
			wg.Wait()
			require.InEpsilon(t, 6*limit/10/2, n, 0.1)
		})
	}
}

func TestNoScaleIsNoLimit(t *testing.T) {
	b, err := budget.New(budget.Settings{})
	require.NoError(t, err)
	for range 1000 {
		require.NoError(t, b.Acquire(t.Context(), budget.Request{Workload: budget.Reports}))
	}
	b.Throttled(budget.Request{}, time.Hour)
	require.NoError(t, b.Acquire(t.Context(), budget.Request{}))
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := budget.New(budget.Settings{Scale: 0.001})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		waits := make(chan error)
		go func() {
			for {
				if err := b.Acquire(context.Background(), budget.Request{Workload: budget.Reports}); err != nil { //nolint:usetesting // it must end by itself
					waits <- err
					return
				}
			}
		}()
		synctest.Wait()
		cancel()
		require.NoError(t, <-done)
		require.ErrorIs(t, <-waits, budget.ErrStopped)
		require.ErrorIs(t, b.Acquire(t.Context(), budget.Request{}), budget.ErrStopped)
	})
}

func TestSettings(t *testing.T) {
	for _, set := range []budget.Settings{{Scale: -1}, {Margin: -0.1}, {Margin: 0.6}} {
		_, err := budget.New(set)
		require.Error(t, err)
	}
}
