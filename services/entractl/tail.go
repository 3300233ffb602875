package entractl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	firstWait = 500 * time.Millisecond
	lastWait  = 30 * time.Second
)

// tailFlags are the flags of `entractl tail`.
type tailFlags struct {
	kinds, tenants        []string
	since, resume, output string
	filter                string
	max                   int
	raw                   bool
}

func newTail(c *caller) *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show events as they come",
		Long: "Shows events as they come, until Ctrl-C. When the connection breaks it connects again and goes on\n" +
			"behind the last event. At its end it prints the token that --resume goes on with.\n\n" +
			"--filter takes a CEL expression (https://cel.dev) over the event, by the names of entraflow.event.v1.Event: what\n" +
			"`-o yaml` shows. Events that it cannot be evaluated for are left out and counted.",
		Example: "  entractl tail\n" +
			"  entractl tail --kinds signin,audit --since 1h\n" +
			"  entractl tail --filter 'event.kind == \"signin\" && event.sign_in.outcome == \"failure\"'\n" +
			"  entractl tail --kinds signin --filter 'event.sign_in.location.country in [\"RU\", \"KP\"]'\n" +
			"  entractl tail --kinds audit --filter 'event.audit.activity.contains(\"role\")' --max 10 -o yaml\n" +
			"  entractl tail --kinds signin -o ndjson | jq .sign_in.ip_address",
		RunE: func(cmd *cobra.Command, _ []string) error {
			tail, err := f.tail(c)
			if err != nil {
				return err
			}
			return tail.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.kinds, "kinds", nil, "kinds of event such as signin,audit,risk_detection; all by default")
	flags.StringSliceVar(&f.tenants, "tenants", nil, "directory (tenant) ids; all by default")
	flags.StringVar(&f.filter, "filter", "", "CEL expression that must be true of an event")
	flags.StringVar(&f.since, "since", "", "begin earlier: 30m, 24h, 7d, a date or a time")
	flags.StringVar(&f.resume, "resume", "", "go on behind the place of this token")
	flags.IntVar(&f.max, "max", 0, "end after so many events; 0: never")
	flags.BoolVar(&f.raw, "raw", false, "with the record as Entra wrote it (json, yaml and ndjson)")
	flags.StringVarP(&f.output, "output", "o", string(formatTable),
		"table: a line an event; yaml: a document an event; json and ndjson: an object a line")
	complete(cmd, "output", string(formatTable), string(formatJSON), string(formatYAML), string(formatLines))
	complete(cmd, "kinds", eventKinds()...)
	complete(cmd, "filter")
	return cmd
}

// eventKinds are the kinds that shell completion offers; the bus decides which there are.
func eventKinds() []string {
	return []string{"signin", "audit", "risk_detection", "risky_user", "provisioning"}
}

// tail checks the flags.
func (f *tailFlags) tail(c *caller) (*tail, error) {
	req := &controlv1.SubscribeRequest{Kinds: f.kinds, TenantIds: f.tenants, IncludeRaw: f.raw, Filter: f.filter}
	since, err := parseTime("since", f.since, time.Now())
	switch {
	case err != nil:
		return nil, err
	case since != nil && f.resume != "":
		return nil, usageError{errors.New("--since and --resume exclude each other")}
	case since != nil:
		req.Begin = &controlv1.SubscribeRequest_StartTime{StartTime: since}
	case f.resume != "":
		req.Begin = &controlv1.SubscribeRequest_ResumeToken{ResumeToken: f.resume}
	}
	if f.max < 0 {
		return nil, usageError{fmt.Errorf("--max %d must not be negative", f.max)}
	}
	var out printer
	switch f.output {
	case string(formatTable), "line": // its name until there were others
		out = eventLines{c.Stdout, c.style()}
	case string(formatJSON), string(formatLines):
		out = lineJSON{c.Stdout}
	case string(formatYAML):
		out = &listYAML{to: c.Stdout, documents: true}
	default:
		return nil, errEventFormat(f.output)
	}
	return &tail{target: c.target, req: req, max: f.max, out: out, notes: c.Stderr}, nil
}

