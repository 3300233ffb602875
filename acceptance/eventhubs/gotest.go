package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// compileTests downloads and compiles the tests while the environment is still the caller's: later SSL_CERT_FILE
// trusts the simulator only. It returns the packages that have tests.
func compileTests(ctx context.Context) ([]string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f",
		"{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", module+"/...")
	list.Env, list.Stderr = goEnv(), os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the SDK's packages: %w", err)
	}
	packages := slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return strings.Contains(p, "/stress") })
	compile := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-run", "^$"}, packages...)...)
	compile.Env = goEnv()
	if out, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compiling the SDK's tests: %w\n%s", err, out)
	}
	return packages, nil
}

// goEnv is the environment for go: this module is outside go.work.
func goEnv(extra ...string) []string { return append(append(os.Environ(), "GOWORK=off"), extra...) }

// job is one run of go test.
type job struct {
	log       string
	env       []string
	packages  []string
	run, skip string
}

// tally counts top-level tests.
type tally struct {
	passed, failed int
	skipped        []string
	failures       []string
}

func (t *tally) add(o tally) {
	t.passed += o.passed
	t.failed += o.failed
	t.skipped = append(t.skipped, o.skipped...)
	t.failures = append(t.failures, o.failures...)
}

func (t *tally) summary() string {
	text := fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, len(t.skipped))
	for _, name := range append(slices.Clone(t.failures), t.skipped...) {
		text += "\n  " + name
	}
	return text
}

// event is what go test -json prints.
type event struct {
	Action, Package, Test, Output string
}

// goTest runs the tests of a job, keeps their output in a log file and counts them. A subtest that is skipped counts
// as a skip, since it hides in a parent that passed.
func goTest(ctx context.Context, s *simulator, j job) (tally, error) {
	args := []string{"test", "-json", "-count=1", "-p", "1", "-timeout", "20m"}
	if j.run != "" {
		args = append(args, "-run", j.run)
	}
	if j.skip != "" {
		args = append(args, "-skip", j.skip)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, j.packages...)...)
	cmd.Env = goEnv(j.env...)
	log, err := os.Create(s.file(j.log + ".log"))
	if err != nil {
		return tally{}, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return tally{}, err
	}
	if err := cmd.Start(); err != nil {
		return tally{}, err
	}
	var t tally
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(log, lines.Text())
			continue
		}
		if _, err := log.WriteString(e.Output); err != nil {
			return t, err
		}
		t.count(e)
	}
	if err := lines.Err(); err != nil {
		return t, err
	}
	// The exit code says no more than the events, but for a package that did not build or crashed.
	if err := cmd.Wait(); err != nil && t.failed == 0 {
		return t, fmt.Errorf("running go test: %w; see %s", err, log.Name())
	}
	if t.passed == 0 {
		return t, fmt.Errorf("no test ran; see %s", log.Name())
	}
	return t, nil
}

func (t *tally) count(e event) {
	name := strings.TrimPrefix(e.Package, module) + " " + e.Test
	top := e.Test != "" && !strings.Contains(e.Test, "/")
	switch {
	case e.Action == "pass" && top:
		t.passed++
	case e.Action == "fail" && top:
		t.failed++
		t.failures = append(t.failures, "failed:"+name)
	case e.Action == "skip" && e.Test != "":
		t.skipped = append(t.skipped, "skipped:"+name)
	}
}
