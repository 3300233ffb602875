package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
)

// childEnv makes this test binary the program.
const childEnv = "CLICKHOUSE_EMBEDDED_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // this is the main of the child
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// server is a running child.
type server struct {
	process *exec.Cmd
	line    ready
}

func start(t *testing.T, dir string, args ...string) server {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, append([]string{"-data-dir", dir, "-listen", "127.0.0.1:0"}, args...)...)
	child.Env = append(os.Environ(), childEnv+"=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "no line")
	s := server{process: child}
	require.NoError(t, json.Unmarshal(lines.Bytes(), &s.line))
	require.Equal(t, child.Process.Pid, s.line.PID)
	return s
}

func (s server) connect(t *testing.T) driver.Conn {
	t.Helper()
	password, err := config.ReadSecret(s.line.PasswordFile)
	require.NoError(t, err)
	options, err := clickhouse.ParseDSN(s.line.DSN)
	require.NoError(t, err)
	options.Auth = clickhouse.Auth{Username: s.line.Username, Password: password.Reveal()}
	conn, err := clickhouse.Open(options)
	require.NoError(t, err)
	return conn
}

func insert(ctx context.Context, conn driver.Conn, name string, rows uint64) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
	if err != nil {
		return err
	}
	for n := range rows {
		if err := batch.Append(name, n); err != nil {
			return err
		}
	}
	return batch.Send()
}

func TestServerDiesUnderLoad(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	const rows = 300
	for round, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		s := start(t, dir)
		conn := s.connect(t)
		require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (batch String, n UInt64) ENGINE = MergeTree ORDER BY (batch, n)"))
		const writers = 3
		names := make(chan string, 1000)
		var left atomic.Int32
		left.Store(writers)
		for writer := range writers {
			go func() {
				for b := 0; ; b++ {
					name := fmt.Sprintf("%d-%d-%d", round, writer, b)
					if insert(t.Context(), conn, name, rows) != nil {
						break // the server is gone
					}
					names <- name
				}
				if left.Add(-1) == 0 {
					close(names)
				}
			}()
		}
		count := 0
		for name := range names {
			acknowledged[name] = true
			if count++; count == 50 {
				require.NoError(t, s.process.Process.Signal(sig))
			}
		}
		err := s.process.Wait()
		require.Equal(t, sig == syscall.SIGTERM, err == nil, "%v after %v", err, sig)
		require.NoError(t, conn.Close())
	}
	s := start(t, dir)
	conn := s.connect(t)
	var got []struct {
		Batch string `ch:"batch"`
		Count uint64 `ch:"count"`
	}
	require.NoError(t, conn.Select(t.Context(), &got, "SELECT batch, count() AS count FROM t GROUP BY batch"))
	require.NoError(t, conn.Close())
	for _, batch := range got {
		require.EqualValues(t, rows, batch.Count, batch.Batch)
		delete(acknowledged, batch.Batch)
	}
	require.Empty(t, acknowledged, "lost batches")
	require.NoError(t, s.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.process.Wait())
}

func TestTermWaitsForRunningStatement(t *testing.T) {
	s := start(t, t.TempDir())
	conn := s.connect(t)
	require.NoError(t, conn.Ping(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- conn.Exec(t.Context(), "SELECT sleepEachRow(0.1) FROM numbers(15) SETTINGS max_block_size = 1")
	}()
	require.Eventually(t, func() bool {
		var count uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query LIKE '%sleepEach%'").Scan(&count))
		return count == 2 // that and this
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, s.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.process.Wait())
	require.NoError(t, <-ended)
	require.NoError(t, conn.Close())
}

func TestServerAsksForPassword(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "-password-file", filepath.Join(dir, "secret"))
	info, err := os.Stat(filepath.Join(dir, "secret"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.line.Address+"/?query=SELECT+1", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, s.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.process.Wait())
}

func TestFlags(t *testing.T) {
	for name, args := range map[string][]string{
		"no data folder": {},
		"open to others": {"-data-dir", "x", "-listen", ":8123"},
		"other address":  {"-data-dir", "x", "-listen", "0.0.0.0:8123"},
		"unknown":        {"-data-dir", "x", "-nonsense"},
		"argument":       {"-data-dir", "x", "y"},
		"memory":         {"-data-dir", "x", "-max-memory", "1MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, run(t.Context(), args, io.Discard, io.Discard))
		})
	}
	var help bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-h"}, io.Discard, &help))
	require.Contains(t, help.String(), "-data-dir")
}
