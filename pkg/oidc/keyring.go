package oidc

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	// maxDocument bounds an answer of the issuer; Entra's have up to 20 KiB.
	maxDocument = 512 << 10
	// maxKeys bounds the keys of the issuer; Entra has about ten.
	maxKeys    = 100
	minRSABits = 2048
	maxHops    = 3
)

// keyring is the keys of an issuer at a time. It does not change.
type keyring struct {
	at   time.Time
	keys []jose.JSONWebKey
}

// verify returns the payload if a key that the token names signed it. A token that names none is
// tried against the only key there is (OpenID Connect Core §10.1).
func (k *keyring) verify(jws *jose.JSONWebSignature) ([]byte, bool) {
	header := jws.Signatures[0].Header
	for _, key := range k.keys {
		named := key.KeyID == header.KeyID || header.KeyID == "" && len(k.keys) == 1
		if !named || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// fetch asks the issuer where its keys are, and for the keys.
func (i *issuer) fetch(ctx context.Context) (*keyring, error) {
	client, err := i.client()
	if err != nil {
		return nil, err
	}
	// The library holds the document's issuer against ours.
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), i.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovering the issuer: %w", err)
	}
	var metadata struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("reading the discovery document: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, metadata.JWKS, nil)
	if err != nil {
		return nil, fmt.Errorf("reading jwks_uri: %w", err)
	}
	at := i.set.Clock.Now()
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching keys: the issuer answers %s", response.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	keys := trusted(set.Keys)
	if len(keys) == 0 {
		return nil, errors.New("reading keys: none is for signatures")
	}
	return &keyring{at: at, keys: keys}, nil
}

// trusted leaves out what is no public key for signatures, RSA keys that are too short, and keys of
// kinds that are not known here (RFC 7517 §5): one such key must not lock everybody out.
func trusted(all []json.RawMessage) []jose.JSONWebKey {
	var keys []jose.JSONWebKey
	for _, text := range all[:min(len(all), maxKeys)] {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		if r, ok := key.Key.(*rsa.PublicKey); ok && r.N.BitLen() < minRSABits {
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// client makes a client for one fetch, as the verifier has nothing to close: it keeps no
// connection.
func (i *issuer) client() (*http.Client, error) {
	transport := i.set.Transport
	if transport == nil {
		network := &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		}
		if i.cfg.CAFile != "" {
			text, err := os.ReadFile(i.cfg.CAFile)
			if err != nil {
				return nil, fmt.Errorf("reading ca_file: %w", err)
			}
			network.TLSClientConfig.RootCAs = x509.NewCertPool()
			if !network.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
				return nil, errors.New("reading ca_file: it has no certificate")
			}
		}
		transport = network
	}
	return &http.Client{
		Transport: guarded{transport},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxHops {
				return errors.New("the issuer redirects too often")
			}
			return nil
		},
	}, nil
}

// guarded bounds answers, and asks nobody whom anybody on the way could play, whichever document
// or redirect names it.
type guarded struct{ http.RoundTripper }

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	plain := *r.URL
	plain.RawQuery = ""
	if err := checkURL(plain.String()); err != nil {
		return nil, fmt.Errorf("an address of the issuer %w", err)
	}
	response, err := g.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err //nolint:wrapcheck // http.Client says what was being done
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxDocument)
	return response, nil
}
