package entraflow_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/directorysync"
	"github.com/entraflow/entraflow/services/entraflow"
	"github.com/entraflow/entraflow/services/gateway"
	"github.com/entraflow/entraflow/services/simulator"
	"github.com/entraflow/entraflow/services/sink"
	"github.com/entraflow/entraflow/services/streamer"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// libchdb has threads of its own, and the SDK's glog-like opencensus worker never ends.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// once runs the product on the data directory until everything replayed is stored.
func once(t *testing.T, dataDir, replay string) entraflow.Summary {
	t.Helper()
	return runOnce(t, dataDir, func(c *entraflow.Config) { c.Replay = replay })
}

func runOnce(t *testing.T, dataDir string, change func(*entraflow.Config)) entraflow.Summary {
	t.Helper()
	cfg := entraflow.DefaultConfig()
	cfg.DataDir, cfg.Once, cfg.Simulator = dataDir, true, true
	change(&cfg)
	cfg.Summary = filepath.Join(t.TempDir(), "summary.json")
	var out bytes.Buffer
	product, err := entraflow.New(cfg, entraflow.Settings{Settings: apptest.Settings(t), Stdout: &out})
	require.NoError(t, err)
	require.NoError(t, product.Run(t.Context()))
	require.Contains(t, out.String(), "Entraflow ")
	text, err := os.ReadFile(cfg.Summary)
	require.NoError(t, err)
	var summary entraflow.Summary
	require.NoError(t, json.Unmarshal(text, &summary))
	return summary
}

// stored is how many records a run stored.
func stored(s entraflow.Summary) uint64 {
	var sum uint64
	for _, count := range records(s.Stored) {
		sum += count
	}
	return sum
}

// records are the counts of records, without those of the directory.
func records(counts map[string]uint64) map[string]uint64 {
	return maps.Collect(func(yield func(string, uint64) bool) {
		for name, count := range counts {
			if !strings.HasPrefix(name, "directory.") && !yield(name, count) {
				return
			}
		}
	})
}

func TestOnceStoresEveryRecordOfTheCorpus(t *testing.T) {
	corpus := os.Getenv("ENTRAFLOW_CORPUS")
	require.NotEmpty(t, corpus, "ENTRAFLOW_CORPUS must name the folder of real records; make test sets it")
	dataDir := t.TempDir()

	s := once(t, dataDir, filepath.Join(corpus, "eventhub"))
	require.Positive(t, s.Seconds)
	s.Seconds = 0
	want := entraflow.Summary{
		EventsIn: 40, Duplicates: 4, DeadLetters: 0,
		Stored: map[string]uint64{
			"audit": 24, "signin.interactive": 8, "signin.non_interactive": 2, "signin.service_principal": 2,
		},
	}
	require.Equal(t, want, s)
	require.Equal(t, s.EventsIn, stored(s)+s.Duplicates+s.DeadLetters)

	// The same again on the same data: the rows stay what they are, every record is a repeat.
	again := once(t, dataDir, filepath.Join(corpus, "eventhub"))
	require.Equal(t, uint64(40), again.EventsIn)
	require.Equal(t, uint64(40), again.Duplicates)
	require.Equal(t, s.Stored, again.Stored)
}

func TestOnceStoresOneOfEachCategory(t *testing.T) {
	s := once(t, t.TempDir(), filepath.Join("testdata", "categories.ndjson"))
	require.Equal(t, map[string]uint64{
		"signin.interactive": 2, "signin.non_interactive": 1, "signin.service_principal": 1, "signin.managed_identity": 1,
		"signin.adfs": 1, "audit": 1, "risk_detection": 1, "risky_user": 1, "provisioning": 1, "graph_activity": 1,
	}, s.Stored)
	require.Equal(t, uint64(11), s.EventsIn)
	require.Zero(t, s.Duplicates+s.DeadLetters)
	require.Nil(t, s.Truth, "a replay starts no tenant")
}

// A tenant is connected by the API, collected by Graph and, in part, by the hub too.
func TestOnceCollectsTheWholeSimulatedTenant(t *testing.T) {
	for _, seed := range []uint64{1, 90210} {
		dataDir := t.TempDir()
		small := func(c *entraflow.Config) {
			c.Seed, c.ThrottleScale = seed, 0
			c.Simulated.Entra.Quick.Tenant.Users, c.Simulated.Entra.Quick.Tenant.Days = 150, 8
		}
		s := runOnce(t, dataDir, small)
		require.Len(t, records(s.Truth), 8)
		for _, kind := range []string{
			"user", "group", "device", "application", "service_principal", "membership", "group_owner", "application_owner",
			"role_assignment", "conditional_access_policy", "policy", "organization", "managed_device",
		} {
			require.Positive(t, s.Truth["directory."+kind], kind)
		}
		require.Equal(t, s.Truth, s.Stored)
		require.Equal(t, s.EventsIn, stored(s)+s.Duplicates+s.DeadLetters)
		require.Zero(t, s.DeadLetters)

		text, err := os.ReadFile(filepath.Join(dataDir, "simulator-truth.json"))
		require.NoError(t, err)
		var truth struct {
			Counts    map[string]uint64 `json:"counts"`
			Incidents []json.RawMessage `json:"incidents"`
		}
		require.NoError(t, json.Unmarshal(text, &truth))
		require.Equal(t, records(s.Truth), truth.Counts)
		require.NotEmpty(t, truth.Incidents)

		// On the same data everything is asked for again, and stays what it is.
		again := runOnce(t, dataDir, small)
		require.Equal(t, again.Truth, again.Stored)
		for _, kind := range []string{"user", "membership"} {
			require.Equal(t, s.Stored["directory."+kind], again.Stored["directory."+kind])
		}

		// Another tenant in the same place is counted by itself.
		seed++
		other := runOnce(t, dataDir, small)
		require.Equal(t, other.Truth, other.Stored)
	}
}

