package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzREST sends anything as path, query and body with a right token: whatever it is, the answer is JSON with a clear
// status, and never that something went wrong inside.
func FuzzREST(f *testing.F) {
	for _, tc := range routeTests() {
		path, query, _ := strings.Cut(tc.path, "?")
		f.Add(tc.verb, path, query, tc.body)
	}
	f.Add("PATCH", "/v1/integrations/%2e%2e%2f", "updateMask=a,b.c&&=", `{"integration":{"name":"x"}}`)
	f.Add("POST", "/v1/integrations:testConnection:testConnection", "a[b]=c", `{"@type":"x"}`)
	f.Add("GET", "/v1/sign-ins", "filter.start=9999-99-99&filter.outcome=7&filter=%7B%7D", "")
	f.Add("GET", "//v1//integrations/../:watch", "pageSize=%00", "\xff")
	w := newWorld(f, answers{})
	f.Fuzz(func(t *testing.T, verb, path, query, body string) {
		r, err := http.NewRequestWithContext(t.Context(), verb, w.url, strings.NewReader(body))
		if err != nil {
			return // not an HTTP method
		}
		r.URL.Opaque = "//" + r.URL.Host + "/" + (&url.URL{Path: strings.TrimPrefix(path, "/")}).EscapedPath()
		if unescaped := strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c > '~' || c == '?' || c == '#' }); !unescaped {
			r.URL.Opaque = "//" + r.URL.Host + "/" + strings.TrimPrefix(path, "/") // as it is, escapes too
		}
		r.URL.RawQuery = strings.Map(func(c rune) rune {
			if c <= ' ' || c > '~' || c == '#' {
				return -1
			}
			return c
		}, query)
		r.Header.Set("Authorization", "Bearer "+rightToken)
		r.Header.Set("Content-Type", "application/json")
		got, err := w.client.Do(r)
		if err != nil {
			return // the client would not send it
		}
		text, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		require.NoError(t, got.Body.Close())
		require.Less(t, got.StatusCode, http.StatusInternalServerError, string(text))
		if strings.HasPrefix(got.Request.URL.Path, "/docs") || got.StatusCode == http.StatusOK {
			return
		}
		if got.Header.Get("Content-Type") == "application/json" && verb != http.MethodHead {
			var refusal refused
			require.NoError(t, json.Unmarshal(text, &refusal), string(text))
			require.NotEmpty(t, refusal.Details)
		}
	})
}
