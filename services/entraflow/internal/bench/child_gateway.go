package bench

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/gateway"
)

// Kinds of children that are one part of the product.
const (
	// ChildBus is NATS alone.
	ChildBus = "bus"
	// ChildGateway is the gateway alone: it searches nothing.
	ChildGateway = "gateway"
)

// busEnv holds the URL of NATS for a gateway.
const busEnv = "ENTRAFLOW_BENCH_BUS"

// part runs a child that is one part of the product; false if kind is another.
func part(ctx context.Context, kind, dir string, set app.Settings, stdout io.Writer) (bool, error) {
	switch kind {
	case ChildBus:
		return true, childBus(ctx, dir, set, stdout)
	case ChildGateway:
		return true, childGateway(ctx, dir, set, stdout)
	default:
		return false, nil
	}
}

func childBus(ctx context.Context, dir string, set app.Settings, stdout io.Writer) error {
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
	if err := announce(stdout, announcement{NATS: nats.URL()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func childGateway(ctx context.Context, dir string, set app.Settings, stdout io.Writer) error {
	credentials := filepath.Join(dir, "credentials")
	password, err := config.ReadSecret(natsserver.PasswordFile(credentials, bus.UserGateway))
	if err != nil {
		return err
	}
	cfg := gateway.DefaultConfig()
	cfg.GRPC.Address, cfg.HTTP.Address = "127.0.0.1:0", ""
	// All subscribers have the same token.
	cfg.GRPC.PerCaller.MaxStreams, cfg.GRPC.PerCaller.Burst = subscribers, subscribers
	cfg.TokenFile, cfg.Seal.KeyFile = filepath.Join(credentials, "gateway.token"), filepath.Join(credentials, "seal.key")
	cfg.NATS.URL, cfg.NATS.Password = os.Getenv(busEnv), password
	// Nobody searches: the store need not be there.
	cfg.ClickHouse.DSN = config.NewSecret("clickhouse://127.0.0.1:1/entraflow")
	service, err := gateway.New(cfg, gateway.Settings{Settings: set})
	if err != nil {
		return err
	}
	return runAnnounced(ctx, service, stdout, func() announcement { return announcement{Gateway: service.Addr().String()} })
}
