package telemetry

import (
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/entraflow/entraflow/pkg/config"
)

// Admin is what the admin handler shows.
type Admin struct {
	Gatherer prometheus.Gatherer
	// Ready reports whether the service does its work now. It is called by each probe.
	Ready func() bool
	// Config is the rendered, redacted config, ConfigDiff the part that is not default.
	Config, ConfigDiff string
	// Token, if set, is the bearer token that /metrics and /config ask for. The probes ask
	// for nothing and tell nothing but their status.
	Token config.Secret
}

// Handler serves GET /healthz, /readyz, /metrics, and /config with ?mode=diff.
func (a Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.Ready() {
			reply(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		reply(w, http.StatusOK, "ok\n")
	})
	mux.Handle("GET /metrics", a.guarded(promhttp.HandlerFor(a.Gatherer, promhttp.HandlerOpts{})))
	mux.Handle("GET /config", a.guarded(http.HandlerFunc(a.config)))
	return mux
}

func (a Admin) config(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Query().Get("mode") {
	case "":
		reply(w, http.StatusOK, a.Config)
	case "diff":
		reply(w, http.StatusOK, a.ConfigDiff)
	default:
		reply(w, http.StatusBadRequest, "mode must be diff or absent\n")
	}
}

func (a Admin) guarded(next http.Handler) http.Handler {
	if a.Token.IsZero() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !a.Token.Equal(config.NewSecret(token)) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			reply(w, http.StatusUnauthorized, "a bearer token is needed\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
