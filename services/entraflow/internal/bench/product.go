package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

// clickhouseUser is the user of the product's ClickHouse listener; it may read.
const clickhouseUser = "reader"

// product is a child with connections to look into it.
type product struct {
	process *proc.Process
	bus     *bus.Conn
	// clickhouse is the URL of the store; empty for the streamer alone.
	clickhouse string
	password   config.Secret
	// nats and gateway are where these listen.
	nats, gateway string
}

// start runs a child on the world's hub.
func (w *world) start(ctx context.Context, o Options, kind string) (_ *product, err error) {
	p := &product{}
	p.process, err = proc.Start(ctx, proc.Command{
		Path: o.Self, Args: []string{"child", kind, w.dir}, Env: []string{connectionEnv + "=" + w.connection}, Log: w.log,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	var at announcement
	if err := p.process.Announced(ctx, &at); err != nil {
		return nil, err
	}
	credentials := filepath.Join(w.dir, "credentials")
	if err := p.openBus(ctx, at.NATS, credentials); err != nil {
		return nil, err
	}
	p.clickhouse, p.nats, p.gateway = at.ClickHouse, at.NATS, at.Gateway
	if at.ClickHouse != "" {
		p.password, err = config.ReadSecret(filepath.Join(credentials, "clickhouse.password"))
	}
	return p, err
}

func (p *product) openBus(ctx context.Context, url, credentials string) error {
	password, err := config.ReadSecret(natsserver.PasswordFile(credentials, bus.UserOperator))
	if err != nil {
		return err
	}
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.User, cfg.Password = url, bus.UserOperator, password
	p.bus, err = bus.Connect(ctx, cfg, bus.Settings{Service: "bench"})
	return err
}

// stop ends the child.
func (p *product) stop() error {
	if p.bus != nil {
		p.bus.Close()
	}
	return p.process.Stop(stopBudget)
}

// events returns the state of the stream of events.
func (p *product) events(ctx context.Context) (jetstream.StreamState, error) {
	stream, err := p.bus.JetStream().Stream(ctx, "EVENTS")
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("reading stream: %w", err)
	}
	return stream.CachedInfo().State, nil
}

// first returns when the first event was stored in the stream.
func (p *product) first(ctx context.Context) (time.Time, error) {
	state, err := p.events(ctx)
	return state.FirstTime, err
}

// rows returns how many sign-ins can be queried.
func (p *product) rows(ctx context.Context) (uint64, error) {
	answer, err := p.query(ctx, "SELECT count() FROM sign_ins")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(answer), 10, 64)
}

// query asks the store over HTTP and returns tab-separated lines.
func (p *product) query(ctx context.Context, sql string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.clickhouse+"/?database=entraflow", strings.NewReader(sql))
	if err != nil {
		return "", fmt.Errorf("querying: %w", err)
	}
	request.SetBasicAuth(clickhouseUser, p.password.Reveal())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("querying: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(string(body))
	}
	if err != nil {
		return "", fmt.Errorf("querying: %w", err)
	}
	return string(body), nil
}
