package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/entraflow/entraflow/acceptance/openapi/client"
)

// freePorts lets the product run beside another one.
const freePorts = `
app: { admin: { address: "127.0.0.1:0" } }
entraflow:
  nats: { listen: "127.0.0.1:0" }
  clickhouse: { listen: "" }
gateway:
  grpc: { address: "127.0.0.1:0" }
  http: { address: "127.0.0.1:0" }
simulator:
  listen: { amqp: "127.0.0.1:0", admin: "127.0.0.1:0", entra: "127.0.0.1:0" }
`

// product is entraflow up with its simulator.
type product struct {
	work, bin  string
	grpc, http string // host:port, URL
	cmd        *exec.Cmd
	log        *os.File
}

// start starts it and waits until it says where it listens.
func start(ctx context.Context, root, work string) (_ *product, err error) {
	config := filepath.Join(work, "entraflow.yaml")
	if err := os.WriteFile(config, []byte(freePorts), 0o600); err != nil {
		return nil, err
	}
	p := &product{work: work, bin: filepath.Join(root, "build", "bin")}
	if p.log, err = os.Create(filepath.Join(work, "log")); err != nil {
		return nil, err
	}
	// Not with ctx: it is asked to stop, not killed.
	p.cmd = exec.Command(filepath.Join(p.bin, "entraflow"), "up", "--simulator", "--config", config, "--data-dir", "data")
	p.cmd.Dir, p.cmd.Stderr = work, p.log
	p.cmd.Env = append(os.Environ(), "ENTRAFLOW_LIBCHDB="+library(root))
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	said := make(chan error, 1)
	go func() { said <- p.read(bufio.NewScanner(out)) }()
	select {
	case err = <-said:
	case <-time.After(patience):
		err = errors.New("it did not say where it listens")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the product: %w", err), p.stop())
	}
	return p, nil
}

// library is where the ClickHouse engine is: as the environment says, or where make setup puts it.
func library(root string) string {
	if named := os.Getenv("ENTRAFLOW_LIBCHDB"); named != "" {
		return named
	}
	found, _ := filepath.Glob(filepath.Join(root, "build", "libchdb", "*", "libchdb.*")) // the pattern is well formed
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

var (
	grpcLine = regexp.MustCompile(`^ +gRPC +(\S+)`)
	httpLine = regexp.MustCompile(`^ +HTTP +(\S+)`)
)

// read takes the addresses from what the product prints, and goes on reading so that it can go on printing.
func (p *product) read(lines *bufio.Scanner) error {
	for lines.Scan() {
		if found := grpcLine.FindStringSubmatch(lines.Text()); found != nil {
			p.grpc = found[1]
		}
		if found := httpLine.FindStringSubmatch(lines.Text()); found != nil {
			p.http = found[1]
		}
		if p.grpc != "" && p.http != "" {
			go func() {
				for lines.Scan() { //nolint:revive // it has to be read
				}
			}()
			return nil
		}
	}
	return errors.Join(errors.New("it ended"), lines.Err())
}

// stop asks it to stop and waits. A product that failed says why.
func (p *product) stop() error {
	defer p.log.Close() //nolint:errcheck // it is a log
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.cmd.Wait(); err != nil {
		log, _ := os.ReadFile(p.log.Name()) // the error tells without it too
		return fmt.Errorf("stopping the product: %w\n%s", err, log[max(0, len(log)-4000):])
	}
	return nil
}

// env is that of the examples: grpcurl is found.
func (p *product) env() []string {
	return append(os.Environ(), "PATH="+p.bin+":"+os.Getenv("PATH"))
}

// client returns the generated client with the token of the product.
func (p *product) client() (*client.ClientWithResponses, error) {
	token, err := os.ReadFile(filepath.Join(p.work, "data", "credentials", "gateway.token"))
	if err != nil {
		return nil, err
	}
	return client.NewClientWithResponses(p.http, client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		return nil
	}))
}

// awaitData waits until the product has what the examples ask for: it collects it while it runs.
func (p *product) awaitData(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	calls := generated(p)
	var err error
	for _, call := range calls[:3] {
		for err = call(ctx); err != nil; err = call(ctx) {
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("waiting for data: %w", err)
			}
		}
	}
	return nil
}
