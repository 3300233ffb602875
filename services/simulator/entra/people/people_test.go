package people_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra/people"
)

// pass lets time pass in a bubble.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	require.NoError(t, clock.Real().Sleep(t.Context(), d))
}

func TestDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := people.New(people.DefaultConfig(), time.Now)
		d := p.StartDevice(people.SignIn{Tenant: "t", Scopes: []string{"openid"}})
		poll := func() error {
			_, err := p.Poll(d.DeviceCode)
			return err
		}
		require.ErrorIs(t, poll(), people.ErrPending)
		pass(t, 2*time.Second)
		require.ErrorIs(t, poll(), people.ErrTooFast)
		pass(t, 4*time.Second)
		require.ErrorIs(t, poll(), people.ErrPending)
		require.ErrorIs(t, p.Approve(d.UserCode, "nobody"), people.ErrNotFound)
		require.NoError(t, p.Approve(d.UserCode, "ADA"))
		got, err := p.Poll(d.DeviceCode)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(people.SignIn{Username: "ada@contoso.example", Tenant: "t", Scopes: []string{"openid"}}, got))
		require.ErrorIs(t, poll(), people.ErrNotFound, "a code is good once")

		d = p.StartDevice(people.SignIn{})
		require.NoError(t, p.Refuse(d.UserCode))
		require.ErrorIs(t, poll(), people.ErrRefused)
		d = p.StartDevice(people.SignIn{})
		pass(t, 15*time.Minute)
		require.ErrorIs(t, poll(), people.ErrExpired)
		require.ErrorIs(t, p.Approve(d.UserCode, "ada"), people.ErrNotFound)
		require.Empty(t, p.Waiting())
	})
}

func TestCodeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := people.New(people.DefaultConfig(), time.Now)
		code := p.AddCode(people.SignIn{}, "r", "c")
		pass(t, time.Hour)
		_, err := p.Redeem(code, "r", "v")
		require.ErrorIs(t, err, people.ErrExpired)
	})
}

func TestOldestIsForgotten(t *testing.T) {
	p := people.New(people.DefaultConfig(), time.Now)
	first := p.StartDevice(people.SignIn{})
	for range 1_000 {
		p.StartDevice(people.SignIn{})
	}
	require.Len(t, p.Waiting(), 1_000)
	_, err := p.Poll(first.DeviceCode)
	require.ErrorIs(t, err, people.ErrNotFound)
}

func TestFind(t *testing.T) {
	cfg := people.DefaultConfig()
	cfg.Persons = append(cfg.Persons, people.PersonConfig{Username: "ada@fabrikam.example"})
	p := people.New(cfg, time.Now)
	for name, want := range map[string]string{
		"ada@fabrikam.example": "ada@fabrikam.example", "HAL": "hal@contoso.example", "ada": "", "": "", "@": "",
	} {
		got, err := p.Find(name)
		require.Equal(t, want, got.Username, name)
		require.Equal(t, want == "", err != nil, name)
	}
}

func TestRedirects(t *testing.T) {
	cfg := people.DefaultConfig()
	cfg.RedirectURIs = []string{"https://entraflow.example/back"}
	for address, want := range map[string]bool{
		"https://entraflow.example/back": true, "https://entraflow.example/back/x": false, "http://127.0.0.1:7/x": true,
		"http://localhost": true, "http://[::1]:1/": true, "https://127.0.0.1:7/": false, "http://127.0.0.1.evil.example/": false,
		"http://localhost@evil.example/": false, "": false, "javascript:x": false,
	} {
		require.Equal(t, want, cfg.Redirects(address), address)
	}
}

func TestConfig(t *testing.T) {
	cfg := people.DefaultConfig()
	require.NoError(t, cfg.Validate())
	cfg.ClientID, cfg.AppIDURI, cfg.TokenVersion, cfg.DeviceInterval, cfg.DeviceLifetime = "", "api://x/", 3, 0, 0
	cfg.Persons = []people.PersonConfig{{Username: "ada"}, {Username: "b@x"}, {Username: "B@x"}}
	var invalid *config.InvalidError
	require.ErrorAs(t, cfg.Validate(), &invalid)
	var keys []string
	for _, p := range invalid.Problems {
		keys = append(keys, p.Key)
	}
	require.Equal(t, "[client_id app_id_uri token_version device_lifetime device_interval persons.0.username persons.2.username]", fmt.Sprint(keys))
}
