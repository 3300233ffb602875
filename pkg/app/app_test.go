package app_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStartServeStop(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			p := newProgram(nil, "--set", "demo.password=hunter2", "--clock-offset", "48h")
			p.start(t.Context())
			started := p.logged(t, "started")
			require.Equal(t, "demo", started["service"])
			require.Equal(t, app.Version(), started["version"])
			require.Regexp(t, "^[0-9a-f]{12}$", started["config_hash"])
			base := p.adminURL(t)

			require.Equal(t, "ok\n", get(t, base+"/healthz", ""))
			require.Equal(t, "ok\n", get(t, base+"/readyz", ""))
			require.Contains(t, get(t, base+"/metrics", ""), "go_goroutines")
			require.Contains(t, get(t, base+"/config", ""), "greeting: hello\n  password: \"[redacted]\"\n")
			require.Empty(t, cmp.Diff(`app:
  clock:
    offset: 2d
demo:
  password: "[redacted]"
`, get(t, base+"/config?mode=diff", "")))

			p.signals <- signal
			stopped := p.logged(t, "stopped")
			require.Equal(t, started["config_hash"], stopped["config_hash"])
			require.Equal(t, app.ExitClean, <-p.exit)
			require.NotContains(t, p.stderr.String(), "hunter2")
			require.WithinDuration(t, time.Now().Add(48*time.Hour), p.set.Clock.Now(), time.Minute)
			require.Equal(t, lifecycle.DefaultDrain, p.set.Drain)
		})
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	release, returned := make(chan struct{}), make(chan struct{})
	p := newProgram(func(context.Context) error {
		defer close(returned)
		<-release
		return nil
	})
	p.start(t.Context())
	p.logged(t, "ready")
	p.signals <- syscall.SIGTERM
	p.logged(t, "stopping")
	p.signals <- syscall.SIGTERM
	require.Equal(t, app.ExitFailure, <-p.exit)
	require.Equal(t, "stopped by a second signal", p.logged(t, "stopped")["err"])
	close(release)
	<-returned
}

func TestHowItEndsIsTheExitCode(t *testing.T) {
	cases := map[string]struct {
		run  func(context.Context) error
		args []string
		stop bool
		exit int
		err  any // of the line stopped
	}{
		"ends by itself": {func(context.Context) error { return nil }, nil, false, app.ExitClean, nil},
		"fails": {
			func(context.Context) error { return errors.New("broken") }, nil, false, app.ExitFailure, "demo: broken",
		},
		"late": {func(ctx context.Context) error {
			<-ctx.Done()
			drain, cancel := lifecycle.Draining(ctx)
			defer cancel()
			<-drain.Done()
			return context.Cause(drain)
		}, []string{"--set=app.drain_timeout=10ms"}, true, app.ExitFailure, "demo: drain budget exceeded"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newProgram(tc.run, tc.args...)
			p.start(t.Context())
			if tc.stop {
				p.logged(t, "ready")
				p.signals <- syscall.SIGTERM
			}
			require.Equal(t, tc.err, p.logged(t, "stopped")["err"])
			require.Equal(t, tc.exit, <-p.exit)
		})
	}
}

func TestTheContextStopsItToo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newProgram(nil)
	p.start(ctx)
	p.logged(t, "ready")
	cancel()
	require.Equal(t, app.ExitClean, <-p.exit)
}

func TestWhatDoesNotStart(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"unknown flag": {[]string{"--nope"}, "demo: unknown flag: --nope\n"},
		"argument":     {[]string{"x"}, "demo: unknown command \"x\" for \"demo\"\n"},
		"missing file": {
			[]string{"--config", "none.yaml"}, "demo: reading config: open none.yaml: no such file or directory\n",
		},
		"wrong config": {
			[]string{"--set=demo.greeting=", "--clock-speed=0", "--admin-address=:80", "--set=app.drain_timeout=0s", "--log-format=xml"},
			`demo: --set: app.log.format: must be json or text
--set: app.admin.address: must be a loopback host:port, unless a token is set
--set: app.clock.speed: must be positive
--set: app.drain_timeout: must be positive
--set: demo.greeting: must not be empty
`,
		},
		"refused by New": {[]string{"--set=demo.greeting=refused"}, "demo: refusing the greeting\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			p := newProgram(nil, tc.args...)
			require.Equal(t, app.ExitUsage, p.run(t.Context()))
			require.Equal(t, tc.want, p.stderr.String())
			require.Empty(t, p.stdout.String())
		})
	}
}

func TestCheckConfigPrintsWhatWouldRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entraflow.yaml")
	require.NoError(t, os.WriteFile(path, []byte("demo: {greeting: file, password: hunter2}\nother: {}\n"), 0o600))
	p := newProgram(nil, "--config", path, "--check-config", "--once")
	p.process.Env = []string{"ENTRAFLOW_APP_LOG_LEVEL=debug", "ENTRAFLOW_DEMO_GREETING=env"}
	require.Equal(t, app.ExitClean, p.run(t.Context()), p.stderr.String())
	require.Empty(t, cmp.Diff(`app:
  log:
    level: DEBUG
    format: json
  admin:
    address: 127.0.0.1:0
    token: ""
  clock:
    offset: 0s
    speed: 1.0
  drain_timeout: 25s
demo:
  greeting: env
  password: "[redacted]"
  once: true
`, p.stdout.String()))
	require.Empty(t, p.stderr.String())
}

