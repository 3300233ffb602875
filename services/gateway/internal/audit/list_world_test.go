package audit

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

var (
	everybody = grpcserver.Identity{Subject: "root", AllTenants: true}
	ofAAndB   = grpcserver.Identity{Subject: "ab", Tenants: []string{tenantB, tenantA}}
)

const (
	tenantA = "aaaaaaaa-0000-4000-8000-000000000001"
	tenantB = "bbbbbbbb-0000-4000-8000-000000000002"
	tenantC = "cccccccc-0000-4000-8000-000000000003"
)

// noon is when the calls of these tests begin.
func noon() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

// stored returns a connection to a store with the tables and these entries.
func stored(t *testing.T, entries ...*controlv1.AuditEntry) driver.Conn {
	t.Helper()
	store := clickhousetest.New(t)
	require.NoError(t, clickhouse.Migrate(t.Context(), store.Conn(), migrations.Files, clickhouse.MigrateOptions{
		Schema: store.Schema(migrations.Settings{EventDays: 20_000, DeadLetterDays: 20_000, AuditDays: 20_000}.Map()),
	}))
	insert(t, store.Conn(), entries...)
	return store.Conn()
}

// insert stores entries as the sink does, in a part of their own.
func insert(t *testing.T, conn driver.Conn, entries ...*controlv1.AuditEntry) {
	t.Helper()
	rows := make([]tables.Row[*controlv1.AuditEntry], 0, len(entries))
	for _, e := range entries {
		rows = append(rows, tables.Row[*controlv1.AuditEntry]{Message: e, Sequence: 1, StoredAt: time.Now()})
	}
	require.NoError(t, tables.NewInserter(conn, tables.NewAuditLog()).Insert(t.Context(), rows))
}

// entry is a call n minutes after noon with id, changed by change.
func entry(id string, n int, change ...func(*controlv1.AuditEntry)) *controlv1.AuditEntry {
	e := &controlv1.AuditEntry{
		Id: id, Time: timestamppb.New(noon().Add(time.Duration(n) * time.Minute)), Action: "DirectoryService-GetUser", Code: "OK",
		Transport: "grpc", Address: "203.0.113.9",
	}
	for _, c := range change {
		c(e)
	}
	return e
}

// serve runs the service for one caller, with the product's rules for requests.
func serve(t *testing.T, store querier, identity grpcserver.Identity, change ...func(*Config)) controlv1.AuditServiceClient {
	t.Helper()
	pages, err := token.NewCodec(config.NewSecret("secret"), "audit page")
	require.NoError(t, err)
	cfg := DefaultConfig()
	for _, c := range change {
		c(&cfg)
	}
	service := NewServer(cfg, Settings{Store: store, Tokens: pages, Metrics: NewListMetrics(telemetry.NewMetrics(nil, "test"))})
	server, err := grpcserver.New(grpcserver.DefaultConfig(), grpcserver.Settings{
		Service: "test", Logger: apptest.Settings(t).Logger, Registry: prometheus.NewRegistry(),
		Authenticator: grpcserver.StaticToken{Token: config.NewSecret("token"), Identity: identity},
		Register:      func(r grpc.ServiceRegistrar) { controlv1.RegisterAuditServiceServer(r, service) },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	<-server.Ready()
	conn, err := grpc.NewClient(server.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
			return invoke(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer token"), method, req, reply, cc, o...)
		}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return controlv1.NewAuditServiceClient(conn)
}

// list returns all pages of a list, each of at most req.page_size.
func list(t *testing.T, client controlv1.AuditServiceClient, req *controlv1.ListAuditEntriesRequest) []*controlv1.AuditEntry {
	t.Helper()
	req = proto.CloneOf(req)
	var found []*controlv1.AuditEntry
	for pages := 0; ; pages++ {
		require.Less(t, pages, 10_000, "paging does not end")
		answer, err := client.ListAuditEntries(t.Context(), req)
		require.NoError(t, err)
		if req.GetPageSize() > 0 {
			require.LessOrEqual(t, len(answer.GetAuditEntries()), int(req.GetPageSize()))
		}
		found = append(found, answer.GetAuditEntries()...)
		if answer.GetNextPageToken() == "" {
			return found
		}
		require.NotEmpty(t, answer.GetAuditEntries(), "a page must go on")
		req.PageToken = answer.GetNextPageToken()
	}
}

func ids(entries []*controlv1.AuditEntry) []string {
	var found []string
	for _, e := range entries {
		found = append(found, e.GetId())
	}
	return found
}

// newestOf returns the entries in the order of a list.
func newestOf(entries []*controlv1.AuditEntry) []*controlv1.AuditEntry {
	return slices.SortedFunc(slices.Values(entries), func(a, b *controlv1.AuditEntry) int {
		return cmp.Or(b.GetTime().AsTime().Compare(a.GetTime().AsTime()), cmp.Compare(b.GetId(), a.GetId()))
	})
}

func same(t *testing.T, want, got []*controlv1.AuditEntry) {
	t.Helper()
	require.Empty(t, gocmp.Diff(want, got, protocmp.Transform()))
}
