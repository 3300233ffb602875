package hub_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// place is a simulated namespace and how to reach it.
type place struct {
	sim *eventhubs.Server
	hub *eventhubs.Hub
}

const host = "sim.test"

func newPlace(t *testing.T, change ...func(*eventhubs.Config)) *place {
	t.Helper()
	cfg := eventhubs.DefaultConfig()
	cfg.Namespaces = []eventhubs.NamespaceConfig{{
		Name: host, Tokens: eventhubs.TokensUnexpired,
		Keys: []eventhubs.KeyConfig{
			{Name: "all", Secret: "c2VjcmV0"},
			{Name: "sender", Secret: "c2VuZGVy", Claims: []string{"Send"}},
			{Name: "listener", Secret: "bGlzdGVu", Claims: []string{"Listen"}},
		},
		Hubs: []eventhubs.HubConfig{{Name: "entra", Partitions: 2, ConsumerGroups: []string{"second"}}},
	}}
	for _, f := range change {
		f(&cfg)
	}
	sim, err := eventhubs.New(cfg, eventhubs.Settings{})
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	source, err := sim.Hub("", "entra")
	require.NoError(t, err)
	return &place{sim, source}
}

func (p *place) dial(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
	client, server := net.Pipe()
	go func() { _ = p.sim.ServeConn(context.WithoutCancel(ctx), server) }() // Close waits for it
	return client, nil
}

func (p *place) send(t *testing.T, partition string) {
	t.Helper()
	_, err := p.hub.Append(partition, eventhubs.Event{Body: []byte(record("a"))})
	require.NoError(t, err)
}

func stringOf(name, key string) config.Secret {
	return config.NewSecret("Endpoint=sb://" + host + ";SharedAccessKeyName=" + name + ";SharedAccessKey=" + key)
}

// hubConfig may read the simulated hub.
func hubConfig() hub.Config {
	var c hub.Config
	c.SetDefaults()
	c.Integration, c.Tenants, c.EventHub = "contoso", []string{tenant}, "entra"
	c.ConnectionString = stringOf("listener", "bGlzdGVu")
	return c
}

// tokenOf is a credential that gives a token or fails.
type tokenOf struct {
	token string
	err   error
}

func (c tokenOf) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 || o.Scopes[0] != "https://eventhubs.azure.net//.default" {
		return azcore.AccessToken{}, errors.New("another scope")
	}
	return azcore.AccessToken{Token: c.token, ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

// signature is a shared access signature of the key listener that ends after some time.
func signature(left time.Duration) string {
	resource := url.QueryEscape("amqps://" + host + "/entra")
	end := strconv.FormatInt(time.Now().Add(left).Unix(), 10)
	mac := hmac.New(sha256.New, []byte("bGlzdGVu"))
	mac.Write([]byte(resource + "\n" + end))
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))) +
		"&se=" + end + "&skn=listener"
}

// unexpired is a token until 2100, expired is one until 2001.
const (
	unexpired = "e30.eyJleHAiOjQxMDI0NDQ4MDB9.e30"
	expired   = "e30.eyJleHAiOjEwMDAwMDAwMDB9.e30"
)

func byToken(c *hub.Config, credential tokenOf) {
	c.ConnectionString, c.Namespace, c.Token = config.Secret{}, host, credential
}

