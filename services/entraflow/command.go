package entraflow

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

const upHelp = `Runs every service in one process, with embedded NATS and ClickHouse, in one data directory.
On first start it writes credentials into DATA_DIR/credentials, readable by you alone, and it
prints where it listens. Ctrl-C stops it; what was taken is stored then, and the next start goes on
where it was.

With --simulator it makes a simulated Entra tenant of 2,000 users with 30 days of history, connects it as you
would connect yours, collects its logs, reads its directory and follows both, by Graph and by a simulated Event
Hub. --seed chooses another tenant. With --replay there is no tenant: the hub is filled from record files, one JSON
record a line, as Entra's diagnostic settings write them to a hub.`

// Command is the command line of the program.
func Command(p app.Process) *cobra.Command {
	root := &cobra.Command{
		Use:     "entraflow",
		Short:   "Open identity intelligence for Microsoft Entra ID",
		Version: app.Version(),
	}
	root.AddCommand(upCommand(p), redecodeCommand(p), deadCommand(p))
	return root
}

func upCommand(p app.Process) *cobra.Command {
	cmd := app.Command(p, app.Service[Config]{
		Name: "entraflow", Short: "run everything in one process", Long: upHelp,
		Default:  DefaultConfig,
		Sections: (*Config).Sections,
		Prepare:  prepare,
		New: func(c Config, set app.Settings) (lifecycle.Service, error) {
			return New(c, Settings{Settings: set, Stdout: p.Stdout})
		},
		Flags: []app.Flag{
			{Name: "data-dir", Key: "entraflow.data_dir", Usage: "directory of all data and credentials"},
			{Name: "simulator", Key: "entraflow.simulator", Usage: "add a simulated Event Hub and, without --replay, a simulated tenant", Bool: true},
			{Name: "seed", Key: "entraflow.seed", Usage: "choose the simulated tenant"},
			{Name: "replay", Key: "entraflow.replay", Usage: "record file or folder to feed through the simulated hub"},
			{Name: "rate", Key: "entraflow.replay_rate", Usage: "records a second of the replay, 0 as fast as can be"},
			{Name: "once", Key: "entraflow.once", Usage: "end when everything is collected or replayed, and stored", Bool: true},
			{Name: "summary", Key: "entraflow.summary", Usage: "file for a summary as JSON, with --once"},
			{Name: "gateway-address", Key: "gateway.grpc.address", Usage: "host:port of the gRPC gateway"},
			{Name: "http-address", Key: "gateway.http.address", Usage: "host:port of the gateway's HTTP, empty for none"},
			{Name: "nats-listen", Key: "entraflow.nats.listen", Usage: "host:port of NATS, empty for none"},
			{Name: "clickhouse-listen", Key: "entraflow.clickhouse.listen", Usage: "host:port of ClickHouse over HTTP, empty for none"},
		},
	})
	cmd.Use = "up"
	return cmd
}

// prepare makes the data directory and closes the admin server to who does not know its token.
func prepare(c Config, program *app.Config) error {
	if err := os.MkdirAll(c.credentials(), ownerOnly); err != nil {
		return fmt.Errorf("making data directory: %w", err)
	}
	if !program.Admin.Token.IsZero() {
		return nil
	}
	token, err := grpcserver.EnsureToken(filepath.Join(c.credentials(), "admin.token"))
	program.Admin.Token = token
	return err
}
