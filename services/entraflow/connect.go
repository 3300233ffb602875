package entraflow

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/integrations"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// testPatience is how long somebody who tests connections is waited for, testPause how long between two tries.
	testPatience = 30 * time.Second
	testPause    = 200 * time.Millisecond
)

// connect connects the simulated tenant as a user would: it tests the connection, saves the integration and has it
// collected, all by the API. With Once it waits until its logs are collected and its directory is read.
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
	made, err := e.integrate(called, client, s)
	if err != nil {
		return err
	}
	request := &controlv1.CollectNowRequest{Name: made.name}
	if made.isNew || !e.cfg.Once {
		// directorysync reads everything by itself, of a new tenant as a run.
		request.DataTypes = made.logs
	}
	answer, err := client.CollectNow(called, request)
	if err != nil {
		return fmt.Errorf("asking to collect the simulated tenant: %w", err)
	}
	if !e.cfg.Once {
		return nil
	}
	return e.followBoth(called, client, made, answer.GetRun())
}

// client calls the gateway on loopback.
func (e *Entraflow) client() (controlv1.IntegrationServiceClient, io.Closer, error) {
	conn, err := grpc.NewClient(e.addresses.Gateway, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, fmt.Errorf("calling the gateway: %w", err)
	}
	return controlv1.NewIntegrationServiceClient(conn), conn, nil
}

// integration is the one of the simulated tenant.
type integration struct {
	name string
	// isNew says that this run made it.
	isNew bool
	// logs are the data types of logs that can be read.
	logs []string
}

// integrate tests and saves the integration, unless an earlier run did.
func (e *Entraflow) integrate(ctx context.Context, client controlv1.IntegrationServiceClient, s *services) (made integration, err error) {
	quick := s.announced.Load().Tenant
	secret, err := config.ReadSecret(quick.SecretFile)
	if err != nil {
		return made, err
	}
	i := &controlv1.Integration{
		DisplayName: "Simulated tenant",
		Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
			TenantId: quick.TenantID, ClientId: quick.ClientID, Cloud: simulatedCloud,
		}},
	}
	credential := &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: secret.Reveal()}}
	tested, err := e.test(ctx, client, &controlv1.TestConnectionRequest{Integration: i, Credential: credential})
	if err != nil {
		return made, fmt.Errorf("testing the simulated tenant: %w", err)
	}
	report := tested.GetReport()
	if !report.GetConnected() {
		return made, fmt.Errorf("testing the simulated tenant: %w: %s: %s", errNotConnected, report.GetHeadline(), report.GetProblem().GetDetail())
	}
	available := 0
	for _, t := range report.GetDataTypes() {
		if t.GetAvailability() == controlv1.Availability_AVAILABILITY_AVAILABLE {
			available++
			if info, known := entra.LookupDataType(entra.DataType(t.GetDataType())); known && info.Log {
				made.logs = append(made.logs, t.GetDataType())
			}
		}
	}
	e.say("%s %s (%s): %d of %d data types can be read.\n", report.GetHeadline(), report.GetTenantDisplayName(),
		report.GetTenantDomain(), available, len(report.GetDataTypes()))
	id := "simulated-" + strconv.FormatUint(e.cfg.Seed, 10)
	_, err = client.CreateIntegration(ctx, &controlv1.CreateIntegrationRequest{
		IntegrationId: id, Integration: i, Credential: credential,
	})
	if err != nil && status.Code(err) != codes.AlreadyExists {
		return made, fmt.Errorf("saving the simulated tenant: %w", err)
	}
	made.name, made.isNew = integrations.Name(id), err == nil
	return made, nil
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
