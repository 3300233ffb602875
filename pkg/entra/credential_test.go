package entra_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/internal/fake"
)

// certificate makes a certificate and its key in PEM.
func certificate(t *testing.T, key any, public any) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "entraflow"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func TestCredentialsGetTokens(t *testing.T) {
	const bits = 2048
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("federated.t0ken.x\n"), 0o600))
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	cases := map[string]struct {
		change func(*entra.CredentialSpec)
		sent   map[string]string
	}{
		"secret": {func(*entra.CredentialSpec) {}, map[string]string{"client_secret": fake.Secret}},
		"certificate": {func(s *entra.CredentialSpec) {
			s.Kind, s.Certificate = entra.KindCertificate, config.NewSecret(certificate(t, key, &key.PublicKey))
		}, map[string]string{"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
		"file": {func(s *entra.CredentialSpec) {
			s.Kind, s.Federated = entra.KindFederated, entra.Federated{TokenFile: file}
		}, map[string]string{"client_assertion": "federated.t0ken.x"}},
		"workload": {func(s *entra.CredentialSpec) {
			s.Kind, s.Federated = entra.KindFederated, entra.Federated{WorkloadIdentity: true}
		}, map[string]string{"client_assertion": "federated.t0ken.x"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := fake.New(t)
			endpoints := server.Endpoints(t)
			transport := endpoints.Transport()
			t.Cleanup(transport.CloseIdleConnections)
			s := spec()
			tc.change(&s)
			credential, err := entra.NewCredential(s, endpoints, transport)
			require.NoError(t, err)
			token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{endpoints.Scope()}})
			require.NoError(t, err)
			require.Equal(t, fake.JWT(1, nil)[:30], token.Token[:30])
			_, forms := server.Tokens()
			require.Equal(t, fake.App, forms[0]["client_id"][0])
			for field, value := range tc.sent {
				require.Equal(t, []string{value}, forms[0][field])
			}
		})
	}
}

func TestAFederatedTokenThatIsGone(t *testing.T) {
	server := fake.New(t)
	endpoints := server.Endpoints(t)
	transport := endpoints.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	s := spec()
	s.Kind, s.Federated = entra.KindFederated, entra.Federated{TokenFile: filepath.Join(t.TempDir(), "none")}
	credential, err := entra.NewCredential(s, endpoints, transport)
	require.NoError(t, err)
	_, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{endpoints.Scope()}})
	require.Equal(t, entra.CauseCredentialMissing, entra.Classify(err).Cause)
}

func TestSpecsAreValidated(t *testing.T) {
	elliptic256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	junk := config.NewSecret("hunter2 hunter2")
	cases := map[string]struct {
		change func(*entra.CredentialSpec)
		cause  entra.Cause
	}{
		"no tenant":      {func(s *entra.CredentialSpec) { s.TenantID = "" }, entra.CauseTenantMalformed},
		"common":         {func(s *entra.CredentialSpec) { s.TenantID = "Common" }, entra.CauseTenantMalformed},
		"word":           {func(s *entra.CredentialSpec) { s.TenantID = "contoso" }, entra.CauseTenantMalformed},
		"half a GUID":    {func(s *entra.CredentialSpec) { s.TenantID = fake.Tenant[:35] }, entra.CauseTenantMalformed},
		"path":           {func(s *entra.CredentialSpec) { s.TenantID = "a.b/c" }, entra.CauseTenantMalformed},
		"client":         {func(s *entra.CredentialSpec) { s.ClientID = "my app" }, entra.CauseAppNotFound},
		"no secret":      {func(s *entra.CredentialSpec) { s.Secret = config.Secret{} }, entra.CauseCredentialMissing},
		"no kind":        {func(s *entra.CredentialSpec) { s.Kind = "" }, entra.CauseCredentialMissing},
		"no certificate": {func(s *entra.CredentialSpec) { s.Kind = entra.KindCertificate }, entra.CauseCredentialMissing},
		"junk certificate": {func(s *entra.CredentialSpec) {
			s.Kind, s.Certificate, s.Password = entra.KindCertificate, junk, junk
		}, entra.CauseCertificateRejected},
		"elliptic key": {func(s *entra.CredentialSpec) {
			s.Kind = entra.KindCertificate
			s.Certificate = config.NewSecret(certificate(t, elliptic256, &elliptic256.PublicKey))
		}, entra.CauseCertificateRejected},
		"no source": {func(s *entra.CredentialSpec) { s.Kind = entra.KindFederated }, entra.CauseCredentialMissing},
		"two sources": {func(s *entra.CredentialSpec) {
			s.Kind, s.Federated = entra.KindFederated, entra.Federated{TokenFile: "x", WorkloadIdentity: true}
		}, entra.CauseCredentialMissing},
	}
	endpoints, err := entra.NewEndpoints("", entra.Overrides{})
	require.NoError(t, err)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := spec()
			tc.change(&s)
			_, err := entra.NewCredential(s, endpoints, nil)
			require.Equal(t, tc.cause, entra.Classify(err).Cause)
			require.NotContains(t, fmt.Sprintf("%v %+v", err, s), "hunter2")
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, s, s), fake.Secret)
		})
	}
	s := spec()
	s.TenantID = "contoso.onmicrosoft.com"
	require.NoError(t, s.Validate())
}
