package oidc_test

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/oidc"
)

func TestClaims(t *testing.T) {
	all := oidc.Grant{Role: oidc.RoleAdmin, AllTenants: true}
	desk := oidc.Grant{Role: oidc.RoleHelpDesk, Tenants: []string{"aaaa", "bbbb"}}
	reader := oidc.Grant{Role: oidc.RoleReadOnly, AllTenants: true}
	tests := map[string]struct {
		config  func(*oidc.Config)
		claims  map[string]any
		subject string
		name    string
		grants  []oidc.Grant
	}{
		"one role":          {},
		"version 1":         {claims: map[string]any{"iss": v1Issuer}},
		"one of audiences":  {claims: map[string]any{"aud": []string{"other", audience}}},
		"several roles":     {claims: map[string]any{"roles": []string{"Desk", "None", "Admin"}}, grants: []oidc.Grant{desk, all}},
		"same grant twice":  {claims: map[string]any{"roles": []string{"Reader", "Viewer", "Reader"}}, grants: []oidc.Grant{reader}},
		"role as text":      {claims: map[string]any{"roles": "Reader"}, grants: []oidc.Grant{reader}},
		"not only texts":    {claims: map[string]any{"roles": []any{1, nil, "Reader", map[string]any{}}}, grants: []oidc.Grant{reader}},
		"no oid":            {claims: map[string]any{"oid": nil}, subject: "pairwise"},
		"subject by config": {config: func(c *oidc.Config) { c.SubjectClaim = "sub" }, subject: "pairwise"},
		"name by config":    {config: func(c *oidc.Config) { c.NameClaim = "name" }, claims: map[string]any{"name": "Ada\x1b[2J\nL\u202e"}, name: "Ada[2JL"},
		"name of version 1": {claims: map[string]any{"preferred_username": nil, "upn": "eva@contoso.example"}, name: "eva@contoso.example"},
		"no name":           {claims: map[string]any{"preferred_username": nil}, name: "-"},
		"long name":         {claims: map[string]any{"preferred_username": strings.Repeat("ä", 200)}, name: strings.Repeat("ä", 128)},
		"path": {
			config: func(c *oidc.Config) { c.RolesClaim = "realm_access.roles" },
			claims: map[string]any{"realm_access": map[string]any{"roles": []string{"Desk"}}}, grants: []oidc.Grant{desk},
		},
		"name with dots": {
			config: func(c *oidc.Config) { c.RolesClaim = "https://entraflow.example/roles" },
			claims: map[string]any{"https://entraflow.example/roles": []string{"Desk"}}, grants: []oidc.Grant{desk},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, &fakeIssuer{keys: []signingKey{first}}, test.config)
			given := claims(test.claims)
			got, err := v.Verify(t.Context(), first.sign(t, given))
			require.NoError(t, err)
			iss, _ := given["iss"].(string)
			exp, _ := given["exp"].(int64)
			want := oidc.Claims{Issuer: iss, Subject: "object", Name: "ada@contoso.example", Grants: []oidc.Grant{all}, Expires: time.Unix(exp, 0)}
			if test.subject != "" {
				want.Subject = test.subject
			}
			if test.name != "" {
				want.Name = strings.TrimPrefix(test.name, "-")
			}
			if test.grants != nil {
				want.Grants = test.grants
			}
			require.Empty(t, cmp.Diff(want, got))
		})
	}
}

