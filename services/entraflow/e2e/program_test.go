package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

const (
	mib = 1 << 20
	gib = 1 << 30
	// poll is how often a condition is looked at.
	poll = 50 * time.Millisecond
)

// errEndedByItself is the fault of a program that nobody had asked to end: none may, whatever else is away.
var errEndedByItself = errors.New("program ended by itself")

// program is a program under one name, which is started, killed and started again.
type program struct {
	name    string
	command proc.Command
	admin   string // host:port of its admin server; empty if it has none
	token   string // of the admin server
	logFile string
	fail    func(error)

	mu      sync.Mutex
	process *proc.Process
	ending  bool
	starts  int
	peak    int64
}

// newProgram returns a program that is not started yet. It is killed when the test ends, and then the end
// of its log is shown if the test failed.
func newProgram(t *testing.T, dir, name string, fail func(error)) *program {
	t.Helper()
	p := &program{name: name, logFile: filepath.Join(dir, name+".log"), fail: fail}
	log, err := os.Create(p.logFile)
	require.NoError(t, err)
	p.command.Log = log
	t.Cleanup(func() {
		p.kill()
		require.NoError(t, log.Close())
		p.judgeLog(t)
	})
	return p
}

// start starts the program. It lives until it is killed, at the latest when the test ends.
func (p *program) start(ctx context.Context) error {
	process, err := proc.Start(context.WithoutCancel(ctx), p.command)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process, p.ending = process, false
	p.starts++
	go func() {
		<-process.Done()
		p.mu.Lock()
		unasked := p.process == process && !p.ending
		p.mu.Unlock()
		if unasked {
			p.fail(errors.Join(fmt.Errorf("%w: %s", errEndedByItself, p.name), process.Wait()))
		}
	}()
	return nil
}

// take returns the process for its end; nil if there is none.
func (p *program) take() *proc.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = true
	return p.process
}

// kill ends the program with SIGKILL. It may be called again.
func (p *program) kill() {
	if process := p.take(); process != nil {
		process.Kill()
		p.note(process)
	}
}

// stop ends the program with SIGTERM and returns how it ended and how long that took.
func (p *program) stop(budget time.Duration) (time.Duration, error) {
	process := p.take()
	began := time.Now()
	err := process.Stop(budget)
	p.note(process)
	return time.Since(began), err
}

// finish starts the program and waits for the end it comes to by itself.
func (p *program) finish(ctx context.Context) error {
	if err := p.start(ctx); err != nil {
		return err
	}
	process := p.take()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	select {
	case <-process.Done():
		return process.Wait()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *program) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.Signal(s)
}

func (p *program) id() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process.ID()
}

// note keeps the most memory that any process of the program held.
func (p *program) note(process *proc.Process) {
	used, err := process.Used()
	if err != nil {
		return // it ended just now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peak = max(p.peak, used.PeakRSS)
}

// peakRSS is the most memory, in bytes, that any process of the program held so far.
func (p *program) peakRSS() int64 {
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	p.note(process)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// ready waits until the admin server says that the program does its work.
func (p *program) ready(ctx context.Context) error {
	return eventually(ctx, p.name+" ready", func() (bool, error) {
		status, _, err := get(ctx, "http://"+p.admin+"/readyz", "")
		return err == nil && status == http.StatusOK, err
	})
}

// metric sums a metric over the series that have all labels, each as name="value".
func (p *program) metric(ctx context.Context, name string, labels ...string) (float64, error) {
	status, text, err := get(ctx, "http://"+p.admin+"/metrics", p.token)
	if err != nil {
		return 0, err
	}
	if status != http.StatusOK {
		return 0, fmt.Errorf("metrics of %s: status %d", p.name, status)
	}
	return sumOf(text, name, labels)
}

func sumOf(text, name string, labels []string) (float64, error) {
	sum := 0.0
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(rest, label)
		}
		if !matches {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("reading metric %s: %w", name, err)
		}
		sum += value
	}
	return sum, nil
}

// logged reports whether a line of the log holds the text.
func (p *program) logged(text string) (bool, error) {
	log, err := os.ReadFile(p.logFile)
	return strings.Contains(string(log), text), err
}

// judgeLog fails the test for a panic, and shows the end of the log of a test that failed.
func (p *program) judgeLog(t *testing.T) {
	t.Helper()
	file, err := os.Open(p.logFile)
	require.NoError(t, err)
	defer file.Close()
	const shown = 40
	var last []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, mib)
	for lines.Scan() {
		if text := lines.Text(); strings.HasPrefix(text, "panic:") || strings.HasPrefix(text, "fatal error:") {
			t.Errorf("%s: %s", p.name, text)
		}
		last = append(last, lines.Text())
		last = last[max(len(last)-shown, 0):]
	}
	if t.Failed() {
		t.Logf("the last lines of %s:\n%s", p.name, strings.Join(last, "\n"))
	}
}
