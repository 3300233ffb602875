package rest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
)

func TestHostileRequestsAreRefusedClearly(t *testing.T) {
	w := newWorld(t, answers{})
	const search, list = "/v1/sign-ins:search", "/v1/integrations"
	text := func(contentTypes ...string) func(*http.Request) { return with("Content-Type", contentTypes...) }
	cases := map[string]struct {
		verb, path, body string
		change           func(*http.Request)
		status           int
		reason, message  string
	}{
		"oversized body":        {"POST", search, `{"pageToken":"` + strings.Repeat("a", 2<<20) + `"}`, nil, 413, "BODY_TOO_LARGE", "too large"},
		"deep body":             {"POST", search, strings.Repeat(`{"filter":`, 50_000), nil, 400, "REQUEST_MALFORMED", "cannot be read"},
		"deep array":            {"POST", search, strings.Repeat("[", 900_000), nil, 400, "REQUEST_MALFORMED", "cannot be read"},
		"deep patch":            {"PATCH", "/v1/integrations/a", strings.Repeat(`{"a":`, 100_000), nil, 400, "REQUEST_MALFORMED", "cannot be read"},
		"cut":                   {"POST", search, `{"filter":{`, nil, 400, "REQUEST_MALFORMED", "cannot be read"},
		"two values":            {"POST", search, `{} {}`, nil, 400, "REQUEST_MALFORMED", "cannot be read"},
		"two values of a field": {"PATCH", "/v1/integrations/a", `{} {}`, nil, 400, "REQUEST_MALFORMED", "cannot be read"},
		"twice":                 {"POST", search, `{"pageSize":1,"pageSize":2}`, nil, 400, "REQUEST_MALFORMED", `duplicate field "pageSize"`},
		"unknown field":         {"POST", search, `{"pageSise":1}`, nil, 400, "REQUEST_MALFORMED", `unknown field "pageSise"`},
		"unknown in patch":      {"PATCH", "/v1/integrations/a", `{"nome":1}`, nil, 400, "REQUEST_MALFORMED", "nome"},
		"bytes in body":         {"POST", search, "{\"pageToken\":\"\xff\xfe\"}", nil, 400, "REQUEST_MALFORMED", "invalid UTF-8"},
		"bytes in patch":        {"PATCH", "/v1/integrations/a", "{\"displayName\":\"\xff\xfe\"}", nil, 400, "REQUEST_MALFORMED", "invalid UTF-8"},
		"form":                  {"POST", search, `pageSize=1`, text("application/x-www-form-urlencoded"), 415, "CONTENT_TYPE_WRONG", "must be JSON"},
		"form as list":          {"POST", list, ``, text("application/x-www-form-urlencoded"), 400, "REQUEST_INVALID", "not valid"},
		"no type":               {"POST", search, `{}`, text(), 415, "CONTENT_TYPE_WRONG", "must be JSON"},
		"two types":             {"POST", search, `{}`, text("application/json", "text/plain"), 415, "CONTENT_TYPE_WRONG", "must be JSON"},
		"body of get":           {"GET", list, `{"pageSize":1}`, nil, 400, "BODY_UNEXPECTED", "takes no body"},
		"unknown key":           {"GET", list + "?pageSise=1", "", nil, 400, "FIELD_UNKNOWN", "pageSise"},
		"deep key":              {"GET", list + "?" + strings.Repeat("a.", 1000) + "a=1", "", nil, 400, "FIELD_UNKNOWN", "a.a."},
		"key in scalar":         {"GET", list + "?pageSize.a=1", "", nil, 400, "FIELD_UNKNOWN", "pageSize.a"},
		"key of body":           {"POST", search + "?pageSize=1", "{}", nil, 400, "FIELD_MISPLACED", "pageSize"},
		"key of path":           {"GET", "/v1/integrations/a?name=integrations/b", "", nil, 400, "FIELD_MISPLACED", "name"},
		"key of patch":          {"PATCH", "/v1/integrations/a?integration.display_name=b", "{}", nil, 400, "FIELD_MISPLACED", "integration.display_name"},
		"no number":             {"GET", list + "?pageSize=many", "", nil, 400, "REQUEST_MALFORMED", "page_size"},
		"huge page":             {"GET", list + "?pageSize=2000000000", "", nil, 400, "REQUEST_INVALID", "not valid"},
		"huger page":            {"GET", list + "?pageSize=99999999999999999999", "", nil, 400, "REQUEST_MALFORMED", "page_size"},
		"negative page":         {"GET", list + "?pageSize=-1", "", nil, 400, "REQUEST_INVALID", "not valid"},
		"two numbers":           {"GET", list + "?pageSize=1&pageSize=2", "", nil, 400, "REQUEST_MALFORMED", "page_size"},
		"no time":               {"GET", "/v1/events:subscribe?startTime=noon", "", nil, 400, "REQUEST_MALFORMED", "start_time"},
		"bytes in query":        {"GET", list + "?pageToken=%ff%fe", "", nil, 400, "QUERY_MALFORMED", "not well formed"},
		"bytes in key":          {"GET", list + "?%ff=1", "", nil, 400, "QUERY_MALFORMED", "not well formed"},
		"half escape":           {"GET", list + "?pageToken=%f", "", nil, 400, "QUERY_MALFORMED", "not well formed"},
		"semicolon":             {"GET", list + "?a;b", "", nil, 400, "QUERY_MALFORMED", "not well formed"},
		"bytes in path":         {"GET", "/v1/directory/users/%ff", "", nil, 400, "PATH_MALFORMED", "not well formed"},
		"unknown path":          {"GET", "/v2/integrations", "", nil, 404, "PATH_UNKNOWN", "nothing at this path"},
		"root":                  {"GET", "/", "", nil, 404, "PATH_UNKNOWN", "nothing at this path"},
		"grpc path":             {"POST", "/entraflow.control.v1.IntegrationService/ListIntegrations", "{}", nil, 404, "PATH_UNKNOWN", "nothing"},
		"slash behind":          {"GET", list + "/", "", nil, 400, "REQUEST_INVALID", "not valid"},
		"traversal":             {"GET", "/docs/../../etc/passwd", "", nil, 404, "", ""},
		"encoded traversal":     {"GET", "/docs/%2e%2e/%2e%2e/etc/passwd", "", nil, 404, "", ""},
		"traversal in name":     {"GET", "/v1/integrations/..", "", nil, 400, "REQUEST_INVALID", "not valid"},
		"slash in name":         {"GET", "/v1/integrations/a%2Fruns", "", nil, 400, "REQUEST_INVALID", "not valid"},
		"double encoded":        {"GET", "/v1/integrations/a%252Fb", "", nil, 400, "REQUEST_INVALID", "not valid"},
		"nul":                   {"GET", "/v1/integrations/a%00", "", nil, 400, "REQUEST_INVALID", "not valid"},
		"wrong verb":            {"PUT", list, "{}", nil, 405, "HTTP_METHOD_WRONG", "not served"},
		"own verb":              {"SMUGGLE", list, "", nil, 405, "HTTP_METHOD_WRONG", "not served"},
		"trace":                 {"TRACE", list, "", nil, 405, "HTTP_METHOD_WRONG", "not served"},
		"head":                  {"HEAD", list, "", nil, 405, "", ""},
		"override":              {"POST", "/v1/integrations/a", "", with("X-Http-Method-Override", "DELETE"), 405, "HTTP_METHOD_WRONG", "not served"},
		"post for get":          {"POST", "/v1/sign-ins", "pageSize=1", text("application/x-www-form-urlencoded"), 405, "HTTP_METHOD_WRONG", "not served"},
		"bad timeout":           {"GET", list, "", with("Grpc-Timeout", "soon"), 400, "REQUEST_MALFORMED", "grpc-timeout"},
		"huge id":               {"GET", "/v1/events:subscribe", "", with("Last-Event-Id", strings.Repeat("a", 9000)), 400, "REQUEST_INVALID", "not valid"},
		"docs by post":          {"POST", "/openapi.json", "{}", nil, 405, "HTTP_METHOD_WRONG", "not served"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var change []func(*http.Request)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			got := w.send(t, tc.verb, tc.path, tc.body, change...)
			require.Equal(t, tc.status, got.status, got.body)
			if tc.reason != "" {
				require.Contains(t, requireRefused(t, got, tc.status, tc.reason).Message, tc.message)
			}
			require.Less(t, len(got.body), 2000)
		})
	}
	require.Empty(t, w.calls, "nothing of this may reach a method")
	require.Equal(t, http.StatusOK, w.send(t, "GET", list, "").status)
}

