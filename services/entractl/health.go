package entractl

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var errUnhealthy = errors.New("not everything is serving: see the gateway's log")

func newHealth(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "health",
		Short:   "Ask whether the gateway serves",
		Long:    "Asks whether the gateway serves, and what it depends on. The exit code is 0 if all of it does.",
		Example: "  entractl health\n  entractl health -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			return c.checkHealth(cmd.Context(), f)
		},
	}
	addFormat(cmd, &output)
	return cmd
}

// part is something of the gateway that serves or does not.
type part struct {
	Name    string `json:"name"`
	Serving bool   `json:"serving"`
}

func (c *caller) checkHealth(ctx context.Context, f format) error {
	conn, err := c.target.connect()
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to send
	var (
		parts   []part
		rows    = [][]string{}
		healthy = true
	)
	for _, p := range []struct{ name, service string }{
		{"gateway", ""},
		{"sign-ins (store)", controlv1.SignInService_ServiceDesc.ServiceName},
		{"directory (store)", controlv1.DirectoryService_ServiceDesc.ServiceName},
		{"events (bus)", controlv1.EventService_ServiceDesc.ServiceName},
	} {
		answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: p.service})
		if err != nil {
			return c.target.explain(ctx, err)
		}
		serving, state := answer.GetStatus() == healthv1.HealthCheckResponse_SERVING, "serving"
		if !serving {
			state, healthy = "not serving", false
		}
		parts, rows = append(parts, part{p.name, serving}), append(rows, []string{p.name, state})
	}
	if f != formatTable {
		err = writeValue(c.Stdout, f, parts)
	} else {
		err = (&columns{style: c.style()}).write(c.Stdout, rows, false)
	}
	if err == nil && !healthy {
		err = errUnhealthy
	}
	return err
}
