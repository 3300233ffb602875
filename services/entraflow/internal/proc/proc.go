// Package proc starts programs of this project as processes of their own, for the crash test and the
// benchmark: it waits for what they announce, signals them by their id, and reads what they used.
//
// It signals only processes it started, and ends all of them when their context is done and, on
// Linux, when this process dies.
package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// maxLine bounds the line in which a program announces its addresses.
const maxLine = 64 << 10

// ErrNoAnnouncement is returned by Announced when the program ended or closed its output before.
var ErrNoAnnouncement = errors.New("program announced nothing")

// Command says what to start.
type Command struct {
	// Path is the program.
	Path string
	Args []string
	// Env is added to this process's environment.
	Env []string
	// Log receives what the program writes to stderr, and stdout after its first line.
	Log io.Writer
}

// Process is a program that was started. Its methods are safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	line chan []byte
	done chan struct{}

	mu   sync.Mutex
	err  error
	used Usage
}

// Usage is what a process used in its life, or until now.
type Usage struct {
	// CPU is user and system time.
	CPU time.Duration
	// PeakRSS is the most memory it held at once, in bytes.
	PeakRSS int64
}

// Start starts the program. It is killed when ctx is done and, on Linux, when this process dies, however.
func Start(ctx context.Context, c Command) (*Process, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stderr = c.Log
	// A group of its own: Ctrl-C in a terminal reaches this process alone, which then decides.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	p := &Process{cmd: cmd, line: make(chan []byte, 1), done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux means the death of the thread that started the program, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.watch(stdout, c.Log)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	return p, nil
}

// watch reads the output to its end and reaps the process.
func (p *Process) watch(stdout io.Reader, log io.Writer) {
	reader := bufio.NewReaderSize(stdout, maxLine)
	if line, err := reader.ReadSlice('\n'); err == nil {
		p.line <- append([]byte(nil), line...)
	}
	close(p.line)
	if log == nil {
		log = io.Discard
	}
	_, _ = io.Copy(log, reader)
	err := p.cmd.Wait()
	p.mu.Lock()
	p.err = err
	if usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		p.used = Usage{
			CPU:     p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(),
			PeakRSS: usage.Maxrss << 10, // Linux counts it in KiB
		}
	}
	p.mu.Unlock()
	close(p.done)
}

// Announced waits for the first line of the program's output, one JSON value, and decodes it into v.
func (p *Process) Announced(ctx context.Context, v any) error {
	select {
	case line, ok := <-p.line:
		if !ok {
			return fmt.Errorf("waiting for %s: %w", p.cmd.Path, ErrNoAnnouncement)
		}
		if err := json.Unmarshal(line, v); err != nil {
			return fmt.Errorf("reading announcement of %s: %w", p.cmd.Path, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", p.cmd.Path, context.Cause(ctx))
	}
}

// ID is the process's id.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Signal sends a signal; to a process that has ended it is an error (os.ErrProcessDone).
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the process's end and returns how it ended: nil, or an *exec.ExitError.
func (p *Process) Wait() error {
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Kill kills the process (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL) // it may just have ended
	<-p.done
}

// Stop asks the process to end (SIGTERM), waits for at most budget, then kills it. It returns how the
// process ended; one that had to be killed is an error.
func (p *Process) Stop(budget time.Duration) error {
	_ = p.Signal(syscall.SIGTERM) // it may just have ended
	timer := time.NewTimer(budget)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.Wait()
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("stopping %s: still there after %s", p.cmd.Path, budget)
	}
}

// Used returns what the process has used: until now, or in all if it has ended.
func (p *Process) Used() (Usage, error) {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.used, nil
	default:
		return usageOf(p.ID())
	}
}
