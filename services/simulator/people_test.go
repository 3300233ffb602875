package simulator_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/oidc"
	"github.com/entraflow/entraflow/services/simulator"
)

// childEnv makes the test's program be the simulator.
const childEnv = "TEST_AS_SIMULATOR"

const quickApp = "api://entraflow"

// issuerProcess is a simulator in a process of its own, reached over HTTPS and by its admin API alone.
type issuerProcess struct {
	t *testing.T
	simulator.Announcement
	client *http.Client
}

func startIssuer(t *testing.T) *issuerProcess {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	folder := t.TempDir()
	child := exec.CommandContext(context.WithoutCancel(t.Context()), self,
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--listen-entra", "127.0.0.1:0", "--ca-out", filepath.Join(folder, "ca.pem"),
		"--entra", "--entra-users", "100", "--entra-days", "3", "--entra-secret-file", filepath.Join(folder, "secret"),
		"--set", "simulator.entra.people.device_interval=1s")
	child.Env = append(os.Environ(), childEnv+"=1")
	var log bytes.Buffer
	child.Stderr = &log
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		require.NoError(t, child.Process.Signal(syscall.SIGTERM))
		_, _ = io.Copy(io.Discard, out) // to its end
		require.NoError(t, child.Wait(), log.String())
	})
	p := &issuerProcess{t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &p.Announcement))
	return p
}

func (p *issuerProcess) issuer() string { return p.Login + "/" + p.Tenant.TenantID + "/v2.0" }

func (p *issuerProcess) config() oidc.Config {
	c := oidc.DefaultConfig()
	c.Issuer, c.CAFile = p.issuer(), p.CAFile
	c.AcceptedIssuers = []string{"https://sts.windows.net/" + p.Tenant.TenantID + "/"}
	c.Audience = []string{"e0f10000-0000-4000-8000-000000000001", quickApp}
	c.Roles = map[string]oidc.RoleConfig{
		"Entraflow.Admin":    {Role: oidc.RoleAdmin, Tenants: []string{oidc.AllTenants}},
		"Entraflow.HelpDesk": {Role: oidc.RoleHelpDesk, Tenants: []string{p.Tenant.TenantID}},
	}
	return c
}

func (p *issuerProcess) verifier(change func(*oidc.Config, *oidc.Settings)) *oidc.Verifier {
	p.t.Helper()
	c, set := p.config(), oidc.Settings{}
	if change != nil {
		change(&c, &set)
	}
	v, err := oidc.New(c, set)
	require.NoError(p.t, err)
	return v
}

// admin calls the admin API and decodes the answer into out, unless that is nil.
func (p *issuerProcess) admin(method, path string, body, out any) {
	p.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(p.t, err)
	r, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.Admin+"/v1/entra/"+path, bytes.NewReader(text))
	require.NoError(p.t, err)
	r.Header.Set("Authorization", "Bearer "+p.AdminToken)
	response, err := p.client.Do(r)
	require.NoError(p.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	require.Less(p.t, response.StatusCode, 300, string(answer))
	if out != nil {
		require.NoError(p.t, json.Unmarshal(answer, out))
	}
}

// mint issues a token with changed claims.
func (p *issuerProcess) mint(username string, claims map[string]any) string {
	p.t.Helper()
	var made struct {
		Token string `json:"access_token"`
	}
	p.admin("POST", "people/"+username+"/tokens", map[string]any{"tenant": p.Tenant.TenantID, "issuer": p.issuer(), "claims": claims}, &made)
	return made.Token
}

func verify(t *testing.T, v *oidc.Verifier, token string) error {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	return err
}

