package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

const (
	subscribers = 1000
	// perConnection is how many subscribers share a connection.
	perConnection = 100
	// subscribedTenants is how many tenants there are; each subscriber chooses one, and failed or other sign-ins of it.
	subscribedTenants = 5
	// published is how many events a second there are: each goes to a tenth of the subscribers.
	published = 1000
	// publishEvery is how often the events that are due are published.
	publishEvery = 2 * time.Millisecond
	// subscribeWarmUp is what does not count, subscribeFor what does.
	subscribeWarmUp, subscribeFor     = 5 * time.Second, 15 * time.Second
	clientGCPercent, clientReadBuffer = 400, 256 << 10
	// latencyStep is the resolution of the measured times, and latencySteps how many there are.
	latencyStep, latencySteps = time.Millisecond, 10_000
)

// fanOut is a measurement of Subscribe.
type fanOut struct {
	what    string
	filters int
	deliveries,
	responses uint64
	took                   time.Duration
	p50, p99, slowest, ack time.Duration
	gateway, nats, clients proc.Usage
}

// subscribing measures what is selected of Subscribe and prints a table.
func subscribing(ctx context.Context, o Options, out io.Writer) error {
	var all []fanOut
	for _, m := range []struct {
		name, what string
		own        bool
	}{{"subscribe/shared", "equal filters", false}, {"subscribe/own", "each its own filter", true}} {
		if !o.selects(m.name) {
			continue
		}
		r, err := measureFanOut(ctx, o, m.own)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", m.name, err)
		}
		r.what = m.what
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	line("\n| Subscribe, %d subscribers\t| filters\t| deliveries/s\t| events a response\t| p50\t| p99\t| slowest\t| of it PubAck p99\t| CPU gateway\t| CPU NATS\t| CPU clients\t| peak RSS gateway\t|", subscribers)
	line("| ---\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t|")
	for _, r := range all {
		cores := func(u proc.Usage) string { return fmt.Sprintf("%.0f %%", 100*u.CPU.Seconds()/r.took.Seconds()) }
		line("| %s\t| %d\t| %.0f\t| %.1f\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %d MiB\t|", r.what, r.filters,
			float64(r.deliveries)/r.took.Seconds(), float64(r.deliveries)/float64(r.responses), r.p50, r.p99, r.slowest, r.ack,
			cores(r.gateway), cores(r.nats), cores(r.clients), r.gateway.PeakRSS/mib)
	}
	return w.Flush()
}

// received counts what all subscribers get.
type received struct {
	counting  atomic.Bool
	responses atomic.Uint64
	// delivered is from when an event was published, acked how long its PubAck took.
	delivered, acked times
}

// times counts how long things took. It is safe for concurrent use.
type times struct {
	count atomic.Uint64
	steps [latencySteps]atomic.Uint64
}

func (t *times) add(took time.Duration) {
	t.count.Add(1)
	t.steps[min(max(took/latencyStep, 0), latencySteps-1)].Add(1)
}

// percentile returns the time within which the part was done.
func (t *times) percentile(part float64) time.Duration {
	want, seen := uint64(part*float64(t.count.Load())), uint64(0)
	for i := range t.steps {
		if seen += t.steps[i].Load(); seen > 0 && seen >= want {
			return time.Duration(i+1) * latencyStep
		}
	}
	return latencySteps * latencyStep
}

func (r *received) add(response *controlv1.SubscribeResponse) {
	if !r.counting.Load() || len(response.GetEvents()) == 0 {
		return
	}
	now := time.Now()
	r.responses.Add(1)
	for _, e := range response.GetEvents() {
		r.delivered.add(now.Sub(e.GetObservedAt().AsTime()))
	}
}

// filterOf is the filter of a subscriber, which may be its own.
func filterOf(n int, own bool) string {
	filter := []string{
		`event.kind == "signin" && event.sign_in.error_code != 0`, `event.kind == "signin" && event.sign_in.error_code == 0`,
	}[n/subscribedTenants%2]
	if own {
		filter += fmt.Sprintf(` && event.sign_in.app_display_name != "app %d"`, n)
	}
	return filter
}

func measureFanOut(ctx context.Context, o Options, own bool) (r fanOut, err error) {
	w, err := newFanOutWorld(ctx, o)
	if err != nil {
		return fanOut{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	// The clients are not what is measured: they shall collect their garbage less often.
	defer debug.SetGCPercent(debug.SetGCPercent(clientGCPercent))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	var got received
	filters := map[string]bool{}
	failed := make(chan error, subscribers+1)
	for n := range subscribers {
		req := &controlv1.SubscribeRequest{
			Kinds: []string{"signin"}, TenantIds: []string{numbered(1, n%subscribedTenants)}, Filter: filterOf(n, own),
		}
		filters[req.GetTenantIds()[0]+req.GetFilter()] = true
		stream, err := w.subscribe(ctx, n, req)
		if err != nil {
			return fanOut{}, err
		}
		tasks.Go(func() { failed <- got.drain(stream) })
	}
	tasks.Go(func() { failed <- w.publish(ctx, &got) })
	if err := wait(ctx, failed, subscribeWarmUp); err != nil {
		return fanOut{}, err
	}
	before, err := w.usage()
	if err != nil {
		return fanOut{}, err
	}
	began := time.Now()
	got.counting.Store(true)
	if err := wait(ctx, failed, subscribeFor); err != nil {
		return fanOut{}, err
	}
	got.counting.Store(false)
	r = fanOut{
		filters: len(filters), took: time.Since(began), deliveries: got.delivered.count.Load(), responses: got.responses.Load(),
		p50: got.delivered.percentile(0.5), p99: got.delivered.percentile(0.99), slowest: got.delivered.percentile(1),
		ack: got.acked.percentile(0.99),
	}
	after, err := w.usage()
	for i, to := range []*proc.Usage{&r.gateway, &r.nats, &r.clients} {
		*to = proc.Usage{CPU: after[i].CPU - before[i].CPU, PeakRSS: after[i].PeakRSS}
	}
	return r, err
}

// wait waits for the time; less if something fails.
func wait(ctx context.Context, failed <-chan error, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drain receives until the stream ends.
func (r *received) drain(stream grpc.ServerStreamingClient[controlv1.SubscribeResponse]) error {
	for {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("receiving: %w", err)
		}
		r.add(response)
	}
}
