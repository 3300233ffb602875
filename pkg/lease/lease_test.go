package lease_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lease"
)

const (
	ttl = 2 * time.Second
	// envHolder makes the test program a holder that can be frozen: URL and password of a server.
	envHolder = "LEASE_TEST_HOLDER"
)

func TestMain(m *testing.M) {
	if server := os.Getenv(envHolder); server != "" {
		if err := hold(context.Background(), server, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func short(cfg *natsserver.Config) { cfg.Topology.LeaseTTL = ttl }

func acquire(t *testing.T, conn *bus.Conn) *lease.Lease {
	t.Helper()
	l, err := lease.Acquire(t.Context(), conn, lease.Settings{Name: "work", Holder: t.Name()})
	require.NoError(t, err)
	t.Cleanup(func() { l.Release(context.Background()) }) //nolint:usetesting // the test's context has ended
	return l
}

func bucket(t *testing.T, conn *bus.Conn) jetstream.KeyValue {
	t.Helper()
	kv, err := conn.JetStream().KeyValue(t.Context(), bus.BucketCheckpoints)
	require.NoError(t, err)
	return kv
}

func TestOnlyOneHolds(t *testing.T) {
	b := bustest.New(t, short)
	conn, other := b.Connect(t, bus.UserStreamer), b.Connect(t, bus.UserStreamer)
	first := acquire(t, conn)
	require.True(t, first.Held())
	_, err := lease.TryAcquire(t.Context(), other, lease.Settings{Name: "work"})
	require.ErrorIs(t, err, lease.ErrTaken)
	free, err := lease.TryAcquire(t.Context(), other, lease.Settings{Name: "other work"})
	require.NoError(t, err)
	free.Release(t.Context())
	sink, err := lease.TryAcquire(t.Context(), b.Connect(t, bus.UserSink), lease.Settings{Name: "work"})
	require.NoError(t, err, "another service's lease is another one")
	sink.Release(t.Context())

	first.Release(t.Context())
	require.False(t, first.Held())
	<-first.Lost()
	second, err := lease.TryAcquire(t.Context(), other, lease.Settings{Name: "work"})
	require.NoError(t, err, "a lease given back is free at once")
	defer second.Release(t.Context())
	require.Greater(t, second.Revision(), first.Revision())
	first.Release(t.Context())
	require.True(t, second.Held(), "releasing twice takes nothing from the next one")
}

func TestALeaseIsKept(t *testing.T) {
	b := bustest.New(t, short)
	l := acquire(t, b.Connect(t, bus.UserStreamer))
	fence := l.Revision()
	select {
	case <-l.Lost():
		require.FailNow(t, "lost without a reason")
	case <-time.After(2 * ttl):
	}
	require.True(t, l.Held())
	require.Equal(t, fence, l.Revision(), "renewals do not change the fence")
	_, err := lease.TryAcquire(t.Context(), b.Connect(t, bus.UserStreamer), lease.Settings{Name: "work"})
	require.ErrorIs(t, err, lease.ErrTaken)
}

func TestALeaseIsLostWithTheServer(t *testing.T) {
	b := bustest.New(t, short)
	conn := b.ConnectWith(t, b.Server.Config(bus.UserStreamer), bus.Settings{Service: bus.UserStreamer})
	l := acquire(t, conn)
	began := time.Now()
	b.Server.Shutdown()
	<-l.Lost()
	require.False(t, l.Held())
	require.Less(t, time.Since(began), ttl, "long before anyone else can have it")
}

func TestALeaseIsLostToWhoeverHasIt(t *testing.T) {
	b := bustest.New(t, short)
	l := acquire(t, b.Connect(t, bus.UserStreamer))
	kv, err := b.Connect(t, bus.UserOperator).JetStream().KeyValue(t.Context(), bus.BucketLeases)
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), bus.Key(bus.UserStreamer, "work"), "someone else")
	require.NoError(t, err)
	<-l.Lost()
	require.False(t, l.Held())
}

func TestRunTakesTheLeaseAgain(t *testing.T) {
	b := bustest.New(t, short)
	conn := b.Connect(t, bus.UserStreamer)
	kv, err := b.Connect(t, bus.UserOperator).JetStream().KeyValue(t.Context(), bus.BucketLeases)
	require.NoError(t, err)
	var runs atomic.Int64
	enough := errors.New("enough")
	err = lease.Run(t.Context(), conn, lease.Settings{Name: "work"}, func(ctx context.Context, l *lease.Lease) error {
		if runs.Add(1) == 2 {
			return enough
		}
		if err := kv.Delete(ctx, bus.Key(bus.UserStreamer, "work")); err != nil { // as if it had expired
			return err
		}
		<-ctx.Done()
		assert.Equal(t, lease.ErrLost, context.Cause(ctx))
		assert.False(t, l.Held())
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.EqualValues(t, 2, runs.Load())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = lease.Run(ctx, conn, lease.Settings{Name: "work"}, func(context.Context, *lease.Lease) error { return nil })
	require.ErrorIs(t, err, context.Canceled)
}

func TestCursor(t *testing.T) {
	b := bustest.New(t, short)
	conn := b.Connect(t, bus.UserStreamer)
	kv := bucket(t, conn)
	first := acquire(t, conn)
	c, err := lease.OpenCursor(t.Context(), kv, "cursor", first)
	require.NoError(t, err)
	require.Empty(t, c.Value())
	require.NoError(t, c.Set(t.Context(), []byte("1")))
	require.NoError(t, c.Set(t.Context(), []byte("2")))
	again, err := lease.OpenCursor(t.Context(), kv, "cursor", first)
	require.NoError(t, err, "the same holder may open it again")
	require.Equal(t, "2", string(again.Value()))
	require.NoError(t, c.Set(t.Context(), []byte("3")), "and use either")
	first.Release(t.Context())
	require.ErrorIs(t, c.Set(t.Context(), []byte("4")), lease.ErrLost)

	second := acquire(t, conn)
	c, err = lease.OpenCursor(t.Context(), kv, "cursor", second)
	require.NoError(t, err)
	require.Equal(t, "3", string(c.Value()))
	_, err = lease.OpenCursor(t.Context(), kv, "cursor", first)
	require.ErrorIs(t, err, lease.ErrFenced)
	require.NoError(t, c.Set(t.Context(), []byte("5")))
	require.NoError(t, kv.Delete(t.Context(), "cursor"))
	_, err = lease.OpenCursor(t.Context(), kv, "cursor", second)
	require.NoError(t, err, "a deleted cursor starts anew")
}

// A holder that is stopped while it holds, and continues after another one took over, changes nothing.
func TestAFrozenHolderChangesNothing(t *testing.T) {
	b := bustest.New(t, short)
	conn := b.Connect(t, bus.UserStreamer)
	kv := bucket(t, conn)
	frozen := exec.CommandContext(t.Context(), os.Args[0])
	frozen.Env = append(os.Environ(), envHolder+"="+b.Server.URL()+" "+b.Server.Password(bus.UserStreamer).Reveal())
	frozen.Stderr = os.Stderr
	out, err := frozen.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, frozen.Start())
	defer frozen.Process.Kill() //nolint:errcheck // it has usually ended
	lines := bufio.NewScanner(out)
	for range 5 {
		require.True(t, lines.Scan())
		require.Contains(t, lines.Text(), "set")
	}
	require.NoError(t, frozen.Process.Signal(syscall.SIGSTOP))

	began := time.Now()
	l := acquire(t, conn)
	require.LessOrEqual(t, time.Since(began), 2*ttl)
	c, err := lease.OpenCursor(t.Context(), kv, "cursor", l)
	require.NoError(t, err)
	before, err := strconv.Atoi(string(c.Value()))
	require.NoError(t, err)
	require.Positive(t, before)
	require.NoError(t, c.Set(t.Context(), []byte("taken over")))

	require.NoError(t, frozen.Process.Signal(syscall.SIGCONT))
	var rest []string
	for lines.Scan() {
		rest = append(rest, lines.Text())
	}
	require.NoError(t, frozen.Wait())
	require.Contains(t, rest, "unfenced write refused")
	require.Contains(t, rest, "lost")
	entry, err := kv.Get(t.Context(), "cursor")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(entry.Value()), "taken over"))
	require.NoError(t, c.Set(t.Context(), []byte("goes on")))
	require.True(t, l.Held())
}

