package oidc_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/oidc"
)

// pass lets time pass in a bubble.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	require.NoError(t, clock.Real().Sleep(t.Context(), d))
}

func TestNothingIsAskedBeforeTheFirstToken(t *testing.T) {
	f := &fakeIssuer{keys: []signingKey{first}}
	v := newVerifier(t, f, nil)
	require.ErrorIs(t, verify(t.Context(), v, first.sign(t, claims(map[string]any{"iss": "https://other.example"}))), oidc.ErrWrongIssuer)
	require.ErrorIs(t, verify(t.Context(), v, "nonsense"), oidc.ErrMalformed)
	requests, _ := f.counts()
	require.Zero(t, requests)
}

func TestSkewIsByOurClock(t *testing.T) {
	token := first.sign(t, claims())
	tests := map[string]struct {
		offset, skew time.Duration
		want         error
	}{
		"behind, within":  {-4 * time.Minute, 5 * time.Minute, nil},
		"behind, beyond":  {-4 * time.Minute, time.Minute, oidc.ErrNotYetValid},
		"ahead, within":   {64 * time.Minute, 5 * time.Minute, nil},
		"ahead, beyond":   {64 * time.Minute, time.Minute, oidc.ErrExpired},
		"no skew at all":  {-time.Minute, 0, oidc.ErrNotYetValid},
		"the last moment": {59 * time.Minute, 0, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := testConfig()
			c.Skew = test.skew
			v, err := oidc.New(c, oidc.Settings{Transport: &fakeIssuer{keys: []signingKey{first}}, Clock: clock.New(test.offset, 1)})
			require.NoError(t, err)
			require.ErrorIs(t, verify(t.Context(), v, token), test.want)
		})
	}
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeIssuer{keys: []signingKey{first}}
		v := newVerifier(t, f, nil)
		require.NoError(t, verify(t.Context(), v, first.sign(t, claims())))

		f.set(func(f *fakeIssuer) { f.keys = []signingKey{first, second} })
		require.NoError(t, verify(t.Context(), v, second.sign(t, claims())), "the new key is asked for at once")
		require.NoError(t, verify(t.Context(), v, first.sign(t, claims())), "the old one is good still")

		f.set(func(f *fakeIssuer) { f.keys = []signingKey{second} })
		pass(t, 9*time.Minute)
		require.NoError(t, verify(t.Context(), v, first.sign(t, claims())), "taken back, but not known to be yet")
		pass(t, 2*time.Minute)
		require.ErrorIs(t, verify(t.Context(), v, first.sign(t, claims())), oidc.ErrSignature, "keys are refreshed after 10 minutes")
		require.NoError(t, verify(t.Context(), v, second.sign(t, claims())))
	})
}

func TestKeyReplacedUnderItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeIssuer{keys: []signingKey{first}}
		v := newVerifier(t, f, nil)
		require.NoError(t, verify(t.Context(), v, first.sign(t, claims())))
		f.set(func(f *fakeIssuer) { f.keys = []signingKey{second.named("first")} })
		require.NoError(t, verify(t.Context(), v, second.named("first").sign(t, claims())))
		require.ErrorIs(t, verify(t.Context(), v, first.sign(t, claims())), oidc.ErrSignature)
	})
}

func TestForgedKeyIDsDoNotHammerTheIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeIssuer{keys: []signingKey{first}}
		v := newVerifier(t, f, nil)
		flood := func(n int) {
			var group sync.WaitGroup
			for i := range n {
				token := second.named(fmt.Sprint("forged-", i)).sign(t, claims())
				group.Go(func() {
					if err := verify(t.Context(), v, token); err == nil || err != oidc.ErrSignature { //nolint:errorlint // it is returned as it is
						t.Errorf("a forged token got %v", err)
					}
				})
			}
			group.Wait()
		}
		flood(200)
		_, keys := f.counts()
		require.Equal(t, 2, keys, "the first request, and one because of an unknown key")
		for range 6 {
			pass(t, 9*time.Second)
			flood(20)
		}
		_, keys = f.counts()
		require.LessOrEqual(t, keys, 2+54/10+1, "one in ten seconds")
		require.Greater(t, keys, 2)

		// A rotation under the flood is noticed at the next permitted request.
		f.set(func(f *fakeIssuer) { f.keys = []signingKey{second} })
		pass(t, 10*time.Second)
		require.NoError(t, verify(t.Context(), v, second.sign(t, claims())))
	})
}

func TestIssuerAwayAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeIssuer{keys: []signingKey{first}, away: true}
		var text bytes.Buffer
		c := testConfig()
		v, err := oidc.New(c, oidc.Settings{Transport: f, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		require.NoError(t, err)
		token := first.sign(t, claims(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()}))
		for range 100 {
			require.ErrorIs(t, verify(t.Context(), v, token), oidc.ErrIssuerAway)
		}
		requests, _ := f.counts()
		require.Equal(t, 1, requests, "the failure is remembered")
		for range 600 {
			pass(t, time.Second)
			require.ErrorIs(t, verify(t.Context(), v, token), oidc.ErrIssuerAway)
		}
		requests, _ = f.counts()
		require.LessOrEqual(t, requests, 17, "1, 2, 4, 8, 16, 32 and then 60 seconds")
		require.Greater(t, requests, 10)
		f.set(func(f *fakeIssuer) { f.away = false })
		pass(t, time.Minute)
		require.NoError(t, verify(t.Context(), v, token))

		// Keys that are known serve on while the issuer is away, for an hour.
		f.set(func(f *fakeIssuer) { f.away = true })
		for range 58 {
			pass(t, time.Minute)
			require.NoError(t, verify(t.Context(), v, token))
		}
		pass(t, 2*time.Minute)
		require.ErrorIs(t, verify(t.Context(), v, token), oidc.ErrIssuerAway)
		f.set(func(f *fakeIssuer) { f.away = false })
		pass(t, time.Minute)
		require.NoError(t, verify(t.Context(), v, token))
		require.Equal(t, 2, bytes.Count(text.Bytes(), []byte("issuer is away")), text.String())
		require.Equal(t, 2, bytes.Count(text.Bytes(), []byte("issuer is back")), text.String())
	})
}

func TestIssuerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeIssuer{keys: []signingKey{first}, hang: true}
		v := newVerifier(t, f, nil)
		token := first.sign(t, claims())
		start := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			if err := verify(t.Context(), v, token); err != oidc.ErrIssuerAway { //nolint:errorlint // it is returned as it is
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, verify(hurried, v, token), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		group.Wait()
		require.Equal(t, 5*time.Second, time.Since(start))
		requests, _ := f.counts()
		require.Equal(t, 1, requests)
	})
}

func TestCallerWhoGivesUpFailsNobodyElse(t *testing.T) {
	f := &fakeIssuer{keys: []signingKey{first}}
	v := newVerifier(t, f, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, verify(gone, v, first.sign(t, claims())), "the request of keys is for all")
	require.NoError(t, verify(t.Context(), v, first.sign(t, claims())))
	requests, _ := f.counts()
	require.Equal(t, 2, requests)
}

func TestIssuersThatAreNotTrusted(t *testing.T) {
	tests := map[string]*fakeIssuer{
		"names another issuer":   {keys: []signingKey{first}, change: map[string]any{"issuer": "https://other.example"}},
		"keys in the clear":      {keys: []signingKey{first}, change: map[string]any{"jwks_uri": "http://issuer.example/keys"}},
		"keys in a file":         {keys: []signingKey{first}, change: map[string]any{"jwks_uri": "file:///keys"}},
		"no keys":                {},
		"no keys address":        {keys: []signingKey{first}, change: map[string]any{"jwks_uri": nil}},
		"a document without end": {keys: []signingKey{first}, change: map[string]any{"pad": make([]byte, 1<<20)}},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, verify(t.Context(), newVerifier(t, f, nil), first.sign(t, claims())), oidc.ErrIssuerAway)
		})
	}
}
