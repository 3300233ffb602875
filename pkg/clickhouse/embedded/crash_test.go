package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
)

// childEnv makes this test binary the process that is killed: it holds the data folder.
const childEnv = "EMBEDDED_TEST_CHILD"

const (
	childWriters = 3
	childRows    = 500
)

// runChild inserts batches into the folder until SIGTERM and writes a line to out for each one that was
// acknowledged.
func runChild(dir string, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := embedded.DefaultConfig()
	cfg.DataDir = dir
	engine, err := embedded.Open(ctx, cfg, embedded.Settings{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{"embedded:0"},
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) { return embedded.RoundTripper(engine), nil },
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS t (batch String, n UInt64, pad String) ENGINE = MergeTree ORDER BY (batch, n)"); err != nil {
		return err
	}
	var writers errgroup.Group
	for writer := range childWriters {
		writers.Go(func() error {
			for b := 0; ctx.Err() == nil; b++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), writer, b)
				// A batch under way at SIGTERM is finished: its rows were taken.
				batch, err := conn.PrepareBatch(context.WithoutCancel(ctx), "INSERT INTO t")
				if err != nil {
					return err
				}
				for n := range uint64(childRows) {
					if err := batch.Append(name, n, "some text that makes the row longer"); err != nil {
						return err
					}
				}
				if err := batch.Send(); err != nil {
					return err
				}
				if _, err := fmt.Fprintln(out, name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return writers.Wait()
}

// Every acknowledged batch is there, whole and once, however the process ended.
func TestAcknowledgedBatchesSurvive(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM} {
		self, err := os.Executable()
		require.NoError(t, err)
		child := exec.CommandContext(t.Context(), self)
		child.Env = append(os.Environ(), childEnv+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		for count := 0; lines.Scan(); count++ {
			acknowledged[lines.Text()] = true
			if count == 40+17*round {
				require.NoError(t, child.Process.Signal(sig))
			}
		}
		err = child.Wait()
		if sig == syscall.SIGTERM {
			require.NoError(t, err, "SIGTERM ends cleanly")
		} else {
			require.Error(t, err)
		}
	}
	t.Logf("%d acknowledged batches", len(acknowledged))
	require.Greater(t, len(acknowledged), 300)

	cfg := embedded.DefaultConfig()
	cfg.DataDir = dir
	engine, err := embedded.Open(t.Context(), cfg, embedded.Settings{})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close(context.WithoutCancel(t.Context()))) }()
	conn := connect(t, engine)
	rows, err := conn.Query(t.Context(), "SELECT batch, count(), uniqExact(n) FROM t GROUP BY batch")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		var count, distinct uint64
		require.NoError(t, rows.Scan(&name, &count, &distinct))
		require.EqualValues(t, childRows, count, name)
		require.EqualValues(t, childRows, distinct, name)
		delete(acknowledged, name)
	}
	require.NoError(t, rows.Err())
	require.Empty(t, acknowledged, "lost batches")
}

func TestDataFolderOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	require.True(t, bufio.NewScanner(out).Scan())
	cfg := embedded.DefaultConfig()
	cfg.DataDir = dir
	start := time.Now()
	_, err = embedded.Open(t.Context(), cfg, embedded.Settings{})
	require.ErrorIs(t, err, embedded.ErrInUse)
	require.Less(t, time.Since(start), time.Second)
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
}
