package entractl_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	tenantID = "8b7e6c5d-1111-4222-8333-444455556666"
	clientID = "51c0aaaa-1111-4222-8333-444455556666"
	secret   = "TopS3cret~Value"
)

// integrations is an IntegrationService that keeps nothing: its answers are written by a test, its requests kept.
type integrations struct {
	controlv1.UnimplementedIntegrationServiceServer

	mu       sync.Mutex
	requests []proto.Message // those that change or test something

	saved     []*controlv1.Integration
	report    *controlv1.ConnectionReport
	testError error
	starting  int // tests that are answered by nobody
	replaced  bool
	runs      []*controlv1.Run
	watch     func(grpc.ServerStreamingServer[controlv1.WatchRunResponse]) error
	watched   atomic.Value // the name of the last run that was watched
}

func (i *integrations) keep(m proto.Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests = append(i.requests, m)
}

func (i *integrations) kept() []proto.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

func (i *integrations) find(name string) (*controlv1.Integration, error) {
	for _, one := range i.saved {
		if one.GetName() == name {
			return one, nil
		}
	}
	return nil, refuse(codes.NotFound, "there is no such integration", "list them to see which there are")
}

func (i *integrations) CreateIntegration(_ context.Context, req *controlv1.CreateIntegrationRequest) (*controlv1.CreateIntegrationResponse, error) {
	i.keep(req)
	if _, err := i.find("integrations/" + req.GetIntegrationId()); err == nil {
		return nil, refuse(codes.AlreadyExists, "an integration of this id exists already", "choose another id")
	}
	made := proto.CloneOf(req.GetIntegration())
	made.Name = "integrations/" + req.GetIntegrationId()
	return &controlv1.CreateIntegrationResponse{Integration: made}, nil
}

func (i *integrations) GetIntegration(_ context.Context, req *controlv1.GetIntegrationRequest) (*controlv1.GetIntegrationResponse, error) {
	one, err := i.find(req.GetName())
	return &controlv1.GetIntegrationResponse{Integration: one}, err
}

// ListIntegrations answers one a page, so that every listing turns pages.
func (i *integrations) ListIntegrations(_ context.Context, req *controlv1.ListIntegrationsRequest) (*controlv1.ListIntegrationsResponse, error) {
	for n, one := range i.saved {
		if req.GetPageToken() == "" || n > 0 && i.saved[n-1].GetName() == req.GetPageToken() {
			answer := &controlv1.ListIntegrationsResponse{Integrations: []*controlv1.Integration{one}}
			if n+1 < len(i.saved) {
				answer.NextPageToken = one.GetName()
			}
			return answer, nil
		}
	}
	return &controlv1.ListIntegrationsResponse{}, nil
}

func (i *integrations) UpdateIntegration(_ context.Context, req *controlv1.UpdateIntegrationRequest) (*controlv1.UpdateIntegrationResponse, error) {
	i.keep(req)
	return &controlv1.UpdateIntegrationResponse{Integration: req.GetIntegration()}, nil
}

func (i *integrations) DeleteIntegration(_ context.Context, req *controlv1.DeleteIntegrationRequest) (*controlv1.DeleteIntegrationResponse, error) {
	i.keep(req)
	return &controlv1.DeleteIntegrationResponse{}, nil
}

func (i *integrations) TestConnection(_ context.Context, req *controlv1.TestConnectionRequest) (*controlv1.TestConnectionResponse, error) {
	i.keep(req)
	if i.starting > 0 {
		i.starting--
		return nil, refuseAs(codes.Unavailable, "COLLECTOR_UNAVAILABLE", "no collector answers", "start a collector")
	}
	return &controlv1.TestConnectionResponse{Report: i.report}, i.testError
}

func (i *integrations) ResetCredentials(_ context.Context, req *controlv1.ResetCredentialsRequest) (*controlv1.ResetCredentialsResponse, error) {
	i.keep(req)
	return &controlv1.ResetCredentialsResponse{Report: i.report, Replaced: i.replaced}, nil
}

func (i *integrations) CollectNow(_ context.Context, req *controlv1.CollectNowRequest) (*controlv1.CollectNowResponse, error) {
	i.keep(req)
	return &controlv1.CollectNowResponse{Run: &controlv1.Run{Name: req.GetName() + "/runs/r1"}}, nil
}

func (i *integrations) ListRuns(_ context.Context, req *controlv1.ListRunsRequest) (*controlv1.ListRunsResponse, error) {
	return &controlv1.ListRunsResponse{Runs: i.runs[:min(len(i.runs), int(req.GetPageSize()))]}, nil
}

func (i *integrations) WatchRun(req *controlv1.WatchRunRequest, stream grpc.ServerStreamingServer[controlv1.WatchRunResponse]) error {
	i.watched.Store(req.GetName())
	return i.watch(stream)
}

func minute(n int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 28, 8, n, 0, 0, time.UTC))
}

