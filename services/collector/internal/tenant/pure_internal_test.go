package tenant

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

func TestTailWindow(t *testing.T) {
	cfg := DefaultConfig()
	before := func(d time.Duration) time.Time { return noon.Add(-d) }
	until := func(d time.Duration) window.Set {
		return window.Set{}.Add(window.Interval{From: before(30 * 24 * time.Hour), To: before(d)})
	}
	recently := before(time.Minute)
	cases := map[string]struct {
		began, overlapRead time.Time
		seen               snapshot
		from               time.Time
		overlap            bool
	}{
		"just begun":             {began: recently, from: before(3 * time.Hour), overlap: true},
		"after the overlap":      {began: before(time.Hour), overlapRead: recently, from: before(70 * time.Minute)},
		"goes on":                {began: before(time.Hour), overlapRead: recently, seen: snapshot{readUntil: recently}, from: before(11 * time.Minute)},
		"begun after it":         {began: recently, overlapRead: recently, seen: snapshot{readUntil: before(time.Hour)}, from: before(11 * time.Minute)},
		"overlap due":            {began: before(time.Hour), overlapRead: before(15 * time.Minute), seen: snapshot{readUntil: recently}, from: before(3 * time.Hour), overlap: true},
		"meets what was read":    {began: before(time.Hour), seen: snapshot{readUntil: recently, done: until(3*time.Hour + 15*time.Minute)}, from: before(3*time.Hour + 15*time.Minute).Add(window.Step), overlap: true},
		"does not reach it":      {began: before(time.Hour), seen: snapshot{readUntil: recently, done: until(24 * time.Hour)}, from: before(3 * time.Hour), overlap: true},
		"read nearly all":        {began: before(time.Hour), seen: snapshot{readUntil: recently, done: until(time.Hour)}, from: before(3 * time.Hour), overlap: true},
		"away for hours":         {began: before(8 * time.Hour), seen: snapshot{readUntil: before(5 * time.Hour)}, from: before(5*time.Hour + 10*time.Minute), overlap: true},
		"the clock was set back": {began: noon.Add(time.Hour), overlapRead: noon.Add(time.Hour), from: noon},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			within, overlap := tailWindow(cfg, noon, tc.began, tc.overlapRead, tc.seen)
			require.Equal(t, window.Interval{From: tc.from, To: noon}, within)
			require.Equal(t, tc.overlap, overlap)
		})
	}
}

func TestEnabled(t *testing.T) {
	result := func(id entra.DataType, a probe.Availability) probe.DataTypeResult {
		return probe.DataTypeResult{ID: id, Availability: a}
	}
	confirm := func(has, not string) *controlv1.Integration {
		c := &controlv1.Confirmation{}
		if has != "" {
			c.Licences = []string{has}
		}
		if not != "" {
			c.DeniedLicences = []string{not}
		}
		return &controlv1.Integration{Confirmation: c}
	}
	failed := func(c entra.Cause) probe.DataTypeResult {
		return probe.DataTypeResult{ID: entra.Audit, Availability: probe.Failed, Cause: c}
	}
	cases := map[string]struct {
		result probe.DataTypeResult
		set    *controlv1.Integration
		want   bool
	}{
		"available":            {result(entra.Audit, probe.Available), nil, true},
		"turned off":           {result(entra.Audit, probe.Available), &controlv1.Integration{DisabledDataTypes: []string{"audit"}}, false},
		"another turned off":   {result(entra.Audit, probe.Available), &controlv1.Integration{DisabledDataTypes: []string{"provisioning"}}, true},
		"no licence":           {result(entra.RiskyUser, probe.LicenceMissing), nil, false},
		"licence confirmed":    {result(entra.RiskyUser, probe.LicenceMissing), confirm("P2", ""), true},
		"another confirmed":    {result(entra.RiskyUser, probe.LicenceMissing), confirm("P1", ""), false},
		"licence denied":       {result(entra.RiskyUser, probe.Available), confirm("", "P2"), false},
		"needs no licence":     {result(entra.Audit, probe.Available), confirm("", "P2"), true},
		"no permission":        {result(entra.Audit, probe.PermissionMissing), confirm("P2", ""), false},
		"no consent":           {result(entra.Audit, probe.ConsentMissing), nil, false},
		"refused for good":     {failed(entra.CauseBadRequest), nil, false},
		"unavailable a moment": {failed(entra.CauseTransient), nil, true},
		"throttled":            {failed(entra.CauseThrottled), nil, true},
		"no answer, turned off": {
			failed(entra.CauseNetworkTimeout), &controlv1.Integration{DisabledDataTypes: []string{"audit"}}, false,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, Enabled(tc.result, tc.set)) })
	}
}

