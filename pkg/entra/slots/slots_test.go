package slots_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/entra/slots"
)

// grant is a budget that lets everything through.
type grant struct{}

func (grant) Acquire(context.Context, budget.Request) error { return nil }
func (grant) Throttled(budget.Request, time.Duration)       {}

type answer func() (*http.Response, error)

func (a answer) RoundTrip(*http.Request) (*http.Response, error) { return a() }

func TestASlotIsHeldForAPageAlone(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF))
	for name, tc := range map[string]struct {
		body   io.Reader
		status int
		err    error
		held   int
	}{
		"a page":        {strings.NewReader("{}"), http.StatusOK, nil, 1},
		"an error":      {strings.NewReader("{}"), http.StatusTooManyRequests, nil, 0},
		"no answer":     {nil, 0, io.ErrUnexpectedEOF, 0},
		"it breaks off": {broken, http.StatusOK, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			all := slots.New(1)
			h := all.Hold()
			ctx := h.Within(t.Context())
			m := slots.Budget{Next: grant{}}
			require.NoError(t, m.Acquire(ctx, budget.Request{}))
			require.Len(t, all, 1)
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.example/", nil)
			require.NoError(t, err)
			resp, err := slots.Transport{Next: answer(func() (*http.Response, error) {
				if tc.err != nil {
					return nil, tc.err
				}
				return &http.Response{StatusCode: tc.status, Body: io.NopCloser(tc.body)}, nil
			})}.RoundTrip(r)
			require.Equal(t, tc.err, err)
			if err == nil {
				_, _ = io.ReadAll(resp.Body)
				require.NoError(t, resp.Body.Close())
			}
			require.Len(t, all, tc.held)
			require.NoError(t, m.Acquire(ctx, budget.Request{}), "the next page takes the place of the one before")
			require.Len(t, all, 1)
			h.Release()
			h.Release()
			require.Empty(t, all)
		})
	}
	all := slots.New(1)
	all <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := slots.Budget{Waited: func(time.Duration) {}}
	require.ErrorIs(t, m.Acquire(all.Hold().Within(ctx), budget.Request{}), context.Canceled)
}
