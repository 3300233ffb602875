// Command openapi runs the five examples of the README against a product that it starts on free ports: with grpcurl
// and curl, as the README writes them, and with a client generated from the OpenAPI document. It prints a line for each
// and exits non-zero if one fails or answers nothing of what it should. It writes to a folder of its own, and stops what
// it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// patience bounds each example, and how long the product may take until it has what the examples ask for.
const patience = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "api-acceptance: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("openapi", flag.ContinueOnError)
	repo := flags.String("root", "../..", "root of the project")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := filepath.Abs(*repo)
	if err != nil {
		return err
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return err
	}
	examples, err := parse(string(readme))
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "entraflow-api-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a folder of the temporary folder
	p, err := start(ctx, root, work)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	return runAll(ctx, p, examples)
}

func runAll(ctx context.Context, p *product, examples *examples) error {
	if err := p.awaitData(ctx); err != nil {
		return err
	}
	var failed []error
	report := func(with, what string, run func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		began := time.Now()
		if err := run(ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s, %s: %w", what, with, err))
			fmt.Printf("FAIL  %-9s %s\n", with, what)
			return
		}
		fmt.Printf("ok    %-9s %s (%s)\n", with, what, time.Since(began).Round(time.Millisecond))
	}
	for i, e := range examples.each {
		want := wanted[i]
		report("grpcurl", want.what, func(ctx context.Context) error { return examples.run(ctx, p, e.grpcurl, want) })
		report("curl", want.what, func(ctx context.Context) error { return examples.run(ctx, p, e.curl, want) })
	}
	for i, call := range generated(p) {
		report("generated", wanted[i].what, call)
	}
	return errors.Join(failed...)
}