func TestAProgramOfSeveralServicesKnowsItsSections(t *testing.T) {
	type all struct{ One, Two demoConfig }
	path := filepath.Join(t.TempDir(), "entraflow.yaml")
	require.NoError(t, os.WriteFile(path, []byte("one: {greeting: a}\ntwo: {greeting: ''}\nthree: {}\n"), 0o600))
	service := app.Service[all]{
		Name: "all", Default: func() all { return all{} },
		Sections: func(c *all) []config.Section {
			return []config.Section{{Name: "one", Config: &c.One}, {Name: "two", Config: &c.Two}}
		},
	}
	var stderr bytes.Buffer
	p := app.Process{Args: []string{"--config", path, "--check-config"}, Stdout: io.Discard, Stderr: &stderr}
	require.Equal(t, app.ExitUsage, app.Execute(t.Context(), p, app.Command(p, service)))
	require.Equal(t, "all: "+path+":3: three: unknown section; known are app, one, two\n", stderr.String())

	require.NoError(t, os.WriteFile(path, []byte("one: {greeting: a}\ntwo: {greeting: ''}\n"), 0o600))
	stderr.Reset()
	require.Equal(t, app.ExitUsage, app.Execute(t.Context(), p, app.Command(p, service)))
	require.Equal(t, "all: "+path+":2: two.greeting: must not be empty\n", stderr.String())
}

func TestFlagsThatOnlyPrint(t *testing.T) {
	for arg, want := range map[string]string{
		"--version": "demo version " + app.Version(),
		"--help":    "Shows how it is done.",
	} {
		p := newProgram(nil, arg)
		require.Equal(t, app.ExitClean, p.run(t.Context()))
		require.True(t, strings.HasPrefix(p.stdout.String(), want), p.stdout.String())
	}
	p := newProgram(nil, "completion", "bash")
	require.Equal(t, app.ExitClean, p.run(t.Context()))
	require.Contains(t, p.stdout.String(), "__start_demo")
}

func TestCommandsOfAProgramOfItsOwn(t *testing.T) {
	cases := map[string]struct {
		err  error
		exit int
	}{
		"clean":  {nil, app.ExitClean},
		"failed": {errors.New("broken"), app.ExitFailure},
		"usage":  {app.UsageError{Err: errors.New("broken")}, app.ExitUsage},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := newProgram(nil, "work")
			root := &cobra.Command{Use: "root"}
			root.AddCommand(&cobra.Command{Use: "work", RunE: func(*cobra.Command, []string) error { return tc.err }})
			require.Equal(t, tc.exit, app.Execute(t.Context(), p.process, root))
			if tc.err != nil {
				require.Equal(t, "root: broken\n", p.stderr.String())
			}
		})
	}
}

func TestUnknownVariablesAreNamed(t *testing.T) {
	p := newProgram(nil)
	p.process.Env = []string{"ENTRAFLOW_DEMO_PORT=tcp://10.0.0.1:80"}
	p.start(t.Context())
	warning := p.logged(t, "environment variables set no key")
	require.Equal(t, []any{"ENTRAFLOW_DEMO_PORT"}, warning["names"])
	p.signals <- syscall.SIGTERM
	require.Equal(t, app.ExitClean, <-p.exit)
}

func TestAdminAsksForItsToken(t *testing.T) {
	p := newProgram(nil, "--set=app.admin.token=right")
	p.start(t.Context())
	base := p.adminURL(t)
	require.Equal(t, "a bearer token is needed\n", get(t, base+"/config", ""))
	require.Contains(t, get(t, base+"/config", "Bearer right"), "greeting: hello")
	p.signals <- syscall.SIGTERM
	require.Equal(t, app.ExitClean, <-p.exit)
}

func TestAdminCanBeOff(t *testing.T) {
	p := newProgram(nil, "--admin-address=")
	p.start(t.Context())
	require.Empty(t, p.logged(t, "ready")["admin_address"])
	p.signals <- syscall.SIGTERM
	require.Equal(t, app.ExitClean, <-p.exit)
}

func TestASettingHasOneServiceName(t *testing.T) {
	var out bytes.Buffer
	set := app.Settings{Logger: slog.New(slog.NewTextHandler(&out, nil))}.For("entraflow")
	set.For("streamer").Logger.Info("x")
	require.Equal(t, 1, strings.Count(out.String(), "service="))
	require.Contains(t, out.String(), "service=streamer")
}

func TestSettingsOfATestAreComplete(t *testing.T) {
	set := apptest.Settings(t).For("demo")
	require.NotNil(t, set.Registry)
	require.Positive(t, set.Drain)
	set.Logger.Debug("shown with the test")
}

func TestPrepareCompletesTheConfig(t *testing.T) {
	p := newProgram(nil)
	p.service.Prepare = func(c demoConfig, program *app.Config) error {
		require.Equal(t, "hello", c.Greeting)
		program.Admin.Token = config.NewSecret("made-at-first-start")
		return nil
	}
	p.start(t.Context())
	base := p.adminURL(t)
	require.Equal(t, "ok\n", get(t, base+"/healthz", ""))
	require.Equal(t, "a bearer token is needed\n", get(t, base+"/metrics", ""))
	require.Contains(t, get(t, base+"/metrics", "Bearer made-at-first-start"), "go_goroutines")
	p.signals <- syscall.SIGTERM
	require.Equal(t, app.ExitClean, <-p.exit)
}

func TestPrepareThatFailsStartsNothing(t *testing.T) {
	p := newProgram(nil)
	p.service.Prepare = func(demoConfig, *app.Config) error { return errors.New("no room") }
	require.Equal(t, app.ExitUsage, p.run(t.Context()))
	require.Contains(t, p.stderr.String(), "preparing to run: no room")
	require.NotContains(t, p.stderr.String(), "started")
}
