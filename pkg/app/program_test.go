package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

type demoConfig struct {
	Greeting string        `yaml:"greeting"`
	Password config.Secret `yaml:"password"`
	Once     bool          `yaml:"once"`
}

func (c demoConfig) Validate() error {
	var p config.Problems
	p.Check(c.Greeting != "", "greeting", "must not be empty")
	return p.Err()
}

// demo is a service that does what run says, by default wait for the end.
type demo struct {
	ready chan struct{}
	run   func(ctx context.Context) error
}

func (d *demo) Name() string           { return "demo" }
func (d *demo) Ready() <-chan struct{} { return d.ready }

func (d *demo) Run(ctx context.Context) error {
	close(d.ready)
	if d.run != nil {
		return d.run(ctx)
	}
	<-ctx.Done()
	return nil
}

// program is a demo program under test.
type program struct {
	service app.Service[demoConfig]
	process app.Process
	signals chan os.Signal
	stdout  bytes.Buffer
	stderr  lines
	config  demoConfig   // what New got
	set     app.Settings // what New got
	exit    chan int
}

func newProgram(run func(ctx context.Context) error, args ...string) *program {
	p := &program{signals: make(chan os.Signal, 2), exit: make(chan int, 1)}
	p.stderr.added = make(chan string, 100)
	p.service = app.Service[demoConfig]{
		Name: "demo", Short: "Shows how", Long: "Shows how it is done.",
		Default: func() demoConfig { return demoConfig{Greeting: "hello"} },
		New: func(c demoConfig, set app.Settings) (lifecycle.Service, error) {
			p.config, p.set = c, set
			if c.Greeting == "refused" {
				return nil, errors.New("refusing the greeting")
			}
			return &demo{ready: make(chan struct{}), run: run}, nil
		},
		Flags: []app.Flag{{Name: "once", Key: "demo.once", Usage: "end by itself", Bool: true}},
	}
	p.process = app.Process{Args: args, Stdout: &p.stdout, Stderr: &p.stderr, Signals: p.signals}
	return p
}

func (p *program) run(ctx context.Context) int {
	return app.Execute(ctx, p.process, app.Command(p.process, p.service))
}

func (p *program) start(ctx context.Context) {
	go func() { p.exit <- p.run(ctx) }()
}

// logged waits for the line with the message and returns its fields.
func (p *program) logged(t *testing.T, message string) map[string]any {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case line := <-p.stderr.added:
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
			if fields["msg"] == message {
				return fields
			}
		case <-timeout:
			require.FailNow(t, "no such line in the log", message)
		}
	}
}

// adminURL waits until the program is ready.
func (p *program) adminURL(t *testing.T) string {
	t.Helper()
	address, ok := p.logged(t, "ready")["admin_address"].(string)
	require.True(t, ok)
	return "http://" + address
}

// lines is a writer that tells of each write.
type lines struct {
	mu    sync.Mutex
	text  bytes.Buffer
	added chan string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.added <- string(b)
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func get(t *testing.T, url, authorization string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Authorization", authorization)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body)
}
