package entractl_test

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entractl"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

// confirming approves the code that is written to it, as somebody with a browser does.
type confirming struct {
	buffer
	once    sync.Once
	approve func(code string)
}

func (c *confirming) Write(p []byte) (int, error) {
	n, err := c.buffer.Write(p)
	if found := regexp.MustCompile(`(?m)^Code  (\S+)$`).FindStringSubmatch(c.String()); found != nil {
		c.once.Do(func() { c.approve(found[1]) })
	}
	return n, err
}

func TestLoginAtTheSimulatedEntra(t *testing.T) {
	t.Parallel()
	const tenant = "75243ab2-44f8-435c-a7a6-b479385df6d4"
	cfg := entra.DefaultConfig()
	cfg.Throttle.Mode, cfg.People.DeviceInterval, cfg.TokenLifetime = "off", time.Second, 20*time.Second // within what is refreshed
	var one entra.TenantConfig
	one.SetDefaults()
	one.ID, one.Users, one.Days, one.End, one.Incidents = tenant, 20, 1, time.Now(), false
	cfg.Tenants = []entra.TenantConfig{one}
	simulated, err := entra.New(cfg, entra.Settings{})
	require.NoError(t, err)
	at := httptest.NewServer(simulated)
	t.Cleanup(at.Close)

	s, h := newServer(t), newHome(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	s.accepts = func(given string) bool {
		mu.Lock()
		defer mu.Unlock()
		seen[given] = true
		return strings.Count(given, ".") == 2
	}
	s.caller = &controlv1.GetCallerResponse{Subject: "ada"}
	stderr := &confirming{approve: func(code string) {
		if err := simulated.ApproveSignIn(code, "ada@contoso.example"); err != nil {
			t.Error(err)
		}
	}}
	code := entractl.Main(t.Context(), entractl.Process{
		Args: []string{
			"login", "--server", s.address, "--issuer", at.URL + "/" + tenant + "/v2.0", "--client-id", cfg.People.ClientID,
			"--scope", cfg.People.AppIDURI + "/.default",
		},
		Getenv: func(name string) string { return h.env[name] }, Stdout: &buffer{}, Stderr: stderr,
	})
	require.Equal(t, 0, code, stderr.String())
	for range 2 {
		got := h.run(t.Context(), "whoami")
		require.Equal(t, 0, got.code, got.stderr)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, seen, 2, "each call has a token of its own")
}