func TestRefused(t *testing.T) {
	now := time.Now()
	unix := func(d time.Duration) int64 { return now.Add(d).Unix() }
	tests := map[string]struct {
		claims map[string]any
		want   error
	}{
		"expired":                {map[string]any{"exp": unix(-2 * time.Minute)}, oidc.ErrExpired},
		"expired within skew":    {map[string]any{"exp": unix(-30 * time.Second)}, nil},
		"begins later":           {map[string]any{"nbf": unix(2 * time.Minute)}, oidc.ErrNotYetValid},
		"begins within skew":     {map[string]any{"nbf": unix(30 * time.Second)}, nil},
		"made later":             {map[string]any{"iat": unix(2 * time.Minute)}, oidc.ErrNotYetValid},
		"neither nbf nor iat":    {map[string]any{"nbf": nil, "iat": nil}, nil},
		"no end":                 {map[string]any{"exp": nil}, oidc.ErrMalformed},
		"end is a text":          {map[string]any{"exp": "tomorrow"}, oidc.ErrMalformed},
		"end in a million years": {map[string]any{"exp": 1e18}, oidc.ErrMalformed},
		"begin is a list":        {map[string]any{"nbf": []int{1}}, oidc.ErrMalformed},
		"other audience":         {map[string]any{"aud": "api://other"}, oidc.ErrWrongAudience},
		"other audiences":        {map[string]any{"aud": []string{"api://other", "api://entraflow/"}}, oidc.ErrWrongAudience},
		"no audience":            {map[string]any{"aud": nil}, oidc.ErrWrongAudience},
		"audience is a number":   {map[string]any{"aud": 1}, oidc.ErrWrongAudience},
		"other issuer":           {map[string]any{"iss": issuerURL + "/"}, oidc.ErrWrongIssuer},
		"no issuer":              {map[string]any{"iss": nil}, oidc.ErrWrongIssuer},
		"no roles":               {map[string]any{"roles": nil}, oidc.ErrNoRole},
		"role of nobody":         {map[string]any{"roles": []string{"admin", "Admin Reader"}}, oidc.ErrNoRole},
		"roles is an object":     {map[string]any{"roles": map[string]any{"Admin": true}}, oidc.ErrNoRole},
		"no subject":             {map[string]any{"oid": nil, "sub": nil}, oidc.ErrMalformed},
		"long subject":           {map[string]any{"oid": strings.Repeat("x", 257)}, oidc.ErrMalformed},
		"subject of two lines":   {map[string]any{"oid": "a\nb"}, oidc.ErrMalformed},
		"names are exact":        {map[string]any{"exp": nil, "EXP": unix(time.Hour)}, oidc.ErrMalformed},
		"too long":               {map[string]any{"pad": strings.Repeat("x", oidc.MaxToken)}, oidc.ErrMalformed},
	}
	v := newVerifier(t, &fakeIssuer{keys: []signingKey{first}}, nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, verify(t.Context(), v, first.sign(t, claims(test.claims))), test.want)
		})
	}
}

func TestSignatures(t *testing.T) {
	good := first.sign(t, claims())
	header, rest, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(rest, ".")
	plain := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	public, err := x509.MarshalPKIXPublicKey(first.public())
	require.NoError(t, err)
	typed := func(typ string) func(*jose.SignerOptions) {
		return func(o *jose.SignerOptions) { o.WithType(jose.ContentType(typ)) }
	}
	symmetric := signingKey{jose.JSONWebKey{Key: public, KeyID: "first"}, jose.HS256}
	critical := func(o *jose.SignerOptions) {
		o.WithHeader("crit", []string{"own"})
		o.WithHeader("own", true)
	}
	tests := map[string]struct {
		token string
		want  error
	}{
		"RS256":                     {good, nil},
		"PS512":                     {first.with(jose.PS512).sign(t, claims()), nil},
		"ES256":                     {onCurve.sign(t, claims()), nil},
		"access token":              {first.sign(t, claims(), typed("at+jwt")), nil},
		"logout token":              {first.sign(t, claims(), typed("logout+jwt")), oidc.ErrMalformed},
		"other key, same id":        {second.named("first").sign(t, claims()), oidc.ErrSignature},
		"other key, own id":         {second.sign(t, claims()), oidc.ErrSignature},
		"no id":                     {first.named("").sign(t, claims()), oidc.ErrSignature},
		"short key":                 {short.sign(t, claims()), oidc.ErrSignature},
		"key of another algorithm":  {first.named("curve").sign(t, claims()), oidc.ErrSignature},
		"none":                      {plain(`{"alg":"none","typ":"JWT"}`) + "." + body + ".", oidc.ErrSignature},
		"none in capitals":          {plain(`{"alg":"NONE","typ":"JWT"}`) + "." + body + ".", oidc.ErrSignature},
		"none with a signature":     {plain(`{"alg":"none","typ":"JWT"}`) + "." + body + "." + signature, oidc.ErrSignature},
		"public key as a secret":    {symmetric.sign(t, claims()), oidc.ErrSignature},
		"no signature":              {header + "." + body + ".", oidc.ErrSignature},
		"other body":                {header + "." + plain(`{"iss":"`+issuerURL+`","exp":9999999999}`) + "." + signature, oidc.ErrSignature},
		"critical header":           {first.sign(t, claims(), critical), oidc.ErrSignature},
		"nothing":                   {"", oidc.ErrMalformed},
		"word Bearer":               {"Bearer " + good, oidc.ErrMalformed},
		"two parts":                 {header + "." + body, oidc.ErrMalformed},
		"four parts":                {good + ".x", oidc.ErrMalformed},
		"JSON form":                 {`{"payload":"` + body + `","protected":"` + header + `","signature":"` + signature + `"}`, oidc.ErrMalformed},
		"body of no claims":         {header + "." + plain(`[]`) + "." + signature, oidc.ErrMalformed},
		"body of null":              {header + "." + plain(`null`) + "." + signature, oidc.ErrMalformed},
		"algorithm is a number":     {plain(`{"alg":1}`) + "." + body + "." + signature, oidc.ErrSignature},
		"not in base64url":          {header + "." + body + ".***", oidc.ErrMalformed},
		"more bytes than permitted": {strings.Repeat("x", oidc.MaxToken+1), oidc.ErrMalformed},
	}
	v := newVerifier(t, &fakeIssuer{keys: []signingKey{first, onCurve, short}}, nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := verify(t.Context(), v, test.token)
			require.ErrorIs(t, err, test.want)
			if err != nil && len(test.token) > 0 {
				require.NotContains(t, err.Error(), test.token)
			}
		})
	}
}

