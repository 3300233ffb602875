package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

const certificateLifetime = 30 * 24 * time.Hour

// tlsConfig loads the certificate, or makes one if TLS is used and none is configured.
func (s *Simulator) tlsConfig() (*tls.Config, error) {
	c := s.cfg.TLS
	used := s.cfg.Listen.AMQPS != "" || s.cfg.Listen.WSS != "" || s.cfg.Listen.FakeARM != "" || s.cfg.Listen.Entra != "" ||
		c.CAOut != ""
	if !used {
		return nil, nil
	}
	if c.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("loading certificate: %w", err)
		}
		return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
	}
	made, err := makeCertificate(s.cfg.hosts(), time.Now())
	if err != nil {
		return nil, fmt.Errorf("making certificate: %w", err)
	}
	for _, out := range []struct {
		path string
		data []byte
		mode os.FileMode
	}{{c.CAOut, made.ca, 0o644}, {c.CertOut, made.cert, 0o644}, {c.KeyOut, made.key, 0o600}} {
		if out.path == "" {
			continue
		}
		if err := os.WriteFile(out.path, out.data, out.mode); err != nil {
			return nil, fmt.Errorf("writing certificate: %w", err)
		}
	}
	certificate, err := tls.X509KeyPair(made.cert, made.key)
	if err != nil {
		return nil, fmt.Errorf("making certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}

// pemFiles are a CA and a certificate it has signed, in PEM form. The CA's key is thrown away.
type pemFiles struct{ ca, cert, key []byte }

func makeCertificate(hosts []string, now time.Time) (pemFiles, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pemFiles{}, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Entraflow simulator CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return pemFiles{}, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pemFiles{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: "Entraflow simulator"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	if err != nil {
		return pemFiles{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return pemFiles{}, err
	}
	return pemFiles{
		ca:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}
