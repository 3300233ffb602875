package entra_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/internal/fake"
)

func TestCloudsByName(t *testing.T) {
	cases := map[string]string{
		"": "https://graph.microsoft.com", "global": "https://graph.microsoft.com", "Public": "https://graph.microsoft.com",
		"us_gov": "https://graph.microsoft.us", "GCC High": "https://graph.microsoft.us", "AzureUSGovernment": "https://graph.microsoft.us",
		"us-gov-dod": "https://dod-graph.microsoft.us", "DoD": "https://dod-graph.microsoft.us",
		"china": "https://microsoftgraph.chinacloudapi.cn", "21Vianet": "https://microsoftgraph.chinacloudapi.cn",
	}
	for name, graph := range cases {
		e, err := entra.NewEndpoints(name, entra.Overrides{})
		require.NoError(t, err, name)
		require.Equal(t, graph, e.GraphURL, name)
		require.Equal(t, graph+"/.default", e.Scope())
		require.False(t, e.OwnAuthority)
		require.NotEmpty(t, e.EventHubsSuffix)
	}
	_, err := entra.NewEndpoints("germany", entra.Overrides{})
	require.ErrorContains(t, err, "unknown cloud")
}

func TestOverrides(t *testing.T) {
	server := fake.New(t)
	e, err := entra.NewEndpoints("global", entra.Overrides{
		AuthorityURL: "https://LOGIN.test:8443/", GraphURL: "http://127.0.0.1:8080", CAFile: server.CAFile(t),
	})
	require.NoError(t, err)
	require.Equal(t, "https://login.test:8443", e.AuthorityURL)
	require.Equal(t, "http://127.0.0.1:8080", e.GraphURL)
	require.True(t, e.OwnAuthority)
	require.NotNil(t, e.Transport().TLSClientConfig.RootCAs)
	require.False(t, e.Transport().TLSClientConfig.InsecureSkipVerify)

	e, err = entra.NewEndpoints("global", entra.Overrides{AuthorityURL: "https://login.microsoftonline.us"})
	require.NoError(t, err)
	require.False(t, e.OwnAuthority)

	junk := filepath.Join(t.TempDir(), "junk")
	require.NoError(t, os.WriteFile(junk, []byte("no PEM"), 0o600))
	for name, o := range map[string]entra.Overrides{
		"plain authority":    {AuthorityURL: "http://127.0.0.1:1"},
		"plain graph":        {GraphURL: "http://graph.test"},
		"password":           {GraphURL: "https://u:hunter2@graph.test"},
		"path":               {GraphURL: "https://graph.test/v1.0"},
		"query":              {GraphURL: "https://graph.test?x=1"},
		"no host":            {AuthorityURL: "https://"},
		"no URL":             {AuthorityURL: "login.test"},
		"no file":            {CAFile: junk + "x"},
		"no PEM":             {CAFile: junk},
		"everything at once": {AuthorityURL: "x", GraphURL: "y", CAFile: junk},
	} {
		_, err := entra.NewEndpoints("global", o)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
