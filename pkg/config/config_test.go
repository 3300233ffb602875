package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a config with every kind of value there is.
type service struct {
	Name     string            `yaml:"name"`
	Enabled  bool              `yaml:"enabled"`
	Workers  int               `yaml:"workers"`
	Small    uint8             `yaml:"small"`
	Ratio    float64           `yaml:"ratio"`
	Wait     time.Duration     `yaml:"wait"`
	Size     config.Bytes      `yaml:"size"`
	Network  netip.Prefix      `yaml:"network"`
	Since    time.Time         `yaml:"since,omitempty"`
	Password config.Secret     `yaml:"password"`
	Tenants  []string          `yaml:"tenants"`
	Labels   map[string]string `yaml:"labels"`
	Hubs     []hub             `yaml:"hubs"`
	Limits   limits            `yaml:"limits"`
	shared   `yaml:",inline"`
	Hidden   int `yaml:"-"`
}

type shared struct {
	Region string `yaml:"region"`
}

type limits struct {
	Rows int `yaml:"rows"`
}

type hub struct {
	Name       string        `yaml:"name"`
	Group      string        `yaml:"group"`
	Connection config.Secret `yaml:"connection"`
}

func (h *hub) SetDefaults() { h.Group = "$Default" }

func (s service) Validate() error {
	var p config.Problems
	p.Check(s.Workers > 0, "workers", "must be positive")
	p.Under("limits", s.Limits.Validate())
	return p.Err()
}

func (l limits) Validate() error {
	var p config.Problems
	p.Check(l.Rows >= 0, "rows", "must not be negative")
	return p.Err()
}

func defaults() service {
	return service{
		Name: "streamer", Workers: 4, Wait: time.Second, Size: config.MiB, Limits: limits{Rows: 10},
		Network: netip.MustParsePrefix("127.0.0.0/8"),
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func load(src config.Source) (service, config.Report, error) {
	s := defaults()
	report, err := config.Load(src, config.Section{Name: "streamer", Config: &s})
	return s, report, err
}

func requireConfig(t *testing.T, want, got service) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got,
		cmp.AllowUnexported(service{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })))
}

func TestLoadNothingGivesTheDefaults(t *testing.T) {
	got, _, err := load(config.Source{})
	require.NoError(t, err)
	requireConfig(t, defaults(), got)
}

func TestLoadReadsEveryKind(t *testing.T) {
	secret := write(t, "secret", "hunter2\n")
	path := write(t, "entraflow.yaml", `
sink: {anything: [goes, here]}
streamer:
  name: 007
  enabled: true
  workers: 8
  small: 255
  ratio: 0.5
  wait: 7d
  size: 64MiB
  network: 10.0.0.0/8
  since: 2026-01-02T03:04:05Z
  password_file: `+secret+`
  tenants: [a, "b"]
  labels:
    team: identity
    site: |-
      two
      lines
  hubs:
    - name: logs
      connection: Endpoint=sb://x/;SharedAccessKey=k=
    - {name: more, group: mine}
  limits:
  region: west
`)
	got, _, err := load(config.Source{File: path})
	require.NoError(t, err)
	requireConfig(t, service{
		Name: "007", Enabled: true, Workers: 8, Small: 255, Ratio: 0.5, Wait: 7 * 24 * time.Hour,
		Size: 64 * config.MiB, Network: netip.MustParsePrefix("10.0.0.0/8"),
		Since:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Password: config.NewSecret("hunter2"), Tenants: []string{"a", "b"},
		Labels: map[string]string{"team": "identity", "site": "two\nlines"},
		Hubs: []hub{
			{Name: "logs", Group: "$Default", Connection: config.NewSecret("Endpoint=sb://x/;SharedAccessKey=k=")},
			{Name: "more", Group: "mine"},
		},
		Limits: limits{Rows: 10}, shared: shared{Region: "west"},
	}, got)
}