// connected is the report of a tenant with P1 that consented to reading.
func connected() *controlv1.ConnectionReport {
	available := controlv1.Availability_AVAILABILITY_AVAILABLE
	buy := &controlv1.Problem{Cause: "licence_missing", Detail: "needs P2", Remedy: "Buy P2, or leave it."}
	return &controlv1.ConnectionReport{
		Connected: true, Headline: "Connected!", TestTime: minute(1), TenantDisplayName: "Contoso", TenantDomain: "contoso.example",
		Licences: []string{"P1"}, Permissions: []string{"AuditLog.Read.All", "Directory.Read.All"},
		DataTypes: []*controlv1.DataTypeReport{
			{DataType: "signin.interactive", Title: "Interactive sign-ins", Availability: available, Enabled: true, Permission: "AuditLog.Read.All", Licence: "P1"},
			{DataType: "audit", Title: "Directory audits", Availability: available, Enabled: true, Permission: "AuditLog.Read.All"},
			{
				DataType: "risk_detection", Title: "Risk detections", Availability: controlv1.Availability_AVAILABILITY_LICENCE_MISSING,
				Permission: "IdentityRiskEvent.Read.All", Licence: "P2", Problem: buy,
			},
			{
				DataType: "risky_user", Title: "Risky users", Availability: controlv1.Availability_AVAILABILITY_LICENCE_MISSING,
				Permission: "IdentityRiskyUser.Read.All", Licence: "P2", Problem: buy,
			},
			{
				DataType: "conditional_access", Title: "Conditional Access policies",
				Availability: controlv1.Availability_AVAILABILITY_PERMISSION_MISSING, Permission: "Policy.Read.All", Licence: "P1",
				Problem: &controlv1.Problem{Cause: "permission_missing", Remedy: "Add Policy.Read.All and consent."},
			},
		},
		Actions: []*controlv1.ActionReport{
			{Action: "log_out_user", MissingPermissions: []string{"User.RevokeSessions.All"}},
			{Action: "confirm_compromised", MissingPermissions: []string{"IdentityRiskyUser.ReadWrite.All"}, MissingLicence: "P2"},
			{Action: "reset_mfa", Allowed: true},
		},
	}
}

// refused is the report of a secret that has expired.
func refused() *controlv1.ConnectionReport {
	return &controlv1.ConnectionReport{Headline: "The client secret has expired", Problem: &controlv1.Problem{
		Cause: "secret_expired", Code: "AADSTS7000222", Detail: "The client secret has expired",
		Remedy: "Add a new secret.", RequestId: "trace-1",
	}}
}

// contoso is an integration that is collected.
func contoso() *controlv1.Integration {
	return &controlv1.Integration{
		Name: "integrations/contoso", DisplayName: "Contoso\x1b[31m", Etag: "7", DisabledDataTypes: []string{"risky_user"},
		Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
			TenantId: tenantID, ClientId: clientID, Cloud: "global", PermissionSet: controlv1.PermissionSet_PERMISSION_SET_READ_ONLY,
		}},
		Credential: &controlv1.CredentialInfo{Kind: "client_secret", SetTime: minute(0)}, UpdateTime: minute(0),
		Confirmation: &controlv1.Confirmation{Licences: []string{"P1"}},
		Status: &controlv1.IntegrationStatus{Report: connected(), UpdateTime: minute(5), DataTypes: []*controlv1.DataTypeStatus{
			{DataType: "signin.interactive", Enabled: true, CoveredFrom: minute(0), CoveredUntil: minute(4), LastSuccessTime: minute(5), Rows: 1234567},
			{DataType: "audit", Enabled: true, Stalled: true, LastSuccessTime: minute(2), Problem: &controlv1.Problem{
				Cause: "permission_missing", Code: "Authorization_RequestDenied", Detail: "The permission was taken away", Remedy: "Give consent again.",
			}},
			{DataType: "provisioning", Rows: 3},
			{DataType: "users", Enabled: true, CoveredUntil: minute(5), LastSuccessTime: minute(5), Rows: 2000},
			{DataType: "role_assignments", Enabled: true, CoveredUntil: minute(4), LastSuccessTime: minute(4), Rows: 40},
		}},
	}
}

// hub is an Event Hub that the streamer has not read yet.
func hub() *controlv1.Integration {
	return &controlv1.Integration{Name: "integrations/hub", Etag: "1", Connection: &controlv1.Integration_EventHub{
		EventHub: &controlv1.EventHubConnection{Namespace: "contoso.servicebus.windows.net", Hub: "logs", TenantIds: []string{tenantID}},
	}}
}

// runAt is a run of two data types with so many windows done of ten each.
func runAt(state controlv1.RunState, done uint32) *controlv1.Run {
	one := controlv1.RunState_RUN_STATE_RUNNING
	if state == controlv1.RunState_RUN_STATE_SUCCEEDED {
		one = state
	}
	return &controlv1.Run{
		Name: "integrations/contoso/runs/r1", Trigger: controlv1.RunTrigger_RUN_TRIGGER_INITIAL, State: state,
		CreateTime: minute(0), StartTime: minute(1), UpdateTime: minute(2), EstimatedEndTime: minute(4), RowsPerSecond: 1500.7,
		DataTypes: []*controlv1.DataTypeProgress{
			{DataType: "signin.interactive", State: one, Rows: uint64(done) * 1000, WindowsDone: done, WindowsTotal: 10, ThrottleWait: durationpb.New(12 * time.Second)},
			{DataType: "audit", State: one, Rows: uint64(done), WindowsDone: done, WindowsTotal: 10},
		},
	}
}

func succeeded() *controlv1.Run {
	run := runAt(controlv1.RunState_RUN_STATE_SUCCEEDED, 10)
	run.EndTime = minute(3)
	return run
}

func partlySucceeded() *controlv1.Run {
	run := succeeded()
	run.State = controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED
	run.DataTypes[0].Unreadable = 2
	run.DataTypes[1].State, run.DataTypes[1].Problem = controlv1.RunState_RUN_STATE_FAILED, &controlv1.Problem{
		Cause: "permission_missing", Code: "Authorization_RequestDenied", Remedy: "Give consent.",
	}
	return run
}

// sending watches runs and then ends with err.
func sending(err error, runs ...*controlv1.Run) func(grpc.ServerStreamingServer[controlv1.WatchRunResponse]) error {
	return func(stream grpc.ServerStreamingServer[controlv1.WatchRunResponse]) error {
		for _, run := range runs {
			if err := stream.Send(&controlv1.WatchRunResponse{Run: run}); err != nil {
				return err
			}
		}
		return err
	}
}
