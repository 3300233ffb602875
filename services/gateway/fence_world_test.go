package gateway_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// hushed is in everything that tenantB has and that no request names.
const hushed = "hushed"

// fence is a gateway with two tenants that have the same things, and a token that opens tenantA alone.
type fence struct {
	*world
	limited *grpc.ClientConn
	secret  string            // of the token that limited has
	tokens  map[string]string // names of API tokens, by the tenants they open
}

func newFence(t *testing.T) *fence {
	t.Helper()
	f := &fence{world: newWorld(t, unbounded), tokens: map[string]string{}}
	f.connect(t)
	f.collected(t)
	f.directoryOf(t)
	for name, tenants := range map[string][]string{"b": {tenantB}, "b2": {tenantB}, "ab": {tenantA, tenantB}, "all": nil} {
		f.tokens[name] = f.tokenFor(t, &controlv1.ApiToken{
			DisplayName: hushed + " token", Role: controlv1.Role_ROLE_ADMIN, TenantIds: tenants,
		}).GetApiToken().GetName()
	}
	f.secret = f.tokenFor(t, &controlv1.ApiToken{
		Role: controlv1.Role_ROLE_ADMIN, TenantIds: []string{strings.ToUpper(tenantA)},
	}).GetSecret()
	f.limited = f.dial(t, f.secret)
	return f
}

func hubOf(tenants ...string) *controlv1.Integration {
	return &controlv1.Integration{Connection: &controlv1.Integration_EventHub{EventHub: &controlv1.EventHubConnection{
		Namespace: "ns.servicebus.windows.net", Hub: "entra", TenantIds: tenants,
	}}}
}

func stringCredential() *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ConnectionString{
		ConnectionString: "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=a2V5;EntityPath=entra",
	}}
}

// connect makes integrations: one of each tenant, and hubs of both and of any; those of B have runs and a status.
func (f *fence) connect(t *testing.T) {
	t.Helper()
	for id, i := range map[string]*controlv1.Integration{
		"first": entraOf(tenantA), "hub-a": hubOf(tenantA), "second": entraOf(tenantB), "hub-b": hubOf(tenantB),
		"hub-ab": hubOf(tenantA, tenantB), "hub-any": hubOf("any"),
	} {
		credential := secretCredential()
		if i.GetEventHub() != nil {
			credential = stringCredential()
		}
		if id != "first" && id != "hub-a" {
			i.DisplayName = hushed
		}
		_, err := controlv1.NewIntegrationServiceClient(f.conn).CreateIntegration(t.Context(), &controlv1.CreateIntegrationRequest{
			IntegrationId: id, Integration: i, Credential: credential,
		})
		require.NoError(t, err)
	}
	collector, err := runs.Open(t.Context(), f.bus.Connect(t, bus.UserCollector))
	require.NoError(t, err)
	for id, second := range map[string]int64{"r1": 1, "r2": 2} {
		_, err = collector.Create(t.Context(), &controlv1.Run{
			Name: runs.Name("second", id), State: controlv1.RunState_RUN_STATE_SUCCEEDED,
			CreateTime: &timestamppb.Timestamp{Seconds: second}, Problem: &controlv1.Problem{Detail: hushed},
		})
		require.NoError(t, err)
	}
	require.NoError(t, collector.SetStatus(t.Context(), "second", &controlv1.IntegrationStatus{Problem: &controlv1.Problem{Detail: hushed}}))
}

// collected stores sign-ins, audits and entries of the audit log of each tenant, and entries of both and of none.
func (f *fence) collected(t *testing.T) {
	t.Helper()
	var rows []tables.Row[*controlv1.AuditEntry]
	entry := func(id, tenant string, tenants ...string) {
		target := hushed
		if tenant == tenantA {
			target = "seen"
		}
		rows = append(rows, tables.Row[*controlv1.AuditEntry]{StoredAt: time.Now(), Message: &controlv1.AuditEntry{
			Id: id, Time: timestamppb.New(present()), Action: "DirectoryService-GetUser", Code: "OK",
			TenantId: tenant, TenantIds: tenants, Target: target,
		}})
	}
	entry("a1", tenantA)
	entry("b1", tenantB)
	entry("b2", tenantB)
	entry("ab", "", tenantA, tenantB)
	entry("none", "")
	require.NoError(t, tables.NewInserter(f.store.Conn(), tables.NewAuditLog()).Insert(t.Context(), rows))
	for n, r := range []record{{tenant: tenantA, ip: "203.0.113.1"}, {tenant: tenantB}, {tenant: tenantB}} {
		r.id, r.at, r.userID, r.user = recordID(n), present().Add(time.Duration(n)*time.Minute), "twin", "twin@example.com"
		if r.tenant == tenantB {
			r.app = hushed
		}
		f.insert(t, r.event(t))
		h := happening{tenant: r.tenant, id: r.id, category: "AuditLogs", at: r.at, properties: audited("seen", r.user)}
		if r.tenant == tenantB {
			h.properties = audited(hushed, r.user)
		}
		f.keep(t, h.event(t))
	}
}