func TestUnreadableRecordsAreCountedWithTheirReason(t *testing.T) {
	folder := t.TempDir()
	good := `{"time":"2026-11-24T12:00:00Z","category":"AuditLogs","tenantId":"t1","properties":{"id":"a1","activityDateTime":"2026-11-24T12:00:00Z","activityDisplayName":"Add user"}}`
	require.NoError(t, os.WriteFile(filepath.Join(folder, "records.ndjson"), []byte(good+"\nno json at all\n"+good+"\n"), 0o600))
	s := once(t, t.TempDir(), folder)
	require.Equal(t, uint64(3), s.EventsIn)
	require.Equal(t, uint64(1), s.Duplicates)
	require.Equal(t, uint64(1), s.DeadLetters)
	require.Equal(t, map[string]uint64{"audit": 1}, s.Stored)
	require.Len(t, s.DeadLetterReasons, 1)
	require.Equal(t, "unreadable_json", s.DeadLetterReasons[0].Reason)
	require.NotEmpty(t, s.DeadLetterReasons[0].Detail)
}

func TestNothingToReplayIsAnError(t *testing.T) {
	cfg := entraflow.DefaultConfig()
	cfg.DataDir, cfg.Once, cfg.Replay = t.TempDir(), true, t.TempDir()
	product, err := entraflow.New(cfg, entraflow.Settings{Settings: apptest.Settings(t), Stdout: &bytes.Buffer{}})
	require.NoError(t, err)
	require.ErrorContains(t, product.Run(t.Context()), "no .json, .ndjson or .jsonl file")
}

func TestCredentialsAreTheOwnersAlone(t *testing.T) {
	dataDir := t.TempDir()
	runOnce(t, dataDir, func(c *entraflow.Config) {
		c.ThrottleScale = 0
		c.Simulated.Entra.Quick.Tenant.Users, c.Simulated.Entra.Quick.Tenant.Days = 100, 2
	})
	entries, err := os.ReadDir(filepath.Join(dataDir, "credentials"))
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), entry.Name())
	}
}

// TestDeployedConfigs loads every file of deploy/config by the program it is for.
func TestDeployedConfigs(t *testing.T) {
	credentials := t.TempDir()
	for _, name := range []string{
		"nats-collector.password", "nats-directorysync.password", "nats-streamer.password", "nats-sink.password", "nats-gateway.password",
		"clickhouse.password", "clickhouse-reader.password", "gateway.token",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(credentials, name), []byte("kept-to-ourselves\n"), 0o600))
	}
	folder := filepath.Join("..", "..", "deploy", "config")
	programs := map[string]func(app.Process, []string) int{
		"entraflow.yaml": func(p app.Process, args []string) int {
			p.Args = append([]string{"up"}, args...)
			return app.Execute(t.Context(), p, entraflow.Command(p))
		},
		"simulator.yaml": func(p app.Process, args []string) int {
			p.Args = args
			return app.Execute(t.Context(), p, simulator.Command(p))
		},
		"streamer.yaml":      program(t, streamer.Program()),
		"sink.yaml":          program(t, sink.Program()),
		"gateway.yaml":       program(t, gateway.Program()),
		"collector.yaml":     program(t, collector.Program()),
		"directorysync.yaml": program(t, directorysync.Program()),
	}
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, len(programs))
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), entry.Name())
			require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "/run/credentials", credentials)), 0o600))
			var stdout, stderr bytes.Buffer
			exit := programs[entry.Name()](app.Process{Stdout: &stdout, Stderr: &stderr}, []string{"--config", file, "--check-config"})
			require.Equal(t, app.ExitClean, exit, stderr.String())
			require.NotContains(t, stdout.String(), "kept-to-ourselves")
		})
	}
}

func program[C any](t *testing.T, s app.Service[C]) func(app.Process, []string) int {
	t.Helper()
	return func(p app.Process, args []string) int {
		p.Args = args
		return app.Execute(t.Context(), p, app.Command(p, s))
	}
}
