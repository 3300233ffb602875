package entraflow

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/entraflow/entraflow/pkg/bus/natsserver"
)

func addressesOf(o *opened, s *services) Addresses {
	a := Addresses{Gateway: s.gateway.Addr().String(), HTTP: s.gateway.HTTPURL(), NATS: o.nats.URL()}
	if address := s.http.addr(); address != nil {
		a.ClickHouse = "http://" + address.String()
	}
	return a
}

// announce prints where everything listens and the first steps.
func (e *Entraflow) announce(s *services) error {
	var b strings.Builder
	at := e.addresses
	credentials := e.cfg.credentials()
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "\nEntraflow %s is up. Data and credentials are in %s.\n\n", e.set.Version, e.cfg.DataDir)
	line("gRPC", "%s   token: %s", at.Gateway, filepath.Join(credentials, "gateway.token"))
	if at.HTTP != "" {
		line("HTTP", "%s   the same API and token; try %s/docs", at.HTTP, at.HTTP)
	}
	if at.NATS != "" {
		line("NATS", "%s   user reader, password: %s", at.NATS, natsserver.PasswordFile(credentials, "reader"))
	}
	if at.ClickHouse != "" {
		line("ClickHouse", "%s   user %s, password: %s", at.ClickHouse, clickhouseUser,
			filepath.Join(credentials, "clickhouse.password"))
	}
	if s.simulator == nil && len(e.cfg.Streamer.Hubs) == 0 {
		b.WriteString("\nNo Event Hub is configured: nothing will come. Name one under streamer.hubs in the file given with\n" +
			"--config (see deploy/config/entraflow.yaml), or try --simulator.\n")
	}
	if !e.cfg.Once {
		fmt.Fprintf(&b, "\nTry:  entractl --server %s --token-file %s signins\n      entractl --server %s --token-file %s tail\n\n",
			at.Gateway, filepath.Join(credentials, "gateway.token"),
			at.Gateway, filepath.Join(credentials, "gateway.token"))
	}
	if _, err := fmt.Fprint(e.set.Stdout, b.String()); err != nil {
		return fmt.Errorf("printing addresses: %w", err)
	}
	return nil
}

// report prints the summary and writes it to Config.Summary.
func (e *Entraflow) report(summary Summary) error {
	if e.cfg.Summary != "" {
		if err := summary.write(e.cfg.Summary); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return fmt.Errorf("printing summary: %w", err)
	}
	if _, err := fmt.Fprintf(e.set.Stdout, "%s\n", text); err != nil {
		return fmt.Errorf("printing summary: %w", err)
	}
	return nil
}
