package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

const (
	searchPage    = 50
	searchClients = 4
	// searchBound is what p95 may take at most.
	searchBound = 300 * time.Millisecond
)

// searching is a measurement of SearchSignIns over what is stored.
type searching struct {
	name    string
	signIns int
	filled  filled
	// alone is by one client after the other, together by several at once.
	alone, together []searched
	product         proc.Usage
}

// searched is how long the searches of one sort took, sorted, and what they returned.
type searched struct {
	all     []time.Duration
	signIns int
	// cpu is what the product used for all of them.
	cpu time.Duration
}

// searchSort is a sort of filters. Each search has other values.
type searchSort struct {
	what   string
	filter func(r *rand.Rand) *controlv1.SignInFilter
}

func userNumber(n int) string { return fmt.Sprintf("User.%06d@contoso.example", n) }

// searchSorts are the filters measured. What they ask for is what fillStatement makes.
func searchSorts(now time.Time) []searchSort {
	const many, codes = 100, 12
	errorCodes := [codes]int64{50126, 53003, 50053, 50055, 50057, 700016, 65001, 90094, 50105, 50020, 81010, 50034}
	countries := [...]string{"DE", "US", "GB", "FR", "NL", "IN", "JP", "BR", "SE", "ES", "IT", "PL", "AT", "CH", "BE", "DK", "NO", "FI", "CZ", "PT"}
	type filter = controlv1.SignInFilter
	return []searchSort{
		{"no filter", func(*rand.Rand) *filter { return nil }},
		{"a user with many", func(r *rand.Rand) *filter { return &filter{User: userNumber(r.IntN(many))} }},
		{"a user with some", func(r *rand.Rand) *filter { return &filter{User: userNumber(many + r.IntN(searchUsers-many))} }},
		{"a user with none", func(r *rand.Rand) *filter { return &filter{User: fmt.Sprintf("nobody.%d@contoso.example", r.Uint32())} }},
		{"an application", func(r *rand.Rand) *filter {
			return &filter{App: fmt.Sprintf("22222222-0000-4000-8000-%012d", r.IntN(searchApps))}
		}},
		{"an address", func(r *rand.Rand) *filter { return &filter{Ip: address(r.IntN(searchUsers*4), "")} }},
		{"a network /24", func(r *rand.Rand) *filter { return &filter{Ip: address(r.IntN(searchUsers*4), "/24")} }},
		{"a network with none", func(r *rand.Rand) *filter { return &filter{Ip: "100." + strconv.Itoa(64+r.IntN(64)) + ".0.0/16"} }},
		{"failures by code", func(r *rand.Rand) *filter {
			return &filter{Outcome: controlv1.SignInOutcome_SIGN_IN_OUTCOME_FAILURE, ErrorCodes: []int64{errorCodes[r.IntN(codes)]}}
		}},
		{"a code with none", func(r *rand.Rand) *filter { return &filter{ErrorCodes: []int64{900_000 + r.Int64N(1000)}} }},
		{"a country", func(r *rand.Rand) *filter { return &filter{Countries: []string{countries[r.IntN(len(countries))]}} }},
		{"a country with none", func(r *rand.Rand) *filter { return &filter{Countries: []string{"A" + string(rune('U'+r.IntN(6)))}} }},
		{"a user, one day", func(r *rand.Rand) *filter {
			start := now.AddDate(0, 0, -10-r.IntN(10))
			return &filter{
				User: userNumber(r.IntN(searchUsers)), Start: timestamppb.New(start), End: timestamppb.New(start.AddDate(0, 0, 1)),
			}
		}},
		{"a small tenant, a code", func(r *rand.Rand) *filter {
			return &filter{TenantIds: []string{tenantNumber(1 + r.IntN(smallTenants))}, ErrorCodes: []int64{errorCodes[r.IntN(codes)]}}
		}},
	}
}

// address is the n-th of those that users of the large tenant have.
func address(n int, network string) string {
	low := n & 0xff
	if network != "" {
		low = 0
	}
	return fmt.Sprintf("11.%d.%d.%d%s", n>>16&0xff, n>>8&0xff, low, network)
}

func tenantNumber(n int) string { return fmt.Sprintf("0b5d4e3c-0000-4000-8000-%012d", n) }

// searches measures what is selected of SearchSignIns and prints it.
func searches(ctx context.Context, o Options, out io.Writer) error {
	for _, s := range []searching{
		{name: "search/million", signIns: o.SearchSignIns / 10}, {name: "search/full", signIns: o.SearchSignIns},
	} {
		if !o.selects(s.name) {
			continue
		}
		if err := s.measure(ctx, o); err != nil {
			return fmt.Errorf("measuring %s: %w", s.name, err)
		}
		if err := s.print(out); err != nil {
			return err
		}
	}
	return nil
}

