package oidc_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/oidc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuerURL = "https://issuer.example/tenant/v2.0"
	v1Issuer  = "https://sts.example/tenant/"
	audience  = "api://entraflow"
)

// signingKey is a private key with what its public half says of itself.
type signingKey struct {
	jose.JSONWebKey
	algorithm jose.SignatureAlgorithm
}

// The keys are made once: that takes a while.
var (
	first   = newRSA("first", 2048)
	second  = newRSA("second", 2048)
	short   = newRSA("short", 1024)
	onCurve = newCurve("curve")
)

func newRSA(id string, bits int) signingKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return signingKey{jose.JSONWebKey{Key: key, KeyID: id, Use: "sig"}, jose.RS256}
}

func newCurve(id string) signingKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signingKey{jose.JSONWebKey{Key: key, KeyID: id, Use: "sig", Algorithm: "ES256"}, jose.ES256}
}

func (k signingKey) with(algorithm jose.SignatureAlgorithm) signingKey {
	k.algorithm = algorithm
	return k
}

// named is the key under another id.
func (k signingKey) named(id string) signingKey {
	k.KeyID = id
	return k
}

func (k signingKey) public() crypto.PublicKey { return k.Public().Key }

// sign makes a token of claims.
func (k signingKey) sign(tb testing.TB, claims map[string]any, header ...func(*jose.SignerOptions)) string {
	tb.Helper()
	options := &jose.SignerOptions{}
	options.WithType("JWT")
	for _, change := range header {
		change(options)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.algorithm, Key: k.JSONWebKey}, options)
	require.NoError(tb, err)
	text, err := json.Marshal(claims)
	require.NoError(tb, err)
	jws, err := signer.Sign(text)
	require.NoError(tb, err)
	token, err := jws.CompactSerialize()
	require.NoError(tb, err)
	return token
}

var errAway = errors.New("connection refused")

// fakeIssuer answers as an issuer does, without a network: its time is that of synctest.
type fakeIssuer struct {
	mu sync.Mutex
	// keys are told; extra are told beside them as they are.
	keys  []signingKey
	extra []any
	// away makes every request fail; hang makes it wait until its end.
	away, hang bool
	// change replaces the discovery document's fields.
	change map[string]any
	// keyRequests counts requests for keys, requests all.
	keyRequests, requests int
}

func (f *fakeIssuer) set(change func(*fakeIssuer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeIssuer) counts() (requests, keyRequests int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests, f.keyRequests
}

func (f *fakeIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if f.hang {
		f.mu.Unlock()
		<-r.Context().Done()
		f.mu.Lock()
		return nil, r.Context().Err()
	}
	if f.away {
		return nil, errAway
	}
	document := map[string]any{"issuer": issuerURL, "jwks_uri": "https://issuer.example/keys"}
	maps.Copy(document, f.change)
	if strings.HasSuffix(r.URL.Path, "/keys") {
		f.keyRequests++
		all := append([]any{}, f.extra...)
		for _, k := range f.keys {
			all = append(all, k.Public())
		}
		document = map[string]any{"keys": all}
	}
	body, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(body))), Request: r,
	}, nil
}

func testConfig() oidc.Config {
	c := oidc.DefaultConfig()
	c.Issuer, c.AcceptedIssuers = issuerURL, []string{v1Issuer}
	c.Audience = []string{"11111111-2222-3333-4444-555555555555", audience}
	c.Roles = map[string]oidc.RoleConfig{
		"Admin":  {Role: oidc.RoleAdmin, Tenants: []string{"all"}},
		"Desk":   {Role: oidc.RoleHelpDesk, Tenants: []string{"AAAA", "bbbb"}},
		"Reader": {Role: oidc.RoleReadOnly, Tenants: []string{"all"}},
		"Viewer": {Role: oidc.RoleReadOnly, Tenants: []string{"all"}},
	}
	return c
}

func newVerifier(tb testing.TB, f *fakeIssuer, change func(*oidc.Config)) *oidc.Verifier {
	tb.Helper()
	c := testConfig()
	if change != nil {
		change(&c)
	}
	v, err := oidc.New(c, oidc.Settings{Transport: f})
	require.NoError(tb, err)
	return v
}

// claims of a good token, with changes; nil takes one away.
func claims(changes ...map[string]any) map[string]any {
	now := time.Now()
	c := map[string]any{
		"iss": issuerURL, "aud": audience, "sub": "pairwise", "oid": "object", "preferred_username": "ada@contoso.example",
		"roles": []string{"Admin"}, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for _, change := range changes {
		maps.Copy(c, change)
	}
	maps.DeleteFunc(c, func(_ string, value any) bool { return value == nil })
	return c
}

// verify checks a token and returns the error.
func verify(ctx context.Context, v *oidc.Verifier, token string) error {
	_, err := v.Verify(ctx, token)
	return err
}
