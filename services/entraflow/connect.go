package entraflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// progressInterval is how often progress is printed.
	progressInterval = 5 * time.Second
	// testPatience is how long somebody who tests connections is waited for, testPause how long between two tries.
	testPatience = 30 * time.Second
	testPause    = 200 * time.Millisecond
)

// connect connects the simulated tenant as a user would: it tests the connection, saves the integration and has it
// collected, all by the API. With Once it waits until everything is collected.
func (e *Entraflow) connect(ctx context.Context, s *services) error {
	if s.tenant == nil {
		return nil
	}
	client, closer, err := e.client()
	if err != nil {
		return err
	}
	defer closer.Close()
	token, err := config.ReadSecret(e.cfg.Gateway.TokenFile)
	if err != nil {
		return err
	}
	called := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.Reveal())
	name, err := e.integrate(called, client, s)
	if err != nil {
		return err
	}
	answer, err := client.CollectNow(called, &controlv1.CollectNowRequest{Name: name})
	if err != nil {
		return fmt.Errorf("asking to collect the simulated tenant: %w", err)
	}
	if !e.cfg.Once {
		return nil
	}
	return e.follow(called, client, answer.GetRun().GetName())
}

// client calls the gateway on loopback.
func (e *Entraflow) client() (controlv1.IntegrationServiceClient, io.Closer, error) {
	conn, err := grpc.NewClient(e.addresses.Gateway, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, fmt.Errorf("calling the gateway: %w", err)
	}
	return controlv1.NewIntegrationServiceClient(conn), conn, nil
}

// integrate tests and saves the integration, unless an earlier run did.
func (e *Entraflow) integrate(ctx context.Context, client controlv1.IntegrationServiceClient, s *services) (string, error) {
	quick := s.announced.Load().Tenant
	secret, err := config.ReadSecret(quick.SecretFile)
	if err != nil {
		return "", err
	}
	integration := &controlv1.Integration{
		DisplayName: "Simulated tenant",
		Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
			TenantId: quick.TenantID, ClientId: quick.ClientID, Cloud: simulatedCloud,
		}},
	}
	credential := &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: secret.Reveal()}}
	tested, err := e.test(ctx, client, &controlv1.TestConnectionRequest{Integration: integration, Credential: credential})
	if err != nil {
		return "", fmt.Errorf("testing the simulated tenant: %w", err)
	}
	report := tested.GetReport()
	if !report.GetConnected() {
		return "", fmt.Errorf("testing the simulated tenant: %w: %s: %s", errNotConnected, report.GetHeadline(), report.GetProblem().GetDetail())
	}
	available := 0
	for _, t := range report.GetDataTypes() {
		if t.GetAvailability() == controlv1.Availability_AVAILABILITY_AVAILABLE {
			available++
		}
	}
	e.say("%s %s (%s): %d of %d data types can be read.\n", report.GetHeadline(), report.GetTenantDisplayName(),
		report.GetTenantDomain(), available, len(report.GetDataTypes()))
	id := "simulated-" + strconv.FormatUint(e.cfg.Seed, 10)
	_, err = client.CreateIntegration(ctx, &controlv1.CreateIntegrationRequest{
		IntegrationId: id, Integration: integration, Credential: credential,
	})
	if err != nil && status.Code(err) != codes.AlreadyExists {
		return "", fmt.Errorf("saving the simulated tenant: %w", err)
	}
	return "integrations/" + id, nil
}

// test tests a connection; a collector that has just begun may need a moment before it answers.
func (e *Entraflow) test(
	ctx context.Context, client controlv1.IntegrationServiceClient, req *controlv1.TestConnectionRequest,
) (*controlv1.TestConnectionResponse, error) {
	for began := time.Now(); ; {
		answer, err := client.TestConnection(ctx, req)
		if status.Code(err) != codes.Unavailable || time.Since(began) > testPatience {
			return answer, err
		}
		if err := e.set.Clock.Sleep(ctx, testPause); err != nil {
			return nil, err
		}
	}
}

var (
	errNotConnected = errors.New("it cannot be read")
	errNotCollected = errors.New("it was not collected whole")
)

// follow prints the progress of a run until it has ended. Anything but success is an error.
func (e *Entraflow) follow(ctx context.Context, client controlv1.IntegrationServiceClient, name string) error {
	stream, err := client.WatchRun(ctx, &controlv1.WatchRunRequest{Name: name})
	if err != nil {
		return fmt.Errorf("watching the collection: %w", err)
	}
	var printed time.Time
	for {
		answer, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("watching the collection: %w", err)
		}
		run := answer.GetRun()
		ended := run.GetState() > controlv1.RunState_RUN_STATE_RUNNING
		if ended || time.Since(printed) >= progressInterval {
			printed = time.Now()
			e.say("collecting: %s\n", describe(run))
		}
		switch {
		case !ended:
		case run.GetState() == controlv1.RunState_RUN_STATE_SUCCEEDED:
			return nil
		default:
			return fmt.Errorf("collecting the simulated tenant: %w: %s", errNotCollected, failures(run))
		}
	}
}

func describe(run *controlv1.Run) string {
	var rows uint64
	var done, total uint32
	for _, t := range run.GetDataTypes() {
		rows += t.GetRows()
		done, total = done+t.GetWindowsDone(), total+t.GetWindowsTotal()
	}
	return fmt.Sprintf("%d records, %d of %d windows, %.0f records/s", rows, done, total, run.GetRowsPerSecond())
}

func failures(run *controlv1.Run) string {
	var b strings.Builder
	b.WriteString(run.GetProblem().GetDetail())
	for _, t := range run.GetDataTypes() {
		if t.GetProblem() != nil {
			fmt.Fprintf(&b, " %s: %s (%s).", t.GetDataType(), t.GetProblem().GetDetail(), t.GetProblem().GetCause())
		}
	}
	return b.String()
}

// say prints to the user; whoever does not listen misses nothing that is kept elsewhere.
func (e *Entraflow) say(format string, args ...any) {
	_, _ = fmt.Fprintf(e.set.Stdout, format, args...)
}
