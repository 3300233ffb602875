package entractl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var errUnhealthy = errors.New("not everything is serving: see the gateway's log")

func newHealth(t *target) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask whether the gateway serves",
		Long:  "Asks whether the gateway serves, and what it depends on. The exit code is 0 if all of it does.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.checkHealth(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

func (t *target) checkHealth(ctx context.Context, to io.Writer) error {
	conn, err := t.connect()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to send
	const padding = 2
	w := tabwriter.NewWriter(to, 0, 0, padding, ' ', 0)
	healthy := true
	for _, part := range []struct{ name, service string }{
		{"gateway", ""},
		{"sign-ins (store)", controlv1.SignInService_ServiceDesc.ServiceName},
		{"directory (store)", controlv1.DirectoryService_ServiceDesc.ServiceName},
		{"events (bus)", controlv1.EventService_ServiceDesc.ServiceName},
	} {
		answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: part.service})
		if err != nil {
			return t.explain(ctx, err)
		}
		state := "serving"
		if answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			state, healthy = "not serving", false
		}
		fmt.Fprintf(w, "%s\t%s\n", part.name, state)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !healthy {
		return errUnhealthy
	}
	return nil
}
