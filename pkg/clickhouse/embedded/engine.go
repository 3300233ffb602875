// Package embedded runs the ClickHouse engine inside the process, as the library libchdb, and speaks
// the ClickHouse HTTP interface for it: to clickhouse-go in the same process through RoundTripper,
// to other programs through a listener that serves the Engine.
//
// It reads and writes its data folder and nothing else of the host: statements may not name files,
// programs, URLs or other servers (guard.go, serverfiles.go). It opens no port by itself, installs
// no signal handler, and answers nobody over HTTP without a user's password.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrClosed reports a statement that came while the engine closes or after that.
	ErrClosed = errors.New("embedded clickhouse is closed")
	// ErrEngine reports that the engine did not start or gave no connection.
	ErrEngine = errors.New("embedded clickhouse does not start")
	// ErrInUse reports a second engine in a process that runs one, or a data folder that another
	// process uses.
	ErrInUse = errors.New("embedded clickhouse is in use")
)

// killRetry is how long after a try to kill a statement it is tried again: a statement that has just
// been given to the engine is not yet in its list.
const killRetry = 20 * time.Millisecond

// process is the library's own limit, one engine in a process, made visible. libchdb holds it in
// variables of its own, so no value of this package could.
//
//nolint:gochecknoglobals // see above
var process atomic.Bool

// Engine is the running engine. Its methods may be called concurrently. Whoever opened it closes it.
type Engine struct {
	cfg      Config
	accounts []account
	pool     *pool
	lock     *os.File
	hello    hello

	// control kills and checks statements. It also keeps the engine alive between connections.
	controlMu sync.Mutex
	control   *conn

	// requests holds the abort function of each request that is being answered.
	requestsMu  sync.Mutex
	requests    map[uint64]func()
	nextRequest uint64
	closed      bool

	// trips are the goroutines of RoundTripper; none begins once closed is set.
	trips   sync.WaitGroup
	closing sync.Once
}

// Open starts the engine on cfg.DataDir, within about a third of a second. It returns
// ErrLibraryMissing without libchdb, ErrInUse when this process or another one has an engine on it
// already, and ErrEngine when the library refuses.
func Open(ctx context.Context, cfg Config, set Settings) (*Engine, error) {
	if err := errors.Join(cfg.Validate(), set.validate()); err != nil {
		return nil, fmt.Errorf("checking embedded clickhouse configuration: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("opening embedded clickhouse: %w", err)
	}
	if !process.CompareAndSwap(false, true) {
		return nil, fmt.Errorf("%w: this process has an engine open", ErrInUse)
	}
	engine, err := open(cfg, set)
	if err != nil {
		process.Store(false)
		return nil, err
	}
	return engine, nil
}

func open(cfg Config, set Settings) (_ *Engine, err error) {
	path, err := FindLibrary(cfg.LibraryPath)
	if err != nil {
		return nil, err
	}
	if cfg.DataDir, err = filepath.Abs(cfg.DataDir); err != nil {
		return nil, fmt.Errorf("resolving data folder: %w", err)
	}
	lock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	lib, err := loadLibrary(path)
	if err != nil {
		return nil, err
	}
	serverConfig, err := writeServerFiles(cfg)
	if err != nil {
		return nil, err
	}
	// Before the first connection: the library would replace the Go runtime's handlers.
	lib.setSignalHandlersEnabled(0)
	connections := &connector{lib: lib, argv: []string{
		"entraflow", "--path=" + cfg.DataDir, "--config-file=" + serverConfig, "--progress=off",
	}}
	control, err := connections.open()
	if err != nil {
		return nil, err
	}
	hello, err := readHello(control)
	if err != nil {
		control.close()
		return nil, err
	}
	return &Engine{
		cfg: cfg, accounts: newAccounts(set.Users), lock: lock, hello: hello, control: control,
		pool: newPool(cfg.Connections, connections.open), requests: make(map[uint64]func()),
	}, nil
}

// Close refuses new statements, waits for the running ones until ctx ends, kills what runs then, and
// closes the engine. It returns an error if it had to kill; the engine is closed all the same.
func (e *Engine) Close(ctx context.Context) error {
	var err error
	e.closing.Do(func() {
		e.requestsMu.Lock()
		e.closed = true
		e.requestsMu.Unlock()
		// Each pass kills what ran at its moment; a statement that only began to run needs another.
		for left := e.pool.drain(ctx); left > 0; {
			err = fmt.Errorf("closing embedded clickhouse: %w: killed running statements", context.Cause(ctx))
			e.abortRequests()
			_ = e.kill("")
			// The given context is over; what is killed ends soon, and must end before the engine does.
			pass, cancel := context.WithTimeout(context.WithoutCancel(ctx), killRetry)
			left = e.pool.collect(pass, left)
			cancel()
		}
		e.trips.Wait()
		e.control.close()
		err = errors.Join(err, e.lock.Close())
		process.Store(false)
	})
	return err
}

// begin counts a goroutine of RoundTripper, unless the engine is closed.
func (e *Engine) begin() bool {
	e.requestsMu.Lock()
	defer e.requestsMu.Unlock()
	if e.closed {
		return false
	}
	e.trips.Add(1)
	return true
}

// kill asks the engine to stop the statement of the connection with that tag, or all of them.
func (e *Engine) kill(tag string) error {
	return e.onControl(func(control *conn) error {
		where := "Settings['log_comment'] = " + quoteString(tag)
		if tag == "" {
			where = "Settings['log_comment'] != " + quoteString(control.tag)
		}
		return control.exec("KILL QUERY WHERE " + where + " ASYNC")
	})
}

// onControl runs use on the control connection, which is replaced after an error as all others are.
func (e *Engine) onControl(use func(*conn) error) error {
	e.controlMu.Lock()
	defer e.controlMu.Unlock()
	err := use(e.control)
	if err == nil {
		return nil
	}
	if fresh, openErr := e.pool.open(); openErr == nil {
		e.control.close()
		e.control = fresh
	}
	return err
}

// watch kills what runs on c once ctx ends, until the returned function is called. That function
// waits for a kill under way, so that it cannot hit the connection's next statement.
func (e *Engine) watch(ctx context.Context, c *conn) (stop func()) {
	finished, idle := make(chan struct{}), make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(idle)
		retry := time.NewTicker(killRetry)
		defer retry.Stop()
		for {
			// An error here leaves the statement to its own end; there is nobody to tell.
			_ = e.kill(c.tag)
			select {
			case <-finished:
				return
			case <-retry.C:
			}
		}
	})
	return func() {
		close(finished)
		if !cancel() {
			<-idle
		}
	}
}