func TestTokenWithoutKeyIDTriesTheOnlyKey(t *testing.T) {
	v := newVerifier(t, &fakeIssuer{keys: []signingKey{first}}, nil)
	require.NoError(t, verify(t.Context(), v, first.named("").sign(t, claims())))
	require.ErrorIs(t, verify(t.Context(), v, second.named("").sign(t, claims())), oidc.ErrSignature)
}

func TestKeysThatAreNotKnownHereAreLeftOut(t *testing.T) {
	f := &fakeIssuer{keys: []signingKey{first}, extra: []any{
		map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "pub": "AAAA"},
		map[string]any{"kty": "oct", "kid": "secret", "k": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"},
		map[string]any{"kty": "RSA", "kid": "broken", "n": "", "e": "AQAB"},
		7, nil,
	}}
	v := newVerifier(t, f, nil)
	require.NoError(t, verify(t.Context(), v, first.sign(t, claims())))
	// A symmetric key that the issuer tells the world is none.
	told := signingKey{jose.JSONWebKey{Key: []byte("01234567890123456789012345678901"), KeyID: "secret"}, jose.HS256}
	require.ErrorIs(t, verify(t.Context(), v, told.sign(t, claims())), oidc.ErrSignature)
}

func TestKeyForEncryptionSignsNothing(t *testing.T) {
	other := second
	other.Use = "enc"
	v := newVerifier(t, &fakeIssuer{keys: []signingKey{first, other}}, nil)
	require.ErrorIs(t, verify(t.Context(), v, second.sign(t, claims())), oidc.ErrSignature)
}

// FuzzVerify looks for bytes that panic or get in: none is signed but the seed.
func FuzzVerify(f *testing.F) {
	good := first.sign(f, claims())
	for _, seed := range []string{good, "", "..", good[:len(good)-1], "eyJhbGciOiJub25lIn0.e30.", strings.Repeat(".", 100)} {
		f.Add(seed)
	}
	v := newVerifier(f, &fakeIssuer{keys: []signingKey{first}}, nil)
	f.Fuzz(func(t *testing.T, token string) {
		got, err := v.Verify(t.Context(), token)
		if err == nil && token != good {
			// Base64 may carry bits that nobody reads; the claims cannot change.
			require.Equal(t, "object", got.Subject)
			require.True(t, strings.HasPrefix(token, good[:strings.LastIndexByte(good, '.')]))
		}
		if err != nil {
			require.Empty(t, got)
		}
	})
}