func TestVerifierAgainstAnIssuerProcess(t *testing.T) {
	p := startIssuer(t)
	unix := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	none := func(token string) string {
		parts := strings.Split(token, ".")
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	}
	hmac := func(token string) string {
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		require.NoError(t, err)
		forged := jwt.NewWithClaims(jwt.SigningMethodHS256, parsed.Claims)
		forged.Header["kid"] = parsed.Header["kid"]
		signed, err := forged.SignedString(p.publicKey())
		require.NoError(t, err)
		return signed
	}
	stranger := startIssuer(t)
	tests := map[string]struct {
		token string
		want  error
	}{
		"good":           {p.mint("ada", nil), nil},
		"expired":        {p.mint("ada", map[string]any{"exp": unix(-2 * time.Minute)}), oidc.ErrExpired},
		"within skew":    {p.mint("ada", map[string]any{"exp": unix(-30 * time.Second)}), nil},
		"not yet":        {p.mint("ada", map[string]any{"nbf": unix(2 * time.Minute)}), oidc.ErrNotYetValid},
		"other audience": {p.mint("ada", map[string]any{"aud": "https://graph.microsoft.com"}), oidc.ErrWrongAudience},
		"other issuer":   {p.mint("ada", map[string]any{"iss": "https://issuer.example"}), oidc.ErrWrongIssuer},
		"no role":        {p.mint("nora", nil), oidc.ErrNoRole},
		"unmapped role":  {p.mint("ruth", nil), oidc.ErrNoRole},
		"other key":      {stranger.mint("ada", map[string]any{"iss": p.issuer()}), oidc.ErrSignature},
		"none":           {none(p.mint("ada", nil)), oidc.ErrSignature},
		"HS256":          {hmac(p.mint("ada", nil)), oidc.ErrSignature},
		"changed":        {p.mint("ada", nil) + "A", oidc.ErrSignature},
	}
	v := p.verifier(nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, verify(t, v, test.token), test.want) })
	}
	got, err := v.Verify(t.Context(), p.mint("hal", map[string]any{"roles": []string{"Entraflow.HelpDesk", "Entraflow.Admin"}}))
	require.NoError(t, err)
	require.Equal(t, []oidc.Grant{{Role: oidc.RoleHelpDesk, Tenants: []string{p.Tenant.TenantID}}, {Role: oidc.RoleAdmin, AllTenants: true}}, got.Grants)
	nested := p.verifier(func(c *oidc.Config, _ *oidc.Settings) { c.RolesClaim = "realm_access.roles" })
	require.NoError(t, verify(t, nested, p.mint("nora", map[string]any{"realm_access": map[string]any{"roles": []string{"Entraflow.Admin"}}})))
	untrusting := p.verifier(func(c *oidc.Config, _ *oidc.Settings) { c.CAFile = "" })
	require.ErrorIs(t, verify(t, untrusting, p.mint("ada", nil)), oidc.ErrIssuerAway)
}

// trusting is a client that trusts the process's certificate.
func (p *issuerProcess) trusting() *http.Client {
	p.t.Helper()
	text, err := os.ReadFile(p.CAFile)
	require.NoError(p.t, err)
	pool := x509.NewCertPool()
	require.True(p.t, pool.AppendCertsFromPEM(text))
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
}