// directoryOf stores the same users, groups and applications in both tenants, and in tenantB some more.
func (f *fence) directoryOf(t *testing.T) {
	t.Helper()
	c := &contoso{}
	for _, tenant := range []string{tenantA, tenantB} {
		named := "seen"
		if tenant == tenantB {
			named = hushed
		}
		from := len(c.objects)
		c.user("twin", "twin@example.com", func(u *directoryv1.User) { u.DisplayName, u.Department = named, named })
		c.group("both", nil, member("user", "twin"), member("user", "zoe"), member("group", "far"))
		c.put("application", "app", named, &directoryv1.Object{Payload: &directoryv1.Object_Application{
			Application: &directoryv1.Application{AppId: "app-app"},
		}})
		if tenant == tenantB {
			c.user("zoe", "zoe@fabrikam.com", func(u *directoryv1.User) { u.DisplayName = named })
			c.group("far", nil, member("user", "zoe"), member("user", "twin"))
			c.group("near", nil, member("user", "twin"))
			c.put("application", "far-app", named, &directoryv1.Object{Payload: &directoryv1.Object_Application{
				Application: &directoryv1.Application{AppId: "app-far"},
			}})
			c.user("zoe", "zoe@fabrikam.com", func(u *directoryv1.User) { u.DisplayName = named })
		}
		for _, o := range c.objects[from:] {
			o.TenantId, o.Raw = tenant, []byte(`{"name":"`+named+`"}`)
			if o.GetDisplayName() != "" {
				o.DisplayName = named + " " + o.GetId()
			}
		}
	}
	c.store(t, f.world)
}

// state is all that tenantB has, as the admin of everything sees it, and what was told to the collector.
func (f *fence) state(t *testing.T) []proto.Message {
	t.Helper()
	var all []proto.Message
	keep := func(m proto.Message, err error) {
		require.NoError(t, err)
		all = append(all, m)
	}
	connections, objects := controlv1.NewIntegrationServiceClient(f.conn), controlv1.NewDirectoryServiceClient(f.conn)
	keep(connections.ListIntegrations(t.Context(), &controlv1.ListIntegrationsRequest{}))
	keep(connections.ListRuns(t.Context(), &controlv1.ListRunsRequest{Parent: "integrations/second"}))
	keep(objects.SearchUsers(t.Context(), &controlv1.SearchUsersRequest{TenantIds: []string{tenantB}}))
	keep(objects.ListGroups(t.Context(), &controlv1.ListGroupsRequest{TenantIds: []string{tenantB}}))
	keep(objects.ListApplications(t.Context(), &controlv1.ListApplicationsRequest{TenantIds: []string{tenantB}}))
	keep(controlv1.NewSignInServiceClient(f.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{}))
	keep(controlv1.NewEventServiceClient(f.conn).SearchEvents(t.Context(), &controlv1.SearchEventsRequest{Kind: "audit"}))
	keep(controlv1.NewAuditServiceClient(f.conn).ListAuditEntries(t.Context(), &controlv1.ListAuditEntriesRequest{}))
	tokens, err := controlv1.NewApiTokenServiceClient(f.conn).ListApiTokens(t.Context(), &controlv1.ListApiTokensRequest{})
	for _, token := range tokens.GetApiTokens() {
		token.LastUseTime = nil
	}
	keep(tokens, err)
	commands, err := f.bus.Connect(t, bus.UserOperator).JetStream().Stream(t.Context(), "COMMANDS")
	require.NoError(t, err)
	return append(all, &controlv1.StreamReader{Name: "COMMANDS", Unread: commands.CachedInfo().State.LastSeq})
}

// sortedRows puts what takes things away behind all else.
func sortedRows(rows []fenceRow) []fenceRow {
	last := func(r fenceRow) int {
		if strings.Contains(r.method, "/Delete") || strings.Contains(r.method, "/Revoke") {
			return 1
		}
		return 0
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b fenceRow) int { return cmp.Compare(last(a), last(b)) })
	return rows
}

// eventOf is a live event; that of tenantB says hushed.
func eventOf(id, tenant string) *eventv1.Event {
	e := signIn(id, tenant)
	if tenant == tenantB {
		e.GetSignIn().UserPrincipalName = hushed
	}
	return e
}