func TestAWrongVerbIsToldTheRightOnes(t *testing.T) {
	w := newWorld(t, answers{})
	for path, want := range map[string]string{
		"/v1/integrations": "GET, POST", "/v1/integrations/contoso": "DELETE, GET, PATCH",
		"/v1/integrations/contoso/runs": "GET", "/v1/events:subscribe": "GET, POST", "/openapi.json": "GET, HEAD",
	} {
		require.Equal(t, want, w.send(t, "OPTIONS", path, "").header.Get("Allow"), path)
	}
}

// raw sends bytes and returns what comes back until the connection is closed.
func (w *world) raw(t *testing.T, parts ...string) string {
	t.Helper()
	conn := w.dial(t)
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			break // refused before it was all sent
		}
	}
	answer, _ := io.ReadAll(conn) // a reset is an end too
	return string(answer)
}

func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.front.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func TestHeaderFloodsAreCutOff(t *testing.T) {
	w := newWorld(t, answers{})
	const line = "GET /v1/integrations HTTP/1.1\r\nHost: x\r\n"
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "X-%d: %d\r\n", i, i)
	}
	for name, request := range map[string]string{
		"one long":   line + "X-Long: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"many":       line + many.String() + "\r\n",
		"long token": line + "Authorization: Bearer " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"long path":  "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		require.Regexp(t, `^HTTP/1\.1 4(31|14)|^$`, w.raw(t, request), name)
	}
	require.Equal(t, http.StatusOK, w.send(t, "GET", "/v1/integrations", "").status)
}