func TestTryNamesTheCause(t *testing.T) {
	cases := map[string]struct {
		config func(*hub.Config)
		place  func(*place)
		cause  hub.Cause
		code   string
	}{
		"no string":        {config: func(c *hub.Config) { c.ConnectionString = config.NewSecret("hidden-nonsense") }, cause: hub.CauseConnectionInvalid},
		"no hub":           {config: func(c *hub.Config) { c.EventHub = "" }, cause: hub.CauseConnectionInvalid},
		"wrong key":        {config: func(c *hub.Config) { c.ConnectionString = stringOf("listener", "d3Jvbmc=") }, cause: hub.CauseKeyWrong},
		"unknown key name": {config: func(c *hub.Config) { c.ConnectionString = stringOf("nobody", "bGlzdGVu") }, cause: hub.CauseKeyWrong},
		"expired signature": {config: func(c *hub.Config) {
			c.ConnectionString = config.NewSecret("Endpoint=sb://" + host + ";SharedAccessSignature=" + signature(-time.Hour))
		}, cause: hub.CauseKeyExpired},
		"no claim":    {config: func(c *hub.Config) { c.ConnectionString = stringOf("sender", "c2VuZGVy") }, cause: hub.CauseClaimMissing, code: ""},
		"another hub": {config: func(c *hub.Config) { c.EventHub = "other" }, cause: hub.CauseHubNotFound},
		"no group":    {config: func(c *hub.Config) { c.ConsumerGroup = "third" }, cause: hub.CauseGroupNotFound, code: "amqp:not-found"},
		"disabled": {
			place: func(p *place) { p.hub.SetEnabled(false) },
			cause: hub.CauseHubDisabled, code: "com.microsoft:entity-disabled",
		},
		"too many readers": {
			place: refuse("amqp:resource-limit-exceeded"), cause: hub.CauseTooManyReaders, code: "amqp:resource-limit-exceeded",
		},
		"busy":    {place: refuse("com.microsoft:server-busy"), cause: hub.CauseHubBusy, code: "com.microsoft:server-busy"},
		"unheard": {place: refuse("com.microsoft:something-new"), cause: hub.CauseNetwork},
		"no token": {config: func(c *hub.Config) {
			byToken(c, tokenOf{err: &entra.Error{Cause: entra.CauseSecretExpired, Code: "AADSTS7000222", Detail: "It has expired.", Remedy: "Add a new one."}})
		}, cause: hub.Cause(entra.CauseSecretExpired), code: "AADSTS7000222"},
		"no role": {
			config: func(c *hub.Config) { byToken(c, tokenOf{token: unexpired}) },
			place:  refuse("amqp:unauthorized-access"), cause: hub.CauseRoleMissing,
		},
		"token refused": {config: func(c *hub.Config) { byToken(c, tokenOf{token: expired}) }, cause: hub.CauseTokenRefused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, cfg := newPlace(t), hubConfig()
			if tc.config != nil {
				tc.config(&cfg)
			}
			if tc.place != nil {
				tc.place(p)
			}
			report := hub.Try(t.Context(), cfg, hub.TrySettings{Dial: p.dial})
			requireProblem(t, report, tc.cause)
			require.Equal(t, tc.code, report.GetProblem().GetCode())
		})
	}
}

func requireProblem(t *testing.T, report *controlv1.ConnectionReport, cause hub.Cause) {
	t.Helper()
	require.False(t, report.GetConnected())
	require.Equal(t, string(cause), report.GetProblem().GetCause(), "%v", report)
	require.NotEmpty(t, report.GetHeadline())
	require.NotEmpty(t, report.GetProblem().GetDetail())
	require.NotEmpty(t, report.GetProblem().GetRemedy())
	require.WithinDuration(t, time.Now(), report.GetTestTime().AsTime(), time.Minute)
	for _, secret := range []string{"hidden", "c2Vj", "bGlz", "d3Jv", "c2Vu", "eyJ"} {
		require.NotContains(t, report.String(), secret)
	}
}

func refuse(condition string) func(*place) {
	return func(p *place) {
		_, err := p.sim.Inject(eventhubs.Fault{Kind: eventhubs.FaultRefuse, Condition: condition})
		if err != nil {
			panic(err) // of the test's own making
		}
	}
}

func TestTryConnects(t *testing.T) {
	for name, change := range map[string]func(*hub.Config){
		"key":   func(*hub.Config) {},
		"token": func(c *hub.Config) { byToken(c, tokenOf{token: unexpired}) },
		"entity path": func(c *hub.Config) {
			c.ConnectionString, c.EventHub = config.NewSecret(c.ConnectionString.Reveal()+";EntityPath=entra"), ""
		},
		"second group": func(c *hub.Config) { c.ConsumerGroup = "second" },
	} {
		t.Run(name, func(t *testing.T) {
			p, cfg := newPlace(t), hubConfig()
			change(&cfg)
			p.send(t, "1")
			report := hub.Try(t.Context(), cfg, hub.TrySettings{Dial: p.dial})
			require.True(t, report.GetConnected(), "%v", report)
			require.Nil(t, report.GetProblem())
			require.Regexp(t, "^Connected! The newest event is of 20.* UTC, in partition 1 of 2.$", report.GetHeadline())
			require.Len(t, report.GetDataTypes(), 2)
			require.Equal(t, "Partition 0: nothing yet", report.GetDataTypes()[0].GetTitle())
			require.Regexp(t, "^Partition 1: newest event 20", report.GetDataTypes()[1].GetTitle())
		})
	}
}

// An empty hub is no fault.
func TestTryOfAnEmptyHub(t *testing.T) {
	report := hub.Try(t.Context(), hubConfig(), hub.TrySettings{Dial: newPlace(t).dial})
	require.True(t, report.GetConnected(), "%v", report)
	require.Contains(t, report.GetHeadline(), "normal for up to a day")
}

