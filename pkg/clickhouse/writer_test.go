package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse"
)

// recorder is the store and the done function of a writer under test.
type recorder struct {
	mu      sync.Mutex
	batches [][]int
	bytes   []int
	errs    []error
	// hold, if not nil, is received from before each insert.
	hold chan error
	// at is when each insert began.
	at     []time.Time
	active int
	most   int
}

func (r *recorder) insert(ctx context.Context, rows []int) error {
	r.mu.Lock()
	r.at = append(r.at, time.Now())
	r.active++
	r.most = max(r.most, r.active)
	r.mu.Unlock()
	defer func() { r.mu.Lock(); r.active--; r.mu.Unlock() }()
	if r.hold == nil {
		return nil
	}
	select {
	case err := <-r.hold:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *recorder) done(_ context.Context, b clickhouse.Batch[int]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, slices.Clone(b.Rows))
	r.bytes = append(r.bytes, b.Bytes)
	r.errs = append(r.errs, b.Err)
}

func (r *recorder) rows() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Concat(r.batches...)
	slices.Sort(all)
	return all
}

// startWriter runs a writer with small bounds until the test ends.
func startWriter(t *testing.T, r *recorder, change func(*clickhouse.BatchConfig)) *clickhouse.Writer[int] {
	t.Helper()
	cfg := clickhouse.BatchConfig{MaxRows: 10, MaxBytes: 1000, MaxDelay: time.Second, Inserts: 2, Timeout: time.Minute}
	change(&cfg)
	w, err := clickhouse.NewWriter(cfg, r.insert, r.done)
	require.NoError(t, err)
	go func() {
		if err := w.Run(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { require.NoError(t, w.Close(context.WithoutCancel(t.Context()))) })
	return w
}

func add(t *testing.T, w *clickhouse.Writer[int], from, to, bytes int) {
	t.Helper()
	for n := from; n < to; n++ {
		require.NoError(t, w.Add(t.Context(), n, bytes))
	}
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func none(*clickhouse.BatchConfig) {}

func TestWriterBounds(t *testing.T) {
	one := func(c *clickhouse.BatchConfig) { c.Inserts = 1 }
	for name, tc := range map[string]struct {
		rows, bytes int
		sizes       []int
	}{
		"rows":       {25, 1, []int{10, 10, 5}},
		"bytes":      {7, 400, []int{2, 2, 2, 1}},
		"exact":      {4, 500, []int{2, 2}},
		"large rows": {3, 5000, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				w := startWriter(t, r, one)
				add(t, w, 0, tc.rows, tc.bytes)
				require.NoError(t, w.Flush(t.Context()))
				sizes := make([]int, 0, len(r.batches))
				for i, batch := range r.batches {
					sizes = append(sizes, len(batch))
					require.Equal(t, len(batch)*tc.bytes, r.bytes[i])
				}
				require.Equal(t, tc.sizes, sizes)
				require.Equal(t, upTo(tc.rows), slices.Concat(r.batches...), "in order")
			})
		})
	}
}

func TestWriterDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := startWriter(t, r, none)
		start := time.Now()
		add(t, w, 0, 3, 1)
		time.Sleep(900 * time.Millisecond) //nolint:forbidigo // fake time
		add(t, w, 3, 4, 1)
		synctest.Wait()
		require.Empty(t, r.rows())
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // fake time
		synctest.Wait()
		require.Equal(t, upTo(4), r.rows())
		require.Equal(t, time.Second, r.at[0].Sub(start), "counted from the first row")
		add(t, w, 4, 5, 1)
		time.Sleep(time.Second) //nolint:forbidigo // fake time
		synctest.Wait()
		require.Equal(t, upTo(5), r.rows())
	})
}

func TestWriterHoldsBackItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{hold: make(chan error)}
		w := startWriter(t, r, none)
		// Two batches are being inserted, a third is full: there is no room for another row.
		add(t, w, 0, 30, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorIs(t, w.Add(ctx, 30, 1), context.DeadlineExceeded)
		synctest.Wait() // orders what follows after the inserts
		require.Equal(t, 2, r.most)

		added := make(chan error)
		go func() { added <- w.Add(t.Context(), 30, 1) }()
		synctest.Wait()
		r.hold <- nil
		require.NoError(t, <-added)
		close(r.hold)
		require.NoError(t, w.Flush(t.Context()))
		require.Equal(t, upTo(31), r.rows())
	})
}

func TestWriterReportsFailedBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{hold: make(chan error)}
		w := startWriter(t, r, func(c *clickhouse.BatchConfig) { c.Inserts = 1 })
		add(t, w, 0, 20, 1)
		broken := errors.New("broken")
		r.hold <- broken
		time.Sleep(2 * time.Minute) //nolint:forbidigo // fake time: the second insert takes too long
		synctest.Wait()
		require.Equal(t, [][]int{upTo(20)[:10], upTo(20)[10:]}, r.batches)
		require.ErrorIs(t, r.errs[0], broken)
		require.ErrorIs(t, r.errs[1], context.DeadlineExceeded)
		close(r.hold)
	})
}

func TestWriterFlushWaitsForWhatWasAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{hold: make(chan error)}
		w := startWriter(t, r, none)
		require.NoError(t, w.Flush(t.Context()), "nothing to wait for")
		add(t, w, 0, 5, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, w.Flush(ctx), context.DeadlineExceeded)
		flushed := make(chan error)
		go func() { flushed <- w.Flush(t.Context()) }()
		synctest.Wait()
		add(t, w, 5, 6, 1) // after the flush began
		r.hold <- nil
		require.NoError(t, <-flushed)
		require.Equal(t, upTo(5), r.rows())
		close(r.hold)
	})
}

func TestWriterEnds(t *testing.T) {
	t.Run("close stores what was added", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			w := startWriter(t, r, none)
			add(t, w, 0, 13, 1)
			require.NoError(t, w.Close(t.Context()))
			require.Equal(t, upTo(13), r.rows())
			require.ErrorIs(t, w.Add(t.Context(), 13, 1), clickhouse.ErrWriterClosed)
			require.NoError(t, w.Close(t.Context()))
		})
	})
	t.Run("the end of the context gives rows back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{hold: make(chan error)}
			w, err := clickhouse.NewWriter(clickhouse.BatchConfig{MaxRows: 10, MaxBytes: 1000, MaxDelay: time.Second, Inserts: 1, Timeout: time.Minute}, r.insert, r.done)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- w.Run(ctx) }()
			add(t, w, 0, 15, 1)
			waiting := make(chan error)
			synctest.Wait()
			cancel()
			require.NoError(t, <-ended)
			require.Equal(t, upTo(15), r.rows())
			for _, err := range r.errs {
				require.ErrorIs(t, err, context.Canceled)
			}
			go func() { waiting <- w.Add(t.Context(), 15, 1) }()
			require.ErrorIs(t, <-waiting, clickhouse.ErrWriterClosed)
		})
	})
}

// Many callers, small batches, a store that fails now and then: every row is reported once.
func TestWriterUnderLoad(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int{}
	calls := 0
	insert := func(context.Context, []int) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%7 == 0 {
			return fmt.Errorf("insert %d", calls)
		}
		return nil
	}
	w, err := clickhouse.NewWriter(clickhouse.BatchConfig{MaxRows: 7, MaxBytes: 100, MaxDelay: time.Millisecond, Inserts: 3, Timeout: time.Minute}, insert,
		func(_ context.Context, b clickhouse.Batch[int]) {
			mu.Lock()
			defer mu.Unlock()
			for _, row := range b.Rows {
				seen[row]++
			}
		})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(t.Context()) }()
	const callers, each = 8, 2000
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for n := range each {
				if err := w.Add(t.Context(), caller*each+n, 9); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.NoError(t, w.Close(t.Context()))
	require.NoError(t, <-ended)
	require.Len(t, seen, callers*each)
	for row, times := range seen {
		require.Equal(t, 1, times, row)
	}
}

func TestBatchConfigValidate(t *testing.T) {
	require.NoError(t, clickhouse.DefaultBatchConfig().Validate())
	err := clickhouse.BatchConfig{}.Validate()
	for _, key := range []string{"max_rows", "max_bytes", "max_delay", "inserts", "timeout"} {
		require.ErrorContains(t, err, key)
	}
	_, err = clickhouse.NewWriter(clickhouse.BatchConfig{}, func(context.Context, []int) error { return nil }, nil)
	require.Error(t, err)
}