// hold is the program that is frozen: it counts in the cursor until it may not.
func hold(ctx context.Context, server string, out io.Writer) error {
	cfg := bus.DefaultConfig()
	url, password, _ := strings.Cut(server, " ")
	cfg.URL, cfg.User, cfg.Password = url, bus.UserStreamer, config.NewSecret(password)
	conn, err := bus.Connect(ctx, cfg, bus.Settings{Service: bus.UserStreamer})
	if err != nil {
		return err
	}
	defer conn.Close()
	l, err := lease.Acquire(ctx, conn, lease.Settings{Name: "work", Holder: "frozen"})
	if err != nil {
		return err
	}
	defer l.Release(ctx)
	kv, err := conn.JetStream().KeyValue(ctx, bus.BucketCheckpoints)
	if err != nil {
		return err
	}
	c, err := lease.OpenCursor(ctx, kv, "cursor", l)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := c.Set(ctx, []byte(strconv.Itoa(n)))
		if errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrFenced) {
			break
		}
		if err != nil {
			fmt.Fprintln(out, "retry")
			continue
		}
		fmt.Fprintln(out, "set", n)
	}
	// As if it had asked whether it holds the lease just before it was frozen.
	entry, err := kv.Get(ctx, "cursor")
	if err != nil {
		return err
	}
	if _, err := kv.Update(ctx, "cursor", []byte("00000000stale"), entry.Revision()-1); err != nil {
		fmt.Fprintln(out, "unfenced write refused")
	}
	if !l.Held() {
		fmt.Fprintln(out, "lost")
	}
	return nil
}