// measure fills a store, starts the product on it and searches.
func (s *searching) measure(ctx context.Context, o Options) (err error) {
	dir := o.SearchData
	if dir == "" {
		if dir, err = os.MkdirTemp("", "entraflow-bench-"); err != nil {
			return fmt.Errorf("making folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else {
		dir = filepath.Join(dir, strconv.Itoa(s.signIns))
	}
	if s.filled, err = fill(ctx, o, dir, s.signIns); err != nil {
		return err
	}
	w := &world{dir: dir, log: o.Log}
	p, err := w.start(ctx, o, ChildRest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	token, err := config.ReadSecret(filepath.Join(dir, "credentials", "gateway.token"))
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(p.gateway, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("calling the gateway: %w", err)
	}
	defer conn.Close() //nolint:errcheck // every call has ended
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.Reveal())
	if err := s.search(ctx, p.process, controlv1.NewSignInServiceClient(conn), o.Searches); err != nil {
		return err
	}
	s.product, err = p.process.Used()
	return err
}

// fill stores sign-ins by a child that ends before the product starts: one engine at a time may have the folder.
func fill(ctx context.Context, o Options, dir string, signIns int) (done filled, err error) {
	child, err := proc.Start(ctx, proc.Command{
		Path: o.Self, Args: []string{"child", ChildFill, dir}, Env: []string{signInsEnv + "=" + strconv.Itoa(signIns)}, Log: o.Log,
	})
	if err != nil {
		return filled{}, err
	}
	if err := child.Announced(ctx, &done); err != nil {
		return filled{}, errors.Join(err, child.Stop(stopBudget))
	}
	return done, child.Wait()
}

func (s *searching) search(ctx context.Context, product *proc.Process, client controlv1.SignInServiceClient, count int) error {
	const warm = 3
	sorts := searchSorts(time.Now())
	// Once around, so that nothing is measured that happens once in the life of a product.
	for i, sort := range sorts {
		if _, err := searchTogether(ctx, client, sort, 0, uint64(i), 1, warm); err != nil {
			return err
		}
	}
	measured := func(into *[]searched, clients int) error {
		for i, sort := range sorts {
			before, err := product.Used()
			if err != nil {
				return err
			}
			one, err := searchTogether(ctx, client, sort, uint64(clients), uint64(i), clients, count)
			if err != nil {
				return err
			}
			after, err := product.Used()
			if err != nil {
				return err
			}
			one.cpu = after.CPU - before.CPU
			*into = append(*into, one)
		}
		return nil
	}
	return errors.Join(measured(&s.alone, 1), measured(&s.together, searchClients))
}

// searchTogether has clients search at once, count times in all. The seeds tell the values of one measurement from those
// of another.
func searchTogether(
	ctx context.Context, client controlv1.SignInServiceClient, sort searchSort, seed, more uint64, clients, count int,
) (searched, error) {
	parts, errs := make([]searched, clients), make([]error, clients)
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(seed<<8+uint64(i), more)) //nolint:gosec // not secret, and small
			parts[i], errs[i] = searchOften(ctx, client, sort, r, count/clients)
		})
	}
	wait.Wait()
	var sum searched
	for _, part := range parts {
		sum.all, sum.signIns = append(sum.all, part.all...), sum.signIns+part.signIns
	}
	slices.Sort(sum.all)
	return sum, errors.Join(errs...)
}

// searchOften asks for first pages, one after the other.
func searchOften(
	ctx context.Context, client controlv1.SignInServiceClient, sort searchSort, r *rand.Rand, count int,
) (searched, error) {
	var s searched
	for range count {
		began := time.Now()
		answer, err := client.SearchSignIns(ctx, &controlv1.SearchSignInsRequest{Filter: sort.filter(r), PageSize: searchPage})
		if err != nil {
			return searched{}, fmt.Errorf("searching for %s: %w", sort.what, err)
		}
		s.all = append(s.all, time.Since(began))
		s.signIns += len(answer.GetSignIns())
	}
	return s, nil
}

func (s *searching) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	line("\n%s: %d sign-ins stored in %d rows, %d parts, %d MiB; filled in %s, merged after %s; peak RSS of the product %d MiB",
		s.name, s.signIns, s.filled.Rows, s.filled.Parts, s.filled.Bytes/mib, round(s.filled.Took), round(s.filled.Settled), s.product.PeakRSS/mib)
	line("\n| SearchSignIns, first page of %d\t| sign-ins a page\t| CPU ms\t| p50\t| p95\t| max\t| p50, %[2]d at once\t| p95, %[2]d at once\t| max, %[2]d at once\t| p95 ≤ %[3]s\t|",
		searchPage, searchClients, searchBound)
	line("| ---\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---\t|")
	for i, sort := range searchSorts(time.Now()) {
		one, some := s.alone[i], s.together[i]
		verdict := "yes"
		if percentile(one.all, 0.95) > searchBound {
			verdict = "no"
		}
		count := float64(len(one.all))
		line("| %s\t| %.1f\t| %.0f\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t|", sort.what, float64(one.signIns)/count, one.cpu.Seconds()*1000/count,
			round(percentile(one.all, 0.5)), round(percentile(one.all, 0.95)), round(percentile(one.all, 1)),
			round(percentile(some.all, 0.5)), round(percentile(some.all, 0.95)), round(percentile(some.all, 1)), verdict)
	}
	return w.Flush()
}