func TestFlagsOverrideVariablesOverrideTheFile(t *testing.T) {
	path := write(t, "entraflow.yaml", "streamer: {name: file, workers: 1, wait: 1s, hubs: [{name: file}]}")
	secret := write(t, "secret", "from file")
	got, report, err := load(config.Source{
		File: path,
		Env: []string{
			"ENTRAFLOW_STREAMER_WORKERS=2", "ENTRAFLOW_STREAMER_WAIT=2s", "ENTRAFLOW_STREAMER_LIMITS_ROWS=2",
			"ENTRAFLOW_STREAMER_HUBS_0_NAME=first", "ENTRAFLOW_STREAMER_HUBS_0_CONNECTION_FILE=" + secret,
			"ENTRAFLOW_STREAMER_PORT=tcp://10.0.0.1:80", "ENTRAFLOW_SINK_NAME=other", "HOME=/",
		},
		Set: []string{"streamer.wait=3s", "streamer.labels={a: b=c}", "streamer.password=a=b: c"},
	})
	require.NoError(t, err)
	want := defaults()
	want.Name, want.Workers, want.Wait, want.Limits.Rows = "file", 2, 3*time.Second, 2
	want.Hubs = []hub{{Name: "first", Group: "$Default", Connection: config.NewSecret("from file")}}
	want.Labels = map[string]string{"a": "b=c"}
	want.Password = config.NewSecret("a=b: c")
	requireConfig(t, want, got)
	require.Equal(t, []string{"ENTRAFLOW_STREAMER_PORT"}, report.UnknownEnv)
}

func TestAListSetByAVariableCanBeChangedByElement(t *testing.T) {
	got, _, err := load(config.Source{
		Env: []string{"ENTRAFLOW_STREAMER_HUBS_1_GROUP=g", "ENTRAFLOW_STREAMER_HUBS=[{name: a}, {name: b}]"},
	})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]hub{{Name: "a", Group: "$Default"}, {Name: "b", Group: "g"}}, got.Hubs))
}

func TestFaultsAreNamedByPlaceAndKeyPath(t *testing.T) {
	cases := map[string]struct {
		file string
		env  []string
		set  []string
		want []string // without the folder of the file
	}{
		"unknown keys": {
			file: "streamer:\n  nam: x\n  limits:\n    row: 1\n  hubs:\n    - {names: y}\n",
			want: []string{
				"f.yaml:2: streamer.nam: unknown key; known are name, enabled, workers, small, ratio, wait, size," +
					" network, since, password, tenants, labels, hubs, limits, region",
				"f.yaml:4: streamer.limits.row: unknown key; known are rows",
				"f.yaml:6: streamer.hubs.0.names: unknown key; known are name, group, connection",
			},
		},
		"wrong kinds": {
			file: "streamer:\n  workers: many\n  small: 256\n  enabled: yes\n  wait: 30\n  size: 1.5MiB\n" +
				"  limits: 3\n  hubs: {}\n  labels: []\n  tenants: a\n  name: [a]\n  ratio:\n  region: &a x\n",
			want: []string{
				"f.yaml:2: streamer.workers: must be a number that fits int",
				"f.yaml:3: streamer.small: must be a number that fits uint8",
				"f.yaml:4: streamer.enabled: must be true or false",
				"f.yaml:5: streamer.wait: must be a duration such as 30s, 12h or 7d",
				"f.yaml:6: streamer.size: must be a size such as 64MiB",
				"f.yaml:7: streamer.limits: must be a mapping of keys to values",
				"f.yaml:8: streamer.hubs: must be a list",
				"f.yaml:9: streamer.labels: must be a mapping of keys to values",
				"f.yaml:10: streamer.tenants: must be a list",
				"f.yaml:11: streamer.name: must be a single value",
				"f.yaml:12: streamer.ratio: has no value",
				"f.yaml:13: streamer.region: must be a single value",
			},
		},
		"no YAML": {
			file: "streamer:\n  password: \"hunter2\n",
			want: []string{"f.yaml:2: is no YAML: could not find end character of double-quoted text"},
		},
		"twice": {
			file: "streamer:\n  name: a\n  name: b\n",
			want: []string{`f.yaml:3: is no YAML: mapping key "name" already defined at [2:3]`},
		},
		"two documents": {
			file: "streamer: {}\n---\nstreamer: {}\n",
			want: []string{"f.yaml: must hold one YAML document"},
		},
		"misspelled section": {
			file: "app: {}\nstreemer: {}\n",
			want: []string{
				"f.yaml:1: app: unknown section; known are streamer",
				"f.yaml:2: streemer: unknown section; known are streamer",
			},
		},
		"not a mapping": {file: "- a\n", want: []string{"f.yaml:1: must be a mapping of keys to values"}},
		"secret and its file": {
			file: "streamer:\n  password_file: a\n  password: b\n",
			want: []string{
				"f.yaml:2: streamer.password_file: reading secret: open a: no such file or directory",
				"f.yaml:3: streamer.password: must not be set together with its file",
			},
		},
		"redacted": {
			file: "streamer: {password: '[redacted]'}",
			want: []string{"f.yaml:1: streamer.password: is redacted; set the secret itself"},
		},
		"variables and flags": {
			env: []string{"ENTRAFLOW_STREAMER_WORKERS=x", "ENTRAFLOW_STREAMER_HUBS=[{nam: x}]"},
			set: []string{"streamer.nam=x", "streamer.wait", "streamer.labels=["},
			want: []string{
				"ENTRAFLOW_STREAMER_HUBS: streamer.hubs.0.nam: unknown key; known are name, group, connection",
				"ENTRAFLOW_STREAMER_WORKERS: streamer.workers: must be a number that fits int",
				"--set: streamer.nam: unknown key",
				"--set: streamer.wait: needs the form key.path=value",
				"--set: streamer.labels: is no YAML: sequence end token ']' not found",
			},
		},
		"judged by the config": {
			file: "streamer:\n  workers: 0\n",
			set:  []string{"streamer.limits.rows=-1"},
			want: []string{
				"f.yaml:2: streamer.workers: must be positive",
				"--set: streamer.limits.rows: must not be negative",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			require.NoError(t, os.WriteFile("f.yaml", []byte(tc.file), 0o600))
			_, _, err := load(config.Source{File: "f.yaml", Env: tc.env, Set: tc.set})
			var invalid *config.InvalidError
			require.ErrorAs(t, err, &invalid)
			var got []string
			for _, p := range invalid.Problems {
				got = append(got, p.String())
			}
			require.Empty(t, cmp.Diff(tc.want, got))
		})
	}
}

