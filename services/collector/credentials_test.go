package collector_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// newKeyPair is a self-signed certificate with its key, as PEM, and the certificate alone.
func newKeyPair(t *testing.T, from, until time.Time) (both, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "entraflow"}, NotBefore: from, NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return public + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), public
}

func certificate(text string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_Certificate{Certificate: &controlv1.ClientCertificate{Data: []byte(text)}}}
}

func federated(file string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_Federated{Federated: &controlv1.FederatedToken{TokenFile: file}}}
}

// provider is another identity provider.
type provider struct {
	issuer, public string
	key            *ecdsa.PrivateKey
}

func newProvider(t *testing.T, issuer string) provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return provider{issuer, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), key}
}

// token writes a token into a file and returns its path.
func (p provider) token(t *testing.T, subject, audience string, until time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.RegisteredClaims{
		Issuer: p.issuer, Subject: subject, Audience: jwt.ClaimStrings{audience},
		IssuedAt: jwt.NewNumericDate(until.Add(-time.Hour)), ExpiresAt: jwt.NewNumericDate(until),
	}).SignedString(p.key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
