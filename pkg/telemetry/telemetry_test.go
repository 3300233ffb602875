package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoggerObeysLevelAndFormat(t *testing.T) {
	cases := map[string]struct{ format, want string }{
		"json": {telemetry.FormatJSON, `"level":"WARN","msg":"kept","attempt":2}` + "\n"},
		"text": {telemetry.FormatText, "level=WARN msg=kept attempt=2\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			logger := telemetry.NewLogger(&out, telemetry.LogConfig{Level: slog.LevelWarn, Format: tc.format})
			logger.Info("dropped")
			logger.Warn("kept", slog.Int("attempt", 2))
			require.Equal(t, 1, strings.Count(out.String(), "\n"))
			require.True(t, strings.HasSuffix(out.String(), tc.want), out.String())
		})
	}
}

func TestLogConfig(t *testing.T) {
	require.NoError(t, telemetry.DefaultLogConfig().Validate())
	require.EqualError(t, telemetry.LogConfig{Format: "xml"}.Validate(), "format: must be json or text")
}

func TestMetricsAreNamedAndSharedAndChecked(t *testing.T) {
	registry := prometheus.NewRegistry()
	first, second := telemetry.NewMetrics(registry, "streamer"), telemetry.NewMetrics(registry, "streamer")
	for _, m := range []*telemetry.Metrics{first, second} {
		m.Counter("read_records", "Records read.", "kind").WithLabelValues("signin").Add(2)
		m.Gauge("lag_records", "Records behind.").WithLabelValues().Set(3)
		m.Histogram("publish_seconds", "Time to PubAck.", []float64{1}).WithLabelValues().Observe(0.5)
		require.NoError(t, m.Err())
	}
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP entraflow_streamer_lag_records Records behind.
# TYPE entraflow_streamer_lag_records gauge
entraflow_streamer_lag_records 3
# HELP entraflow_streamer_publish_seconds Time to PubAck.
# TYPE entraflow_streamer_publish_seconds histogram
entraflow_streamer_publish_seconds_bucket{le="1"} 2
entraflow_streamer_publish_seconds_bucket{le="+Inf"} 2
entraflow_streamer_publish_seconds_sum 1
entraflow_streamer_publish_seconds_count 2
# HELP entraflow_streamer_read_records_total Records read.
# TYPE entraflow_streamer_read_records_total counter
entraflow_streamer_read_records_total{kind="signin"} 4
`)))

	other := telemetry.NewMetrics(registry, "streamer")
	other.Counter("read_records", "Records read.", "tenant").WithLabelValues("a").Inc()
	require.ErrorContains(t, other.Err(), "registering metric read_records of streamer: ")

	unseen := telemetry.NewMetrics(nil, "streamer")
	unseen.Counter("read_records", "Records read.").WithLabelValues().Inc()
	require.NoError(t, unseen.Err())
}

func TestTraceContextTravels(t *testing.T) {
	headers := map[string]string{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"tracestate":  "vendor=value",
	}
	ctx := telemetry.Extract(t.Context(), func(key string) string { return headers[key] })
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", trace.SpanContextFromContext(ctx).TraceID().String())
	require.Empty(t, cmp.Diff(headers, inject(ctx)))

	require.Empty(t, inject(t.Context()))
	broken := telemetry.Extract(t.Context(), func(string) string { return "00-broken" })
	require.Empty(t, inject(broken))
}

func inject(ctx context.Context) map[string]string {
	headers := map[string]string{}
	telemetry.Inject(ctx, func(key, value string) { headers[key] = value })
	return headers
}

func TestAdmin(t *testing.T) {
	ready := true
	open := telemetry.Admin{
		Gatherer: telemetry.NewRegistry(), Ready: func() bool { return ready },
		Config: "all\n", ConfigDiff: "diff\n",
	}
	guarded := open
	guarded.Token = config.NewSecret("right")
	cases := map[string]struct {
		admin  telemetry.Admin
		ready  bool
		method string
		path   string
		auth   string
		status int
		body   string
	}{
		"healthy":           {open, false, "GET", "/healthz", "", 200, "ok\n"},
		"ready":             {open, true, "GET", "/readyz", "", 200, "ok\n"},
		"not ready":         {open, false, "GET", "/readyz", "", 503, "not ready\n"},
		"config":            {open, true, "GET", "/config", "", 200, "all\n"},
		"config diff":       {open, true, "GET", "/config?mode=diff", "", 200, "diff\n"},
		"config other":      {open, true, "GET", "/config?mode=x", "", 400, "mode must be diff or absent\n"},
		"no writing":        {open, true, "POST", "/config", "", 405, "Method Not Allowed\n"},
		"unknown":           {open, true, "GET", "/", "", 404, "404 page not found\n"},
		"guarded":           {guarded, true, "GET", "/config", "", 401, "a bearer token is needed\n"},
		"guarded metrics":   {guarded, true, "GET", "/metrics", "Basic right", 401, "a bearer token is needed\n"},
		"guarded wrong":     {guarded, true, "GET", "/config", "Bearer wrong", 401, "a bearer token is needed\n"},
		"guarded right":     {guarded, true, "GET", "/config", "Bearer right", 200, "all\n"},
		"guarded but ready": {guarded, true, "GET", "/readyz", "", 200, "ok\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ready = tc.ready
			request := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, http.NoBody)
			request.Header.Set("Authorization", tc.auth)
			answer := httptest.NewRecorder()
			tc.admin.Handler().ServeHTTP(answer, request)
			require.Equal(t, tc.status, answer.Code)
			require.Equal(t, tc.body, answer.Body.String())
		})
	}
	answer := httptest.NewRecorder()
	open.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", http.NoBody))
	require.Contains(t, answer.Body.String(), "\ngo_goroutines ")
}
