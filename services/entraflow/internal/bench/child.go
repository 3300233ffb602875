package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/services/entraflow"
	"github.com/entraflow/entraflow/services/streamer"
)

// Kinds of children.
const (
	// ChildStreamer is NATS and the streamer in one process.
	ChildStreamer = "streamer"
	// ChildProduct is the whole product in one process.
	ChildProduct = "product"
	// ChildRest is the product but for those who read tenants.
	ChildRest = "rest"
	// ChildFill stores sign-ins in the folder of a product that does not run, and ends.
	ChildFill = "fill"
)

// connectionEnv holds the hub's connection string for a child.
const connectionEnv = "ENTRAFLOW_BENCH_CONNECTION"

// signInsEnv is how many sign-ins a child fills a store with.
const signInsEnv = "ENTRAFLOW_BENCH_SIGN_INS"

// benchRate is how many calls a second the gateway takes of a caller: the benchmark is one, and faster than a person.
const benchRate = 10_000

// announcement is the line by which a child tells where it listens.
type announcement struct {
	NATS       string `json:"nats"`
	ClickHouse string `json:"clickhouse"`
	Gateway    string `json:"gateway"`
}

// Child is the main of a child of the benchmark: it runs until SIGTERM, or until a store is filled.
func Child(ctx context.Context, kind, dir string, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	set := app.Settings{
		Logger:   slog.New(slog.NewJSONHandler(stderr, nil)),
		Registry: prometheus.NewRegistry(),
		Version:  "bench", Drain: lifecycle.DefaultDrain,
	}
	hub := streamer.DefaultHub()
	hub.Integration, hub.Tenants = "bench", []string{tenant}
	hub.EventHub, hub.ConnectionString = hubName, config.NewSecret(os.Getenv(connectionEnv))
	if ok, err := part(ctx, kind, dir, set, stdout); ok {
		return err
	}
	switch kind {
	case ChildStreamer:
		return childStreamer(ctx, dir, hub, set, stdout)
	case ChildFill:
		count, err := strconv.Atoi(os.Getenv(signInsEnv))
		if err != nil {
			return fmt.Errorf("reading %s: %w", signInsEnv, err)
		}
		return childFill(ctx, dir, count, stdout)
	case ChildRest:
		return childProduct(ctx, dir, set, stdout, func(c *entraflow.Config) { c.Elsewhere = []string{bus.UserCollector, bus.UserDirectorySync} })
	default:
		return childProduct(ctx, dir, set, stdout, func(c *entraflow.Config) { c.Streamer.Hubs = []streamer.HubConfig{hub} })
	}
}

func childStreamer(ctx context.Context, dir string, hub streamer.HubConfig, set app.Settings, stdout io.Writer) error {
	cfg := natsserver.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	nats, err := natsserver.New(cfg, natsserver.Settings{
		Store: filepath.Join(dir, "nats"), Credentials: filepath.Join(dir, "credentials"), Logger: set.Logger,
	})
	if err != nil {
		return err
	}
	if err := nats.Start(ctx); err != nil {
		return err
	}
	defer nats.Shutdown()
	streaming := streamer.DefaultConfig()
	streaming.NATS, streaming.Hubs = nats.Config(bus.UserStreamer), []streamer.HubConfig{hub}
	service, err := streamer.New(streaming, streamer.Settings{Settings: set, InProcess: nats})
	if err != nil {
		return err
	}
	return runAnnounced(ctx, service, stdout, func() announcement { return announcement{NATS: nats.URL()} })
}

func childProduct(ctx context.Context, dir string, set app.Settings, stdout io.Writer, change func(*entraflow.Config)) error {
	cfg := entraflow.DefaultConfig()
	cfg.DataDir = dir
	cfg.NATS.Listen, cfg.ClickHouse.Listen, cfg.Gateway.GRPC.Address = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Gateway.HTTP.Address = ""
	cfg.Gateway.GRPC.PerCaller.Rate = benchRate
	change(&cfg)
	product, err := entraflow.New(cfg, entraflow.Settings{Settings: set, Stdout: io.Discard})
	if err != nil {
		return err
	}
	return runAnnounced(ctx, product, stdout, func() announcement {
		at := product.Addresses()
		return announcement{NATS: at.NATS, ClickHouse: at.ClickHouse, Gateway: at.Gateway}
	})
}

// runAnnounced runs the service and announces it once it is ready.
func runAnnounced(ctx context.Context, s lifecycle.Service, stdout io.Writer, addresses func() announcement) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-lifecycle.Ready(s):
	case err := <-ended:
		return err
	}
	if err := announce(stdout, addresses()); err != nil {
		return err
	}
	return <-ended
}

func announce(stdout io.Writer, at announcement) error {
	if err := json.NewEncoder(stdout).Encode(at); err != nil {
		return fmt.Errorf("announcing: %w", err)
	}
	return nil
}
