package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// wanted says, in the order of the README, what each example is about and what its answer must hold.
var wanted = []example{
	{what: "list integrations", answer: regexp.MustCompile(`"name": ?"integrations/simulated-1"`)},
	{what: "failed sign-ins of the last day", answer: regexp.MustCompile(`"outcome": ?"failure"`)},
	{what: "one user", answer: regexp.MustCompile(`"displayName": ?"Ada Adler"`)},
	{what: "collect now and watch the run", answer: regexp.MustCompile(`"state": ?"RUN_STATE_SUCCEEDED"`)},
	{what: "follow events", answer: regexp.MustCompile(`"kind": ?"signin"`), endless: true},
}

type example struct {
	what   string
	answer *regexp.Regexp
	// endless examples are stopped once the answer is there, as a person would with Ctrl-C.
	endless bool
}

// examples are the blocks of code in the README's section on the API.
type examples struct {
	prelude string
	each    []struct{ grpcurl, curl string }
}

var block = regexp.MustCompile("(?s)```sh\n(.*?)```")

// parse takes the examples out of the README: the first block is for all of them, each other one has the commands of
// grpcurl, an empty line, and those of curl.
func parse(readme string) (*examples, error) {
	_, section, ok := strings.Cut(readme, "\n## The API\n")
	if !ok {
		return nil, errors.New("the README has no section The API")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := block.FindAllStringSubmatch(section, -1)
	if len(blocks) != 1+len(wanted) {
		return nil, fmt.Errorf("the README has %d blocks of code about the API, not one and %d examples", len(blocks), len(wanted))
	}
	made := &examples{prelude: blocks[0][1]}
	for _, found := range blocks[1:] {
		grpcurl, curl, ok := strings.Cut(found[1], "\n\n")
		if !ok || !strings.HasPrefix(grpcurl, "grpc ") || !strings.HasPrefix(curl, "rest ") {
			return nil, fmt.Errorf("not an example with grpc, an empty line and rest:\n%s", found[1])
		}
		made.each = append(made.each, struct{ grpcurl, curl string }{grpcurl, curl})
	}
	return made, nil
}

// run runs commands as a shell in the folder above the product's data would, but for its addresses.
func (e *examples) run(ctx context.Context, p *product, commands string, want example) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	script := "set -euo pipefail\n" + e.prelude + commands
	script = strings.NewReplacer("127.0.0.1:7300", p.grpc, "127.0.0.1:7301", strings.TrimPrefix(p.http, "http://")).Replace(script)
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Env = p.work, p.env()
	// What bash started must end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var errs bytes.Buffer
	out := &watcher{want: want.answer}
	if want.endless {
		out.found = cancel
	}
	cmd.Stdout, cmd.Stderr = out, &errs
	err := cmd.Run()
	switch {
	case want.endless && out.matched:
		return nil
	case err != nil:
		return fmt.Errorf("%w\n%s%s", err, errs.String(), out.tail())
	case !out.matched:
		return fmt.Errorf("the answer has no %s:\n%s", want.answer, out.tail())
	}
	return nil
}

// watcher keeps what is written, and says when it matches. One goroutine of exec writes to it.
type watcher struct {
	kept    bytes.Buffer // not embedded: it can read from a pipe by itself, past Write
	want    *regexp.Regexp
	found   func()
	matched bool
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.kept.Write(p)
	if !w.matched && w.want.Match(w.kept.Bytes()) {
		w.matched = true
		if w.found != nil {
			w.found()
		}
	}
	return n, err
}

// tail is the end of what was written.
func (w *watcher) tail() string {
	const most = 2000
	text := w.kept.String()
	return text[max(0, len(text)-most):]
}