func TestSectionsOfOthers(t *testing.T) {
	path := write(t, "entraflow.yaml", "streamer: {workers: 2}\nsink: {}\n")
	got, _, err := load(config.Source{File: path})
	require.NoError(t, err)
	require.Equal(t, 2, got.Workers)
	_, _, err = load(config.Source{File: path, Exclusive: true})
	require.EqualError(t, err, path+":2: sink: unknown section; known are streamer")
}

func TestAMissingFileIsAnError(t *testing.T) {
	_, _, err := load(config.Source{File: filepath.Join(t.TempDir(), "none.yaml")})
	require.ErrorIs(t, err, os.ErrNotExist)
	var invalid *config.InvalidError
	require.NotErrorAs(t, err, &invalid)
}

func TestConfigsThatCannotBeSetAreRefused(t *testing.T) {
	cases := map[string]any{
		"no pointer": service{},
		"no struct":  new(int),
		"no tag":     &struct{ Name string }{},
		"nested": &struct {
			L []struct{ Name string } `yaml:"l"`
		}{},
		"pointer": &struct {
			P *int `yaml:"p"`
		}{},
		"keys": &struct {
			M map[int]string `yaml:"m"`
		}{},
		"same name": &struct {
			A string `yaml:"a_b"`
			B struct {
				C string `yaml:"b"`
			} `yaml:"a"`
		}{},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Source{}, config.Section{Name: "x", Config: c})
			require.ErrorIs(t, err, config.ErrShape)
		})
	}
}

func TestRenderedConfigLoadsAgain(t *testing.T) {
	first := defaults()
	first.Wait, first.Size, first.Tenants = 36*time.Hour, 3*config.GiB, []string{"true", "a: b", ""}
	first.Labels = map[string]string{"b": "1", "a": "x\ny"}
	first.Hubs = []hub{{Name: "logs", Group: "g"}}
	text, err := config.Render(config.Section{Name: "streamer", Config: &first})
	require.NoError(t, err)
	again, _, err := load(config.Source{File: write(t, "f.yaml", text)})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(first, again, cmp.AllowUnexported(service{}), cmpopts.EquateComparable(netip.Prefix{})))
	require.Regexp(t, "^[0-9a-f]{12}$", config.Hash(text))
}

func TestRenderHidesSecretsAndDiffShowsWhatWasChanged(t *testing.T) {
	was, is := defaults(), defaults()
	is.Limits.Rows, is.Password = 11, config.NewSecret("hunter2")
	is.Hubs = []hub{{Name: "logs", Connection: config.NewSecret("hunter2")}}
	got, err := config.RenderDiff(
		[]config.Section{{Name: "streamer", Config: &was}}, []config.Section{{Name: "streamer", Config: &is}})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(`streamer:
  password: "[redacted]"
  hubs:
    - name: logs
      group: ""
      connection: "[redacted]"
  limits:
    rows: 11
`, got))
	got, err = config.RenderDiff(
		[]config.Section{{Name: "streamer", Config: &was}}, []config.Section{{Name: "streamer", Config: &was}})
	require.NoError(t, err)
	require.Equal(t, "{}\n", got)
}