func TestWhatFailuresMean(t *testing.T) {
	type meaning struct{ passes, less, session, refused bool }
	cases := map[entra.Cause]meaning{
		entra.CauseSecretExpired:     {session: true},
		entra.CauseConditionalAccess: {session: true},
		entra.CauseLicenceMissing:    {refused: true},
		entra.CausePermissionMissing: {refused: true},
		entra.CauseTokenRejected:     {passes: true, refused: true},
		entra.CauseThrottled:         {passes: true},
		entra.CauseSkipTokenInvalid:  {passes: true},
		entra.CauseNetworkTimeout:    {passes: true, less: true},
		entra.CauseResponseTooLarge:  {less: true},
		entra.CauseBadRequest:        {},
	}
	for cause, want := range cases {
		err := errors.Join(&entra.Error{Cause: cause})
		require.Equal(t, want, meaning{passes(err), wantsLess(err), endsSession(err), wasRefused(err)}, cause)
		require.Equal(t, string(cause), causeOf(err))
		require.Equal(t, string(cause), problemOf(err).GetCause())
	}
	require.True(t, passes(errBus))
	require.Equal(t, "stream_unavailable", problemOf(errBus).GetCause())
	require.Equal(t, "internal", problemOf(io.EOF).GetCause())
}

func TestProgress(t *testing.T) {
	now := noon
	p := newProgress(nil, []entra.DataType{entra.Audit, entra.RiskyUser}, now)
	run, changed, ended := p.take(now)
	require.True(t, changed)
	require.False(t, ended)
	require.Equal(t, controlv1.RunState_RUN_STATE_RUNNING, run.GetState())
	_, changed, _ = p.take(now)
	require.False(t, changed, "nothing is written twice")
	for second := range 20 {
		now = noon.Add(time.Duration(second+1) * time.Second)
		p.update(entra.Audit, func(d *controlv1.DataTypeProgress) {
			d.WindowsTotal, d.WindowsDone = 40, d.GetWindowsDone()+1
			d.Rows += 100
		})
		run, changed, _ = p.take(now)
		require.True(t, changed)
	}
	require.InDelta(t, 100, run.GetRowsPerSecond(), 0.1)
	require.Equal(t, now.Add(20*time.Second), run.GetEstimatedEndTime().AsTime(), "20 of 40 in 20 s")
	run, changed, _ = p.take(now.Add(time.Minute))
	require.True(t, changed, "standstill shows")
	require.Less(t, run.GetRowsPerSecond(), 40.0)

	// The next session goes on with it.
	later := now.Add(time.Hour)
	p = newProgress(run, []entra.DataType{entra.Audit}, later)
	run, _, ended = p.take(later)
	require.False(t, ended)
	audit, risky := run.GetDataTypes()[0], run.GetDataTypes()[1]
	require.EqualValues(t, 2000, audit.GetRows())
	require.EqualValues(t, 20, audit.GetWindowsTotal(), "what is left is counted again")
	require.Equal(t, controlv1.RunState_RUN_STATE_FAILED, risky.GetState(), "it cannot be collected any more")
	require.Equal(t, "nothing_to_collect", risky.GetProblem().GetCause())
	p.update(entra.Audit, func(d *controlv1.DataTypeProgress) { d.WindowsTotal += 20; d.WindowsDone += 5 })
	run, _, _ = p.take(later.Add(10 * time.Second))
	require.Equal(t, later.Add(40*time.Second), run.GetEstimatedEndTime().AsTime(), "the hour between does not count")
	p.end(entra.Audit, nil)
	run, _, ended = p.take(later.Add(11 * time.Second))
	require.True(t, ended)
	require.Equal(t, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED, run.GetState())
	require.Equal(t, run.GetDataTypes()[0].GetWindowsDone(), run.GetDataTypes()[0].GetWindowsTotal())
	require.Nil(t, run.GetEstimatedEndTime())
	require.NotNil(t, run.GetEndTime())
}

