package entraflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/sink"
)

const redecodeHelp = `Rebuilds the typed columns of stored events from the JSON records that are stored beside them, under
the same ids and versions: run it after an upgrade whose decoder knows more fields. It may be
stopped and run again.

By default it opens the embedded ClickHouse in DATA_DIR, which must not be in use: stop "entraflow up"
first. With --dsn it works on a server, beside a running sink. A password can stand in the file that
--password-file names.`

// redecodeOptions are the flags of redecode.
type redecodeOptions struct {
	dataDir, dsn, username, passwordFile string
}

func redecodeCommand(p app.Process) *cobra.Command {
	var o redecodeOptions
	cmd := &cobra.Command{
		Use: "redecode", Short: "rebuild the typed columns of stored events from their records",
		Long: redecodeHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context(), p)
			defer stop()
			return redecode(ctx, o, p.Stdout)
		},
	}
	cmd.Flags().StringVar(&o.dataDir, "data-dir", defaultDataDir, "directory of a stopped entraflow up")
	cmd.Flags().StringVar(&o.dsn, "dsn", "", "a ClickHouse server instead: clickhouse://, http:// or https://host:port")
	cmd.Flags().StringVar(&o.username, "username", "default", "user of the server")
	cmd.Flags().StringVar(&o.passwordFile, "password-file", "", "file of the user's password")
	return cmd
}

func (o redecodeOptions) config() (clickhouse.Config, error) {
	own := DefaultConfig()
	own.DataDir = o.dataDir
	cfg := own.wired().Sink.ClickHouse
	if o.dsn == "" {
		return cfg, nil
	}
	cfg.DSN, cfg.Username = config.NewSecret(o.dsn), o.username
	if o.passwordFile == "" {
		return cfg, nil
	}
	var err error
	cfg.Password, err = config.ReadSecret(o.passwordFile)
	return cfg, err
}

func redecode(ctx context.Context, o redecodeOptions, out io.Writer) (err error) {
	cfg, err := o.config()
	if err != nil {
		return app.UsageError{Err: err}
	}
	store, err := clickhouse.Open(ctx, cfg, clickhouse.Settings{})
	if err != nil {
		return err
	}
	defer func() {
		// What was asked to stop still closes the engine in order.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, store.Close(closing))
	}()
	began := time.Now()
	options := sink.DefaultRedecodeOptions()
	options.Progress = func(progress sink.RedecodeProgress) {
		_, _ = fmt.Fprintf(out, "%s %d: %d of %d rows, %s\n", progress.Table, progress.Month, progress.Done,
			progress.Total, time.Since(began).Round(time.Second)) // progress only
	}
	result, err := sink.Redecode(ctx, store, options)
	if _, printErr := fmt.Fprintf(out, "%d rows rewritten, %d moved to another table, %d kept as they were, in %s\n",
		result.Rewritten, result.Moved, result.Kept, time.Since(began).Round(time.Millisecond)); printErr != nil {
		err = errors.Join(err, printErr)
	}
	return err
}

// interruptible returns a context that ends with the first signal.
func interruptible(ctx context.Context, p app.Process) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-p.Signals:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}
