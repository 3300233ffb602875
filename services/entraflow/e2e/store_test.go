package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// queryable opens a connection to the store, closed when the test ends.
func (w *world) queryable(t *testing.T) driver.Conn {
	t.Helper()
	password, err := config.ReadSecret(w.storePassword)
	require.NoError(t, err)
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{w.storeAddress},
		Auth: clickhouse.Auth{Database: "entraflow", Username: w.storeUser, Password: password.Reveal()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// settle waits until everything in the hub is in a stream, and everything in the streams is stored.
func (w *world) settle(ctx context.Context) error {
	err := eventually(ctx, "the hub to be read", func() (bool, error) { return w.drained(ctx) })
	if err != nil {
		return err
	}
	for _, stream := range []string{eventv1.EventStream, eventv1.DeadLetterStream} {
		if err := w.storedAll(ctx, stream); err != nil {
			return err
		}
	}
	// The sink itself may have added dead letters.
	return w.storedAll(ctx, eventv1.DeadLetterStream)
}

// drained reports whether every partition is checkpointed to its end.
func (w *world) drained(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	state, err := w.hub.state(ctx)
	if err != nil {
		return false, err
	}
	positions, err := w.positions(ctx)
	if err != nil {
		return false, err
	}
	for _, p := range state.Partitions {
		if at, ok := positions[p.ID]; p.EventsIn > 0 && (!ok || at < p.Last) {
			return false, fmt.Errorf("partition %s ends at %d and is checkpointed at %d", p.ID, p.Last, at)
		}
	}
	return true, nil
}

func (w *world) storedAll(ctx context.Context, stream string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	js := w.operator.JetStream()
	info, err := js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	return bus.Stored(ctx, js, stream, info.CachedInfo().State.LastSeq)
}

// stored reads the newest version of every sign-in.
func stored(ctx context.Context, conn driver.Conn) (map[string]fact, error) {
	rows, err := conn.Query(ctx, "SELECT id, version, MD5(raw) FROM sign_ins FINAL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]fact{}
	for rows.Next() {
		var id, sum string
		var f fact
		if err := rows.Scan(&id, &f.version, &sum); err != nil {
			return nil, err
		}
		copy(f.sum[:], sum)
		if _, twice := found[id]; twice {
			return nil, fmt.Errorf("%s is there twice", id)
		}
		found[id] = f
	}
	return found, rows.Err()
}

// requireExactly checks that the store holds what the books say, and no other event.
func requireExactly(ctx context.Context, t *testing.T, conn driver.Conn, b *books) {
	t.Helper()
	found, err := stored(ctx, conn)
	require.NoError(t, err)
	require.NoError(t, b.compare(found))
	for _, table := range []string{"audits", "risk_detections", "risky_users", "provisioning", "other_events"} {
		require.Zero(t, count(ctx, t, conn, "SELECT count() FROM "+table), table)
	}
}

func count(ctx context.Context, t *testing.T, conn driver.Conn, query string) uint64 {
	t.Helper()
	var n uint64
	require.NoError(t, conn.QueryRow(ctx, query).Scan(&n), query)
	return n
}
