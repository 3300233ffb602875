package entraflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/streamer"
)

const deadHelp = `Dead letters are records that could not be read and messages that could not be stored, each with its
bytes and the reason. They are in the stream DEAD and in the table dead_letters.

These commands talk to a running NATS as the user operator.`

// deadOptions are the flags of the dead commands.
type deadOptions struct {
	url, dataDir, passwordFile string
	filter                     bus.DeadLetterFilter
	since                      time.Duration
	json                       bool
}

func deadCommand(p app.Process) *cobra.Command {
	cmd := &cobra.Command{Use: "dead", Short: "list dead letters and replay them", Long: deadHelp}
	cmd.AddCommand(deadListCommand(p), deadReplayCommand(p))
	return cmd
}

func (o *deadOptions) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.url, "nats", bus.DefaultURL, "NATS server")
	flags.StringVar(&o.dataDir, "data-dir", defaultDataDir, "data directory with the credentials")
	flags.StringVar(&o.passwordFile, "password-file", "", "file of the operator's password; default: in the data directory")
	flags.StringVar(&o.filter.Service, "service", "", "only those of this service")
	flags.StringVar(&o.filter.Origin, "origin", "", "only those from this stream or hub")
	flags.StringVar(&o.filter.TenantID, "tenant", "", "only those of this tenant")
	flags.StringVar(&o.filter.Reason, "reason", "", "only those with this reason")
	flags.StringArrayVar(&o.filter.IDs, "id", nil, "only this one (repeatable)")
	flags.DurationVar(&o.since, "since", 0, "only those stored since this long ago")
}

func deadListCommand(p app.Process) *cobra.Command {
	var o deadOptions
	cmd := &cobra.Command{
		Use: "list", Short: "list dead letters, the oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context(), p)
			defer stop()
			return o.list(ctx, p.Stdout)
		},
	}
	o.add(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object a line, with the bytes as base64")
	return cmd
}

// connect connects as the operator.
func (o *deadOptions) connect(ctx context.Context) (*bus.Conn, error) {
	if o.since > 0 {
		o.filter.Since = time.Now().Add(-o.since)
	}
	path := o.passwordFile
	if path == "" {
		own := Config{Own: Own{DataDir: o.dataDir}}
		path = natsserver.PasswordFile(own.credentials(), bus.UserOperator)
	}
	password, err := config.ReadSecret(path)
	if err != nil {
		return nil, app.UsageError{Err: fmt.Errorf("%w (give --data-dir or --password-file)", err)}
	}
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.User, cfg.Password = o.url, bus.UserOperator, password
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("nobody answers: is entraflow up, and is --nats right?"))
	defer cancel()
	return bus.Connect(ctx, cfg, bus.Settings{Service: bus.UserOperator})
}

func (o *deadOptions) list(ctx context.Context, out io.Writer) error {
	conn, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	show, done := o.printer(out)
	for stored, err := range bus.ListDeadLetters(ctx, conn, o.filter) {
		if err != nil {
			return err
		}
		if err := show(stored); err != nil {
			return err
		}
	}
	return done()
}

// printer returns how a dead letter is shown, and what to call at the end.
func (o *deadOptions) printer(out io.Writer) (show func(bus.StoredDeadLetter) error, done func() error) {
	if o.json {
		return func(s bus.StoredDeadLetter) error { return printJSON(out, s) }, func() error { return nil }
	}
	const padding = 2
	w := tabwriter.NewWriter(out, 0, 0, padding, ' ', 0)
	_, _ = fmt.Fprintln(w, "STORED\tID\tSERVICE\tORIGIN\tREASON\tBYTES\tDETAIL") // Flush tells
	return func(s bus.StoredDeadLetter) error {
		size := uint64(len(s.Letter.GetRaw())) + s.Letter.GetRawBlob().GetSize()
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", s.Stored.UTC().Format(time.DateTime), s.Letter.GetId(),
			s.Letter.GetService(), s.Letter.GetOrigin(), s.Letter.GetReason(), size, s.Letter.GetDetail())
		return err
	}, w.Flush
}

func printJSON(out io.Writer, s bus.StoredDeadLetter) error {
	letter, err := protojson.Marshal(s.Letter)
	if err != nil {
		return fmt.Errorf("printing dead letter: %w", err)
	}
	// The bytes are in the letter, as base64.
	return json.NewEncoder(out).Encode(struct {
		Sequence uint64          `json:"sequence"`
		Stored   time.Time       `json:"stored"`
		Letter   json.RawMessage `json:"letter"`
	}{s.Sequence, s.Stored, letter})
}

const deadReplayHelp = `Takes dead letters again: a message goes to its stream as it was, a record of a hub is decoded as if it
had just come from its place there, with the same id and version. They stay in DEAD, so a replay may be
repeated.

Whoever can write to a hub can write any tenant id into a record: say with --allow-tenant whose records
may be taken, or "any".`

func deadReplayCommand(p app.Process) *cobra.Command {
	var o deadOptions
	var tenants []string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "replay", Short: "take dead letters again", Long: deadReplayHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context(), p)
			defer stop()
			return o.replay(ctx, tenants, dryRun, p.Stdout)
		},
	}
	o.add(cmd)
	cmd.Flags().StringSliceVar(&tenants, "allow-tenant", nil, "tenant whose records of hubs are taken, or any (repeatable)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count and do nothing")
	return cmd
}

func (o *deadOptions) replay(ctx context.Context, tenants []string, dryRun bool, out io.Writer) error {
	conn, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	publisher, err := bus.NewPublisher(conn)
	if err != nil {
		return err
	}
	defer publisher.Close(ctx) //nolint:errcheck // each publication was waited for
	replayer := streamer.Replayer{Publisher: publisher}
	for _, tenant := range tenants {
		replayer.Tenants = append(replayer.Tenants, strings.ToLower(tenant))
	}
	result, err := bus.Replay(ctx, conn, publisher, o.filter, bus.ReplayOptions{Hub: replayer.Replay, DryRun: dryRun})
	_, printErr := fmt.Fprintf(out, "%d messages and %d records taken, %d skipped, %d failed\n",
		result.Messages, result.Records, result.Skipped, result.Failed)
	return errors.Join(err, printErr)
}
