package entractl

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var errUnhealthy = errors.New("not everything is serving: see the gateway's log")

func newHealth(c *caller) *cobra.Command {
	var (
		output string
		wait   time.Duration
	)
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask whether the gateway serves",
		Long: "Asks whether the gateway serves, and what it depends on. The exit code is 0 if all of it does. With --wait it asks again\n" +
			"until then, but not longer than that: for scripts that start the product.",
		Example: "  entractl health\n  entractl health --wait 2m\n  entractl health -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			parts, err := c.awaitHealth(cmd.Context(), wait)
			if parts == nil {
				return err
			}
			return errors.Join(c.writeHealth(f, parts), err)
		},
	}
	addFormat(cmd, &output)
	cmd.Flags().DurationVar(&wait, "wait", 0, "ask again until all of it serves, for at most so long: 30s, 5m")
	return cmd
}

// part is something of the gateway that serves or does not.
type part struct {
	Name    string `json:"name"`
	Serving bool   `json:"serving"`
}

// awaitHealth asks until everything serves or wait is over, and returns what it heard last.
func (c *caller) awaitHealth(ctx context.Context, wait time.Duration) ([]part, error) {
	for end := time.Now().Add(wait); ; {
		parts, err := c.checkHealth(ctx)
		if err == nil || time.Now().After(end) {
			return parts, err
		}
		if _, wrong := errors.AsType[usageError](err); wrong {
			return nil, err
		}
		if !pause(ctx, time.Second) {
			return nil, errInterrupted
		}
	}
}

// checkHealth asks once. With errUnhealthy there are parts, too.
func (c *caller) checkHealth(ctx context.Context) ([]part, error) {
	conn, err := c.target.connect()
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to send
	var parts []part
	healthy := true
	for _, p := range []struct{ name, service string }{
		{"gateway", ""},
		{"sign-ins (store)", controlv1.SignInService_ServiceDesc.ServiceName},
		{"directory (store)", controlv1.DirectoryService_ServiceDesc.ServiceName},
		{"events (bus)", controlv1.EventService_ServiceDesc.ServiceName},
	} {
		answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: p.service})
		if err != nil {
			return nil, c.target.explain(ctx, err)
		}
		serving := answer.GetStatus() == healthv1.HealthCheckResponse_SERVING
		healthy = healthy && serving
		parts = append(parts, part{p.name, serving})
	}
	if !healthy {
		return parts, errUnhealthy
	}
	return parts, nil
}

func (c *caller) writeHealth(f format, parts []part) error {
	if f != formatTable {
		return writeValue(c.Stdout, f, parts)
	}
	var rows [][]string
	for _, p := range parts {
		state := "serving"
		if !p.Serving {
			state = "not serving"
		}
		rows = append(rows, []string{p.Name, state})
	}
	return (&columns{style: c.style()}).write(c.Stdout, rows, false)
}