// publicKey is the issuer's key as PEM, which a careless verifier takes for the secret of HS256.
func (p *issuerProcess) publicKey() []byte {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.Login+"/"+p.Tenant.TenantID+"/discovery/v2.0/keys", nil)
	require.NoError(p.t, err)
	response, err := p.trusting().Do(r)
	require.NoError(p.t, err)
	defer response.Body.Close()
	var set struct {
		Keys []struct{ N string }
	}
	require.NoError(p.t, json.NewDecoder(response.Body).Decode(&set))
	n, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	require.NoError(p.t, err)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
	require.NoError(p.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// counter counts requests.
type counter struct {
	http.RoundTripper
	n atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func TestKeyRotationOfAnIssuerProcess(t *testing.T) {
	p := startIssuer(t)
	v := p.verifier(func(c *oidc.Config, _ *oidc.Settings) { c.Keys.Refetch = time.Second })
	old := p.mint("ada", nil)
	require.NoError(t, verify(t, v, old))
	p.admin("POST", "signing-keys", map[string]any{}, nil)
	require.NoError(t, verify(t, v, p.mint("ada", nil)), "the new key is found without a restart")
	require.NoError(t, verify(t, v, old), "the old key is told still")

	p.admin("POST", "signing-keys", map[string]any{"keep_ms": 0}, nil)
	renewed := p.mint("ada", nil)
	require.Eventually(t, func() bool { return verify(t, v, renewed) == nil }, 10*time.Second, 50*time.Millisecond,
		"one request for keys a second because of unknown ones")
	require.ErrorIs(t, verify(t, v, old), oidc.ErrSignature, "the old key was taken back")
}

func TestClockSkewOfAnIssuerProcess(t *testing.T) {
	p := startIssuer(t)
	tests := map[string]struct {
		issuer, ours time.Duration
		want         error
	}{
		"right":                  {0, 0, nil},
		"issuer ahead a little":  {50 * time.Second, 0, nil},
		"issuer ahead":           {3 * time.Minute, 0, oidc.ErrNotYetValid},
		"issuer behind a little": {-60*time.Minute - 30*time.Second, 0, nil},
		"issuer behind":          {-62 * time.Minute, 0, oidc.ErrExpired},
		"we are behind a little": {0, -50 * time.Second, nil},
		"we are behind":          {0, -3 * time.Minute, oidc.ErrNotYetValid},
		"we are ahead":           {0, 62 * time.Minute, oidc.ErrExpired},
		"both are ahead":         {2 * time.Hour, 2 * time.Hour, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p.admin("PUT", "skew", map[string]any{"skew_ms": test.issuer.Milliseconds()}, nil)
			v := p.verifier(func(_ *oidc.Config, set *oidc.Settings) { set.Clock = clock.New(test.ours, 1) })
			require.ErrorIs(t, verify(t, v, p.mint("ada", nil)), test.want)
		})
	}
}

func TestIssuerProcessAwayAndBack(t *testing.T) {
	p := startIssuer(t)
	token := p.mint("ada", nil)
	p.admin("POST", "faults", map[string]any{"kind": "unavailable"}, nil)
	v := p.verifier(nil)
	require.ErrorIs(t, verify(t, v, token), oidc.ErrIssuerAway)
	p.admin("DELETE", "faults", nil, nil)
	require.ErrorIs(t, verify(t, v, token), oidc.ErrIssuerAway, "the failure is remembered for a second")
	require.Eventually(t, func() bool { return verify(t, v, token) == nil }, 10*time.Second, 50*time.Millisecond)
}

func TestFloodOfUnknownKeysReachesTheIssuerOnce(t *testing.T) {
	p := startIssuer(t)
	stranger := startIssuer(t)
	counted := &counter{RoundTripper: p.trusting().Transport}
	v := p.verifier(func(_ *oidc.Config, set *oidc.Settings) { set.Transport = counted })
	forged := stranger.mint("ada", map[string]any{"iss": p.issuer()})
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if err := verify(t, v, forged); err == nil {
				t.Error("a forged token is good")
			}
		})
	}
	group.Wait()
	require.NoError(t, verify(t, v, p.mint("ada", nil)))
	require.LessOrEqual(t, counted.n.Load(), int64(4), "discovery and keys at the first token, and once more")
}

func TestDeviceLoginWithAnIssuerProcess(t *testing.T) {
	p := startIssuer(t)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, p.trusting())
	root := p.Login + "/" + p.Tenant.TenantID + "/oauth2/v2.0/"
	client := &oauth2.Config{
		ClientID: p.config().Audience[0], Scopes: []string{"openid", "offline_access", quickApp + "/.default"},
		Endpoint: oauth2.Endpoint{TokenURL: root + "token", DeviceAuthURL: root + "devicecode", AuthStyle: oauth2.AuthStyleInParams},
	}
	device, err := client.DeviceAuth(ctx)
	require.NoError(t, err)
	p.admin("POST", "sign-ins/"+device.UserCode+"/approve", map[string]any{"username": "hal"}, nil)
	token, err := client.DeviceAccessToken(ctx, device)
	require.NoError(t, err)
	got, err := p.verifier(nil).Verify(ctx, token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "hal@contoso.example", got.Name)
	require.Equal(t, []oidc.Grant{{Role: oidc.RoleHelpDesk, Tenants: []string{p.Tenant.TenantID}}}, got.Grants)
}