func TestAnEndHasAState(t *testing.T) {
	fail := &entra.Error{Cause: entra.CauseLicenceMissing}
	for name, tc := range map[string]struct {
		types map[entra.DataType]error
		want  controlv1.RunState
	}{
		"nothing": {nil, controlv1.RunState_RUN_STATE_FAILED},
		"all":     {map[entra.DataType]error{entra.Audit: nil, entra.RiskyUser: nil}, controlv1.RunState_RUN_STATE_SUCCEEDED},
		"some":    {map[entra.DataType]error{entra.Audit: nil, entra.RiskyUser: fail}, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED},
		"none":    {map[entra.DataType]error{entra.Audit: fail, entra.RiskyUser: fail}, controlv1.RunState_RUN_STATE_FAILED},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []entra.DataType
			for id := range tc.types {
				ids = append(ids, id)
			}
			p := newProgress(nil, ids, noon)
			for id, err := range tc.types {
				p.end(id, err)
			}
			run, _, ended := p.take(noon)
			require.True(t, ended)
			require.Equal(t, tc.want, run.GetState())
		})
	}
}

func TestHorizon(t *testing.T) {
	const day = 24 * time.Hour
	info := func(id entra.DataType) entra.DataTypeInfo {
		i, ok := entra.LookupDataType(id)
		require.True(t, ok)
		return i
	}
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	p1 := []entra.Licence{entra.LicenceP1}
	for name, tc := range map[string]struct {
		id       entra.DataType
		licences []entra.Licence
		history  time.Duration
		decided  time.Time
		want     time.Time
	}{
		"30 days":              {entra.Audit, p1, 30 * day, time.Time{}, ago(30*day + edge)},
		"7 days without":       {entra.Audit, nil, 30 * day, time.Time{}, ago(7*day + edge)},
		"less is wanted":       {entra.Audit, p1, 2 * day, time.Time{}, ago(2*day + edge)},
		"more is wanted":       {entra.SignInInteractive, p1, 300 * day, time.Time{}, ago(30*day + edge)},
		"kept for ever":        {entra.RiskyUser, p1, 30 * day, time.Time{}, beginning()},
		"decided before":       {entra.Audit, p1, 30 * day, ago(32 * day), ago(32 * day)},
		"a licence was bought": {entra.Audit, p1, 30 * day, ago(7 * day), ago(30*day + edge)},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, horizon(info(tc.id), tc.licences, tc.history, tc.decided, noon))
		})
	}
}

// grant is a budget that lets everything through.
type grant struct{}

func (grant) Acquire(context.Context, budget.Request) error { return nil }
func (grant) Throttled(budget.Request, time.Duration)       {}

type answer func() (*http.Response, error)

func (a answer) RoundTrip(*http.Request) (*http.Response, error) { return a() }

func TestASlotIsHeldForAPageAlone(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("{"), errReader{})
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
			slots := NewSlots(1)
			h := &hold{slots: slots}
			ctx := h.within(t.Context())
			m := metered{grant{}, func(budget.Request, int64) {}, func() int64 { return 0 }}
			require.NoError(t, m.Acquire(ctx, budget.Request{}))
			require.Len(t, slots, 1)
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.example/", nil)
			require.NoError(t, err)
			resp, err := pages{answer(func() (*http.Response, error) {
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
			require.Len(t, slots, tc.held)
			require.NoError(t, m.Acquire(ctx, budget.Request{}), "the next page takes the place of the one before")
			require.Len(t, slots, 1)
			h.release()
			h.release()
			require.Empty(t, slots)
		})
	}
	slots := NewSlots(1)
	slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := metered{nil, func(budget.Request, int64) {}, func() int64 { return 0 }}
	require.ErrorIs(t, m.Acquire((&hold{slots: slots}).within(ctx), budget.Request{}), context.Canceled)
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRecentForgetsTheOldest(t *testing.T) {
	r := NewRecent(4)
	seen := func(event, look string) sighting { return r.sighting(event, []byte(look)) }
	for _, event := range []string{"1", "2", "3", "4", "5"} {
		r.add([]sighting{seen(event, "a")})
	}
	require.False(t, r.unchanged(seen("1", "a")), "forgotten")
	require.True(t, r.unchanged(seen("5", "a")))
	require.False(t, r.unchanged(seen("5", "b")), "it changed")
	require.False(t, r.unchanged(seen("6", "a")), "never seen")

	// What changes back is published again: the store has what came in between.
	r.add([]sighting{seen("5", "b")})
	require.False(t, r.unchanged(seen("5", "a")))
	require.True(t, r.unchanged(seen("5", "b")))
}
