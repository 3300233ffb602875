package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
)

// options are the flags.
type options struct {
	engine       embedded.Config
	listen       string
	username     string
	passwordFile string
	drain        time.Duration
}

// ready is the line that tells the caller where to connect.
type ready struct {
	Address      string `json:"address"`
	DSN          string `json:"dsn"`
	Username     string `json:"username"`
	PasswordFile string `json:"password_file"`
	PID          int    `json:"pid"`
}

func parse(args []string, help io.Writer) (options, error) {
	o := options{engine: embedded.DefaultConfig()}
	flags := flag.NewFlagSet("clickhouse-embedded", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.engine.DataDir, "data-dir", "", "folder of the tables (required)")
	flags.StringVar(&o.engine.LibraryPath, "library", "", "path of libchdb; default: "+embedded.LibraryEnv+", next to the program, build/libchdb")
	flags.IntVar(&o.engine.Connections, "connections", o.engine.Connections, "statements at the same time")
	flags.TextVar(&o.engine.MaxMemory, "max-memory", o.engine.MaxMemory, "memory of the engine")
	flags.TextVar(&o.engine.MaxStatementMemory, "max-statement-memory", o.engine.MaxStatementMemory, "memory of one statement")
	flags.IntVar(&o.engine.BackgroundThreads, "background-threads", o.engine.BackgroundThreads, "threads that merge parts")
	flags.BoolVar(&o.engine.SyncWrites, "sync-writes", false, "acknowledge inserts once they are on the disk")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8123", "loopback address; port 0 picks a free one")
	flags.StringVar(&o.username, "username", "entraflow", "name of the one user")
	flags.StringVar(&o.passwordFile, "password-file", "", "file of the user's password, made if absent; default: <data-dir>/password")
	flags.DurationVar(&o.drain, "drain", 20*time.Second, "how long requests under way may take at the end")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.passwordFile == "" {
		o.passwordFile = filepath.Join(o.engine.DataDir, "password")
	}
	if !config.IsLoopback(o.listen) {
		return options{}, fmt.Errorf("-listen %s: must be a loopback address", o.listen)
	}
	return o, o.engine.Validate()
}

func run(ctx context.Context, args []string, out, help io.Writer) (err error) {
	o, err := parse(args, help)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading flags: %w", err)
	}
	password, err := config.EnsureSecretFile(o.passwordFile)
	if err != nil {
		return err
	}
	engine, err := embedded.Open(ctx, o.engine, embedded.Settings{Users: []embedded.User{{Name: o.username, Password: password}}})
	if err != nil {
		return err
	}
	defer func() {
		// Requests had their time in Serve; what is left are statements whose clients are gone.
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, engine.Close(draining))
	}()
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	address := listener.Addr().String()
	line := ready{Address: address, DSN: "http://" + address, Username: o.username, PasswordFile: o.passwordFile, PID: os.Getpid()}
	if err := json.NewEncoder(out).Encode(line); err != nil {
		return errors.Join(fmt.Errorf("printing address: %w", err), listener.Close())
	}
	return embedded.Serve(ctx, listener, engine, o.drain)
}