// tail is a subscription that outlives its connections.
type tail struct {
	target *target
	req    *controlv1.SubscribeRequest
	max    int
	out    printer
	notes  io.Writer

	printed int
	failed  uint64 // events that the filter failed for
	token   string // behind what was printed; empty before the first response
	alive   bool   // the last connection brought a response
}

var errEnough = errors.New("enough events")

func (t *tail) run(ctx context.Context) error {
	conn, err := t.target.connect()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to send
	defer t.sayResume()
	client := controlv1.NewEventServiceClient(conn)
	wait := firstWait
	for {
		err := t.follow(ctx, client)
		switch {
		case ctx.Err() != nil, errors.Is(err, errEnough):
			return nil
		case t.token == "" || !t.target.goesOn(err, t.alive):
			return t.target.explain(ctx, err)
		case t.alive:
			wait = firstWait
		}
		fmt.Fprintf(t.notes, "entractl: connection lost (%s); trying again in %s\n", clean(status.Convert(err).Message()), wait)
		if !pause(ctx, wait) {
			return nil
		}
		wait = min(2*wait, lastWait)
		conn.ResetConnectBackoff()
	}
}

// follow prints events until the stream ends.
func (t *tail) follow(ctx context.Context, client controlv1.EventServiceClient) error {
	t.alive = false
	if t.token != "" {
		t.req.Begin = &controlv1.SubscribeRequest_ResumeToken{ResumeToken: t.token}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Subscribe(ctx, t.req)
	for err == nil {
		err = t.receive(stream)
	}
	return err
}

func (t *tail) receive(stream grpc.ServerStreamingClient[controlv1.SubscribeResponse]) error {
	response, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Unavailable, "the gateway ended the stream")
	}
	if err != nil {
		return err
	}
	t.alive = true
	t.sayFilterErrors(response.GetFilterErrors())
	events := response.GetEvents()
	enough := t.max > 0 && t.printed+len(events) >= t.max
	if enough {
		events = events[:t.max-t.printed]
	}
	if err := t.out.print(events); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	t.printed += len(events)
	if len(events) == len(response.GetEvents()) {
		// A token stands for all events of its response.
		t.token = response.GetResumeToken()
	}
	if enough {
		return errEnough
	}
	return nil
}

// sayFilterErrors says at the first failure of the filter what it means, and at the end how many there were.
func (t *tail) sayFilterErrors(failed uint64) {
	if failed > 0 && t.failed == 0 {
		fmt.Fprint(t.notes, "entractl: the filter failed for some events, which are left out: does it ask for a field that not every event has?\n")
	}
	t.failed += failed
}

func (t *tail) sayResume() {
	if t.failed > 0 {
		fmt.Fprintf(t.notes, "entractl: the filter failed for %s\n", plural(t.failed, "event"))
	}
	if t.token == "" {
		return
	}
	noun := "events"
	if t.printed == 1 {
		noun = "event"
	}
	fmt.Fprintf(t.notes, "entractl: %d %s; go on with --resume %s\n", t.printed, noun, t.token)
}

func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// goesOn reports whether a stream that failed can be opened again; alive says that it was let in. A login that ended while
// it ran is exchanged when the next one opens.
func (t *target) goesOn(err error, alive bool) bool {
	ended := alive && t.at != nil && t.at.method == byOIDC && status.Code(err) == codes.Unauthenticated
	return ended || passes(err)
}

// passes reports whether connecting again may help.
func passes(err error) bool {
	s, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch s.Code() {
	case codes.Unavailable, codes.ResourceExhausted, codes.Internal, codes.Unknown, codes.Aborted, codes.DeadlineExceeded, codes.Canceled:
		return true
	default:
		return false
	}
}
