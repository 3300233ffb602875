package clickhouse_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	store "github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
)

// The codes that Classify knows bear the names that the engine gives them.
func TestCodesHaveTheirNames(t *testing.T) {
	s := clickhousetest.New(t)
	for code, want := range store.CodesInSource(t) {
		var got string
		require.NoError(t, s.Conn().QueryRow(t.Context(), "SELECT errorCodeToName(?)", code).Scan(&got))
		require.Equal(t, want, got, "%d", code)
	}
}

func TestTestsHaveDatabasesOfTheirOwn(t *testing.T) {
	one, two := clickhousetest.New(t), clickhousetest.New(t)
	require.NotEqual(t, one.Database(), two.Database())
	require.NoError(t, one.Conn().Exec(t.Context(), "CREATE TABLE t (a UInt8) ENGINE = Memory"))
	require.Error(t, two.Conn().Exec(t.Context(), "SELECT * FROM t"))
}

// A store by DSN is the same store: here the engine behind a listener.
func TestOpenByDSN(t *testing.T) {
	engine := clickhousetest.New(t).Engine()
	server := httptest.NewServer(withPassword{engine})
	defer server.Close()
	cfg := store.DefaultConfig()
	cfg.DSN = config.NewSecret("http://" + server.Listener.Addr().String())
	cfg.Username, cfg.Password, cfg.Database = "dsn_user", config.NewSecret("dsn_password"), "by_dsn"
	for _, compression := range []string{"none", "lz4", "zstd"} {
		cfg.Compression = compression
		s, err := store.Open(t.Context(), cfg, store.Settings{})
		require.NoError(t, err)
		require.Nil(t, s.Engine())
		require.NoError(t, s.Conn().Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (a String) ENGINE = MergeTree ORDER BY a"))
		require.NoError(t, s.Conn().Exec(t.Context(), "INSERT INTO t VALUES (?)", compression))
		require.NoError(t, s.Close(t.Context()))
	}
	s, err := store.Open(t.Context(), cfg, store.Settings{})
	require.NoError(t, err)
	require.EqualValues(t, 3, single[uint64](t, s, "SELECT count() FROM by_dsn.t"))
	require.NoError(t, s.Conn().Exec(t.Context(), "DROP DATABASE by_dsn"))
	require.NoError(t, s.Close(t.Context()))

	cfg.Password = config.NewSecret("wrong")
	_, err = store.Open(t.Context(), cfg, store.Settings{})
	var exception *clickhouse.Exception
	require.ErrorAs(t, err, &exception)
	require.EqualValues(t, 516, exception.Code)
	require.Equal(t, store.FaultSetup, store.Classify(err))

	server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = store.Open(ctx, cfg, store.Settings{})
	require.Error(t, err)
	require.Equal(t, store.FaultTransient, store.Classify(err))
	require.NotContains(t, err.Error(), "wrong", "errors do not show passwords")
}

// A user who may only read opens a store that is there.
func TestOpenReadOnly(t *testing.T) {
	made := clickhousetest.New(t)
	server := httptest.NewServer(readOnly{withPassword{made.Engine()}})
	defer server.Close()
	cfg := store.DefaultConfig()
	cfg.DSN = config.NewSecret("http://" + server.Listener.Addr().String())
	cfg.Username, cfg.Password, cfg.Database = "dsn_user", config.NewSecret("dsn_password"), made.Database()

	_, err := store.Open(t.Context(), cfg, store.Settings{})
	var exception *clickhouse.Exception
	require.ErrorAs(t, err, &exception)
	require.EqualValues(t, 164, exception.Code, "READONLY: the user may make no database")

	s, err := store.Open(t.Context(), cfg, store.Settings{ReadOnly: true})
	require.NoError(t, err)
	require.EqualValues(t, 1, single[uint8](t, s, "SELECT 1"))
	require.NoError(t, s.Close(t.Context()))

	cfg.Database = "absent"
	_, err = store.Open(t.Context(), cfg, store.Settings{ReadOnly: true})
	require.ErrorAs(t, err, &exception)
	require.EqualValues(t, 81, exception.Code, "UNKNOWN_DATABASE")
}

func TestConfigValidate(t *testing.T) {
	valid := func(change func(*store.Config)) store.Config {
		cfg := store.DefaultConfig()
		cfg.Embedded.DataDir = "x"
		change(&cfg)
		return cfg
	}
	dsn := func(text string) func(*store.Config) {
		return func(c *store.Config) { c.DSN, c.Embedded.DataDir = config.NewSecret(text), "" }
	}
	for name, tc := range map[string]struct {
		cfg  store.Config
		want string
	}{
		"embedded":         {valid(func(*store.Config) {}), ""},
		"native":           {valid(dsn("clickhouse://u:p@a:9000,b:9000/entraflow?dial_timeout=5s")), ""},
		"http":             {valid(dsn("http://a:8123")), ""},
		"https":            {valid(dsn("https://u:p@a:8443/entraflow")), ""},
		"no data folder":   {valid(func(c *store.Config) { c.Embedded.DataDir = "" }), "embedded.data_dir"},
		"scheme":           {valid(dsn("tcp://a:1")), "dsn"},
		"no host":          {valid(dsn("clickhouse:///x")), "dsn"},
		"other database":   {valid(dsn("clickhouse://a:9000/other")), "dsn"},
		"cluster embedded": {valid(func(c *store.Config) { c.Cluster = "c" }), "cluster"},
		"database":         {valid(func(c *store.Config) { c.Database = "a b" }), "database"},
		"no database":      {valid(func(c *store.Config) { c.Database = "" }), "database"},
		"compression":      {valid(func(c *store.Config) { c.Compression = "rar" }), "compression"},
		"connections":      {valid(func(c *store.Config) { c.MaxConnections = 0 }), "max_connections"},
		"timeouts":         {valid(func(c *store.Config) { c.DialTimeout, c.ReadTimeout = 0, 0 }), "dial_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.cfg.Validate()
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// readOnly lets statements through that only read, as the engine does for a user of that kind.
type readOnly struct{ http.Handler }

func (h readOnly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	query.Set("readonly", "2")
	r.URL.RawQuery = query.Encode()
	h.Handler.ServeHTTP(w, r)
}

// withPassword is the shared engine, which has no users, for one user.
type withPassword struct{ engine *embedded.Engine }

func (h withPassword) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, password, _ := r.BasicAuth(); name != "dsn_user" || password != "dsn_password" {
		w.Header().Set("X-ClickHouse-Exception-Code", "516")
		http.Error(w, "Code: 516. DB::Exception: no. (AUTHENTICATION_FAILED)", http.StatusUnauthorized)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.URL.Host = "http", "embedded" },
		Transport: embedded.RoundTripper(h.engine),
	}
	proxy.ServeHTTP(w, r)
}
