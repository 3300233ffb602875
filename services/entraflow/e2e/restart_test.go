package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/services/entraflow"
)

type restartSize struct {
	records int
	rate    float64 // records a second
	kills   int
}

const (
	// drainBudget is what SIGTERM may take.
	drainBudget = 25 * time.Second
	perMessage  = 20
	// killEvery is the mean time between two kills.
	killEvery = 4 * time.Second
	// most is more records than a test sends.
	most = 10_000_000
)

// TestRestartResumes starts the product on one data directory again and again: after it had nothing to do,
// after SIGTERM under load and after SIGKILL under load. It reads nothing twice that was checkpointed,
// ends cleanly when asked, and loses nothing.
func TestRestartResumes(t *testing.T) {
	t.Parallel()
	size := sizes.restart
	c := &chaos{seed: seed(t), logf: t.Logf}
	ctx, p := newProduct(t, nil, nil)
	p.withHub(ctx, t)
	b := newBooks()
	third := size.records / 3

	p.start(ctx, t)
	require.NoError(t, b.send(ctx, p.hub, load{count: third, perMessage: perMessage, again: 10}))
	require.NoError(t, p.settle(ctx))
	p.terminate(t)

	// Nothing of what was checkpointed is read again.
	p.start(ctx, t)
	require.NoError(t, b.send(ctx, p.hub, load{first: third, count: third, perMessage: perMessage}))
	require.NoError(t, p.settle(ctx))
	messages, err := p.up.metric(ctx, "entraflow_streamer_hub_messages_total")
	require.NoError(t, err)
	require.InDelta(t, (third+perMessage-1)/perMessage, messages, 0, "messages read since the restart")

	// From here on the load goes on until the last kill.
	group, working := errgroup.WithContext(ctx)
	enough := make(chan struct{})
	c.began = time.Now()
	group.Go(func() error {
		return b.send(working, p.hub, load{
			first: 2 * third, count: most, perMessage: perMessage, rate: size.rate, again: 10, until: enough,
		})
	})
	require.NoError(t, pause(ctx, time.Second))
	p.terminate(t)
	p.start(ctx, t)
	from := time.Since(c.began)
	require.NoError(t, c.kills(ctx, "product", size.kills, from, from+time.Duration(size.kills)*killEvery, p.up))
	close(enough)
	require.NoError(t, group.Wait())
	require.NoError(t, p.up.ready(ctx))
	require.NoError(t, p.settle(ctx))
	p.terminate(t)

	p.start(ctx, t)
	conn := p.queryable(t)
	requireExactly(ctx, t, conn, b)
	require.Zero(t, count(ctx, t, conn, "SELECT count() FROM dead_letters"))
	p.terminate(t)
	ids, sent := b.totals()
	t.Logf("%d records of %d ids; peak RSS %d MiB, started %d times", sent, ids, p.up.peakRSS()/mib, p.up.starts)
}

// terminate ends the product with SIGTERM: it must end by itself, with exit code 0, in its budget.
func (p *product) terminate(t *testing.T) {
	t.Helper()
	took, err := p.up.stop(drainBudget + 10*time.Second)
	require.NoError(t, err)
	require.Less(t, took, drainBudget)
	t.Logf("ended %.2f s after SIGTERM", took.Seconds())
}

// TestKilledReplayIsCompleted kills a product in the midst of its own replay, where hub, streams and store die
// together, and then replays to the end.
func TestKilledReplayIsCompleted(t *testing.T) {
	t.Parallel()
	size := sizes.restart
	c := &chaos{seed: seed(t), logf: t.Logf}
	records, b := filepath.Join(t.TempDir(), "records.ndjson"), newBooks()
	var text bytes.Buffer
	for n := range size.records {
		r := signIn(tenant, n, 0, 0)
		text.Write(append(r.raw, '\n'))
		b.enter(receipt{}, 0, r)
	}
	require.NoError(t, os.WriteFile(records, text.Bytes(), 0o600))
	ctx, p := newProduct(t, map[string]any{"simulator": true}, simulatedListeners(freeAddress(t), freeAddress(t), ""))
	plain := p.up.command.Args
	r := c.random("replay")
	for range size.kills {
		p.up.command.Args = append(slices.Clip(plain), "--replay", records, "--rate", "2000")
		p.start(ctx, t)
		require.NoError(t, pause(ctx, time.Duration(r.Int64N(int64(3*time.Second)))))
		p.up.kill()
	}
	summary := filepath.Join(t.TempDir(), "summary.json")
	p.up.command.Args = append(slices.Clip(plain), "--replay", records, "--once", "--summary", summary)
	require.NoError(t, p.up.finish(ctx))
	done := readSummary(t, summary)
	require.Equal(t, uint64(size.records), done.EventsIn, "the whole replay is read, whatever a hub before it held") //nolint:gosec // small
	require.Equal(t, uint64(size.records), done.Stored["signin.interactive"])                                        //nolint:gosec // small
	require.Zero(t, done.DeadLetters)

	p.up.command.Args = plain
	p.start(ctx, t)
	conn := p.queryable(t)
	found, err := stored(ctx, conn)
	require.NoError(t, err)
	require.Len(t, found, size.records)
	for id, want := range b.facts {
		require.Equal(t, want.sum, found[id].sum, id)
	}
	require.Zero(t, count(ctx, t, conn, "SELECT count() FROM dead_letters"))
	p.terminate(t)
}

func readSummary(t *testing.T, file string) entraflow.Summary {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var summary entraflow.Summary
	require.NoError(t, json.Unmarshal(text, &summary))
	t.Logf("summary: %+v", summary)
	return summary
}

// simulatedListeners are the sections that say where the simulator of the product listens.
func simulatedListeners(amqp, admin, graph string) map[string]any {
	return map[string]any{"simulator": map[string]any{"listen": map[string]any{"amqp": amqp, "admin": admin, "entra": graph}}}
}