// A Processor reads with precedence, our own in most cases: the test must neither fail nor take its place.
func TestTryBesideAReader(t *testing.T) {
	p := newPlace(t)
	client, err := azeventhubs.NewConsumerClientFromConnectionString(hubConfig().ConnectionString.Reveal(), "entra", azeventhubs.DefaultConsumerGroup,
		&azeventhubs.ConsumerClientOptions{NewWebSocketConn: p.dial})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close(t.Context())) }()
	level := int64(0)
	earliest := true
	reader, err := client.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{
		OwnerLevel: &level, StartPosition: azeventhubs.StartPosition{Earliest: &earliest},
	})
	require.NoError(t, err)
	p.send(t, "0")
	_, err = reader.ReceiveEvents(t.Context(), 1, nil)
	require.NoError(t, err)

	report := hub.Try(t.Context(), hubConfig(), hub.TrySettings{Dial: p.dial})
	require.True(t, report.GetConnected(), "%v", report)
	p.send(t, "0")
	_, err = reader.ReceiveEvents(t.Context(), 1, nil)
	require.NoError(t, err, "it reads on")
	require.NoError(t, reader.Close(t.Context()))
}

func TestTryNamesTheNetworksFault(t *testing.T) {
	failing := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	cases := map[string]struct {
		reach func(context.Context, string, string) (net.Conn, error)
		cause hub.Cause
	}{
		"dns":      {failing(&net.DNSError{Err: "no such host", IsNotFound: true}), hub.CauseNetworkDNS},
		"refused":  {failing(refused), hub.CauseNetworkRefused},
		"timeout":  {failing(context.DeadlineExceeded), hub.CauseNetworkTimeout},
		"cut":      {failing(syscall.ECONNRESET), hub.CauseNetwork},
		"no rule":  {failing(syscall.EHOSTUNREACH), hub.CauseNetworkRefused},
		"nonsense": {failing(errors.New("x")), hub.CauseUnknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			requireProblem(t, hub.Try(t.Context(), hubConfig(), hub.TrySettings{Reach: tc.reach}), tc.cause)
		})
	}
	t.Run("no listener", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		cfg := hubConfig()
		cfg.CustomEndpoint = listener.Addr().String()
		require.NoError(t, listener.Close())
		requireProblem(t, hub.Try(t.Context(), cfg, hub.TrySettings{}), hub.CauseNetworkRefused)
	})
}

// TestTryByTLS has a port that is closed beside one that is open, a certificate that is not trusted, and AMQP over a
// WebSocket.
func TestTryByTLS(t *testing.T) {
	p := newPlace(t)
	p.send(t, "0")
	certificate, caFile := newCertificate(t)
	settings := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", settings)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- p.sim.Serve(t.Context(), listener) }()
	t.Cleanup(func() { require.NoError(t, <-served) })
	web := httptest.NewUnstartedServer(p.sim.WebSocketHandler())
	web.TLS = settings
	web.StartTLS()
	t.Cleanup(web.Close)

	cfg := hubConfig()
	cfg.CustomEndpoint = listener.Addr().String()
	requireProblem(t, hub.Try(t.Context(), cfg, hub.TrySettings{}), hub.CauseNetworkTLS)
	cfg.CAFile = filepath.Join(t.TempDir(), "none.pem")
	requireProblem(t, hub.Try(t.Context(), cfg, hub.TrySettings{}), hub.CauseCAFile)
	cfg.CAFile = caFile
	report := hub.Try(t.Context(), cfg, hub.TrySettings{})
	require.True(t, report.GetConnected(), "%v", report)

	cfg.CustomEndpoint = ""
	blocked := func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":5671") {
			return nil, context.DeadlineExceeded
		}
		require.Equal(t, host+":443", address)
		return (&net.Dialer{}).DialContext(ctx, network, web.Listener.Addr().String())
	}
	report = hub.Try(t.Context(), cfg, hub.TrySettings{Reach: blocked})
	requireProblem(t, report, hub.CausePortBlocked)
	require.Contains(t, report.GetProblem().GetRemedy(), "web_sockets")

	cfg.WebSockets, cfg.CustomEndpoint = true, web.Listener.Addr().String()
	report = hub.Try(t.Context(), cfg, hub.TrySettings{})
	require.True(t, report.GetConnected(), "%v", report)
}

// TestEveryCauseHasARemedy keeps the table complete.
func TestEveryCauseHasARemedy(t *testing.T) {
	for _, cause := range hub.Causes() {
		require.NotEmpty(t, cause.Headline(), cause)
		require.NotEmpty(t, cause.Remedy(), cause)
		require.False(t, strings.HasSuffix(cause.Headline(), "."), cause)
		require.True(t, strings.HasSuffix(cause.Remedy(), "."), cause)
	}
}

func newCertificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
