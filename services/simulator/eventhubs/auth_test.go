package eventhubs_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

func TestCredentials(t *testing.T) {
	const listen = "Endpoint=sb://sim.test;SharedAccessKeyName=listen;SharedAccessKey=bGlzdGVu"
	const sendOnly = "Endpoint=sb://sim.test;SharedAccessKeyName=send;SharedAccessKey=c2VuZA=="
	soon := time.Now().Add(time.Hour)
	tests := map[string]struct {
		connection        string
		sendErr, readErr  string
		tokensAreRefused  bool
		requestsAreDenied bool
	}{
		"all claims":           {connection: connectionAll},
		"listen":               {connection: listen, sendErr: "'Send' claim(s) are required"},
		"send":                 {connection: sendOnly, readErr: "'Listen' claim(s) are required"},
		"wrong secret":         {connection: "Endpoint=sb://sim.test;SharedAccessKeyName=all;SharedAccessKey=d3Jvbmc=", sendErr: "InvalidSignature", readErr: "InvalidSignature"},
		"unknown key":          {connection: "Endpoint=sb://sim.test;SharedAccessKeyName=nobody;SharedAccessKey=c2VjcmV0", sendErr: "InvalidSignature", readErr: "InvalidSignature"},
		"embedded signature":   {connection: signedConnection(t, "sim.test", "all", "c2VjcmV0", soon)},
		"signature of another": {connection: signedConnection(t, "sim.test", "all", "other", soon), sendErr: "InvalidSignature", readErr: "InvalidSignature"},
		"expired signature": {
			connection: signedConnection(t, "sim.test", "all", "c2VjcmV0", time.Now().Add(-time.Minute)),
			sendErr:    "ExpiredToken: The token is expired. Expiration time:", readErr: "ExpiredToken: The token is expired. Expiration time:",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
			ctx := timeout(t)
			_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("x")})
			require.NoError(t, err)
			check := func(err error, want string) {
				t.Helper()
				if want == "" {
					require.NoError(t, err)
					return
				}
				requireCode(t, err, azeventhubs.ErrorCodeUnauthorizedAccess)
				require.ErrorContains(t, err, want)
			}
			check(send(ctx, t, s.producer(tt.connection), azeventhubs.EventDataBatchOptions{}, "a"), tt.sendErr)
			reader := s.reader(s.consumer(tt.connection), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
			_, err = reader.ReceiveEvents(ctx, 1, nil)
			check(err, tt.readErr)
		})
	}
}

// TestSignatureForAnotherResource signs for another namespace with the right key.
func TestSignatureForAnotherResource(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	connection := signedConnection(t, "other.test", "all", "c2VjcmV0", time.Now().Add(time.Hour))
	err := send(timeout(t), t, s.producer("Endpoint=sb://sim.test"+connection[len("Endpoint=sb://other.test"):]),
		azeventhubs.EventDataBatchOptions{}, "a")
	requireCode(t, err, azeventhubs.ErrorCodeUnauthorizedAccess)
	require.ErrorContains(t, err, "InvalidAudience")
}

type staticToken string

func (s staticToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func jwt(expires time.Time) staticToken {
	payload := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, expires.Unix()))
	return staticToken("e30." + payload + ".sig")
}

func TestTokenPolicies(t *testing.T) {
	fresh, stale := jwt(time.Now().Add(time.Hour)), jwt(time.Now().Add(-time.Hour))
	tests := map[string]struct {
		policy eventhubs.TokenPolicy
		token  staticToken
		want   string
	}{
		"any takes a fake":            {eventhubs.TokensAny, "Sanitized", ""},
		"unexpired takes a fresh one": {eventhubs.TokensUnexpired, fresh, ""},
		"unexpired refuses a stale":   {eventhubs.TokensUnexpired, stale, "ExpiredToken: The token is expired."},
		"unexpired refuses a fake":    {eventhubs.TokensUnexpired, "Sanitized", "MalformedToken"},
		"refused refuses all":         {eventhubs.TokensRefused, fresh, "InvalidToken"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(1)
			cfg.Namespaces[0].Tokens = tt.policy
			s := newPipeServer(t, cfg, eventhubs.Settings{})
			c, err := azeventhubs.NewProducerClient("sim.test", "hub", tt.token,
				&azeventhubs.ProducerClientOptions{NewWebSocketConn: s.dial, RetryOptions: noRetry})
			require.NoError(t, err)
			defer func() { _ = c.Close(t.Context()) }()
			_, err = c.GetEventHubProperties(timeout(t), nil)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// TestNothingWithoutAToken uses links without $cbs, which the SDK cannot do.
func TestNothingWithoutAToken(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	ctx := timeout(t)
	c, err := s.client(ctx, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	session, err := c.NewSession(ctx, nil)
	require.NoError(t, err)
	_, err = session.NewSender(ctx, "hub", nil)
	requireCondition(t, err, "amqp:unauthorized-access")
	_, err = session.NewReceiver(ctx, "hub/ConsumerGroups/$Default/Partitions/0", nil)
	requireCondition(t, err, "amqp:unauthorized-access")
}

func TestSASLPlain(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	ctx := timeout(t)
	c, err := s.client(ctx, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("send", "c2VuZA==")})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	session, err := c.NewSession(ctx, nil)
	require.NoError(t, err)
	sender, err := session.NewSender(ctx, "hub/Partitions/0", nil)
	require.NoError(t, err)
	require.NoError(t, sender.Send(ctx, amqp.NewMessage([]byte("plain")), nil))
	_, err = session.NewReceiver(ctx, "hub/ConsumerGroups/$Default/Partitions/0", nil)
	requireCondition(t, err, "amqp:unauthorized-access")

	_, err = s.client(ctx, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("send", "wrong")})
	require.Error(t, err)
}

// TestPlainOfAnotherNamespace logs in with the key of one namespace and opens another.
func TestPlainOfAnotherNamespace(t *testing.T) {
	cfg := testConfig(1)
	cfg.Namespaces = append(cfg.Namespaces, eventhubs.NamespaceConfig{
		Name: "other.test", Tokens: eventhubs.TokensRefused,
		Keys: []eventhubs.KeyConfig{{Name: "o", Secret: "o"}}, Hubs: []eventhubs.HubConfig{{Name: "hub", Partitions: 1}},
	})
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	ctx := timeout(t)
	c, err := s.client(ctx, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("o", "o"), HostName: "sim.test"})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	session, err := c.NewSession(ctx, nil)
	require.NoError(t, err)
	_, err = session.NewSender(ctx, "hub", nil)
	requireCondition(t, err, "amqp:unauthorized-access")
}