func TestRequestsThatAreNoneAreRefused(t *testing.T) {
	w := newWorld(t, answers{})
	const ask = "GET /v1/integrations HTTP/1.1\r\n"
	for name, request := range map[string]string{
		"no host":       ask + "\r\n",
		"two lengths":   "POST /v1/sign-ins:search HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"both lengths":  "POST /v1/sign-ins:search HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\n{}",
		"space in name": ask + "Host: x\r\nAuthorization : Bearer x\r\n\r\n",
		"folded":        ask + "Host: x\r\n Authorization: Bearer x\r\n\r\n",
		"no http":       "\x16\x03\x01\x00\xff\r\n\r\n",
		"star":          "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"connect":       "CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\nConnection: close\r\n\r\n",
	} {
		require.Regexp(t, `^HTTP/1\.[01] (400|405|501)`, w.raw(t, request), name)
	}
}

// A client that sends a byte at a time must not hold its connection for longer than the timeouts say.
func TestSlowClientsAreCutOff(t *testing.T) {
	w := newWorld(t, answers{change: func(c *rest.Config, _ *rest.Settings) {
		c.ReadHeaderTimeout, c.ReadTimeout, c.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	}})
	const post = "POST /v1/sign-ins:search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
		"Authorization: Bearer " + rightToken + "\r\n"
	t.Run("headers", func(t *testing.T) {
		require.NotContains(t, w.raw(t, "GET /v1/integrations HTTP/1.1\r\nHost: x\r\nX"), "200 OK")
	})
	t.Run("nothing", func(t *testing.T) { require.Empty(t, w.raw(t)) })
	t.Run("body", func(t *testing.T) {
		require.Contains(t, w.raw(t, post+"Content-Length: 9\r\n\r\n{"), "BODY_INCOMPLETE")
	})
	t.Run("chunk", func(t *testing.T) {
		require.Contains(t, w.raw(t, post+"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"), "BODY_INCOMPLETE")
	})
	t.Run("idle", func(t *testing.T) {
		require.Contains(t, w.raw(t, post+"Content-Length: 2\r\n\r\n{}"), "200 OK")
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	w := newWorld(t, answers{change: func(c *rest.Config, _ *rest.Settings) { c.MaxConnections = 1 }})
	first := w.dial(t)
	_, err := io.WriteString(first, "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(first).ReadString('\n')
	require.NoError(t, err)

	second := w.dial(t)
	_, err = io.WriteString(second, "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, second.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = second.Read(make([]byte, 1))
	require.ErrorContains(t, err, "timeout")
	require.NoError(t, first.Close())
	require.NoError(t, second.SetReadDeadline(time.Now().Add(patience)))
	_, err = second.Read(make([]byte, 1))
	require.NoError(t, err)
}

func TestConfigFaultsAreNamed(t *testing.T) {
	require.NoError(t, rest.Config{}.Validate(), "without an address nobody is served")
	for want, change := range map[string]func(*rest.Config){
		"address: must be on loopback, or have tls":                                              func(c *rest.Config) { c.Address = "0.0.0.0:7301" },
		"tls.cert_file: needs key_file beside it, and that this one":                             func(c *rest.Config) { c.TLS.CertFile = "a" },
		`cors.allowed_origins: "*" must be scheme://host or scheme://host:port`:                  func(c *rest.Config) { c.CORS.AllowedOrigins = []string{"*"} },
		`cors.allowed_origins: "https://a.example/" must be scheme://host or scheme://host:port`: func(c *rest.Config) { c.CORS.AllowedOrigins = []string{"https://a.example/"} },
		`cors.allowed_origins: "https://*" must be scheme://host or scheme://host:port`:          func(c *rest.Config) { c.CORS.AllowedOrigins = []string{"https://*"} },
		`cors.allowed_origins: "https://*.example" must be scheme://host or scheme://host:port`:  func(c *rest.Config) { c.CORS.AllowedOrigins = []string{"https://*.example"} },
		"max_body: must be positive":                                                             func(c *rest.Config) { c.MaxBody = 0 },
		"max_bodies: must be at least max_body":                                                  func(c *rest.Config) { c.MaxBodies = c.MaxBody - 1 },
		"max_header: must be between 1KiB and 1MiB":                                              func(c *rest.Config) { c.MaxHeader = 2 * config.MiB },
		"max_connections: must be positive":                                                      func(c *rest.Config) { c.MaxConnections = 0 },
		"read_header_timeout: must be positive":                                                  func(c *rest.Config) { c.ReadHeaderTimeout = 0 },
		"read_timeout: must be positive":                                                         func(c *rest.Config) { c.ReadTimeout = 0 },
		"idle_timeout: must be positive":                                                         func(c *rest.Config) { c.IdleTimeout = 0 },
	} {
		cfg := rest.DefaultConfig()
		change(&cfg)
		require.EqualError(t, cfg.Validate(), want)
	}
	cfg := rest.DefaultConfig()
	cfg.Address, cfg.AllowPlaintextOnPublicAddress = "0.0.0.0:7301", true
	require.NoError(t, cfg.Validate())
}
