package issuer_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/services/entractl/internal/issuer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestURLs(t *testing.T) {
	for _, url := range []string{"https://login.example.com/tenant/v2.0", "http://127.0.0.1:1", "http://localhost:1/x", "http://[::1]:1"} {
		require.NoError(t, issuer.CheckURL(url), url)
	}
	for _, url := range []string{
		"", "login.example.com", "http://login.example.com", "http://127.0.0.1.example.com", "ftp://127.0.0.1", "https://a/?b", "https://a/#b",
		"https://user:pass@a/", "https://", "http://localhost.example.com", ":",
	} {
		require.ErrorIs(t, issuer.CheckURL(url), issuer.ErrURL, url)
	}
}

func TestDiscoveryIsChecked(t *testing.T) {
	document := map[string]string{}
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(document) // the client is gone
	}))
	t.Cleanup(at.Close)
	for name, tc := range map[string]struct {
		change map[string]string
		want   string
	}{
		"another issuer":          {map[string]string{"issuer": "https://evil.example.com"}, "did not match the issuer URL"},
		"no device login":         {map[string]string{"device_authorization_endpoint": ""}, "the issuer offers no device login"},
		"tokens in the clear":     {map[string]string{"token_endpoint": "http://203.0.113.1/token"}, "names an endpoint"},
		"codes in the clear":      {map[string]string{"device_authorization_endpoint": "http://203.0.113.1/device"}, "names an endpoint"},
		"endpoint that is no URL": {map[string]string{"token_endpoint": "token"}, "names an endpoint"},
		"all is well":             {nil, ""},
	} {
		document = map[string]string{
			"issuer": at.URL, "authorization_endpoint": at.URL + "/a", "token_endpoint": at.URL + "/t", "jwks_uri": at.URL + "/k",
			"device_authorization_endpoint": at.URL + "/d",
		}
		maps.Copy(document, tc.change)
		_, err := issuer.Discover(t.Context(), issuer.Config{URL: at.URL, ClientID: "c"})
		if tc.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, tc.want, name)
	}
	_, err := issuer.Discover(t.Context(), issuer.Config{URL: "http://login.example.com", ClientID: "c"})
	require.ErrorIs(t, err, issuer.ErrURL)
	_, err = issuer.Discover(t.Context(), issuer.Config{URL: at.URL, ClientID: "c", CAFile: "issuer_test.go"})
	require.ErrorContains(t, err, "holds no certificate")
}
