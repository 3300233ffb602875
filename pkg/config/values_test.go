package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
)

func TestASecretIsShownByRevealAlone(t *testing.T) {
	type holder struct {
		Secret config.Secret
		List   []config.Secret
	}
	secret := config.NewSecret("hunter2")
	h := holder{secret, []config.Secret{secret}}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&shown, verb+verb+verb, secret, &secret, h)
	}
	fmt.Fprint(&shown, fmt.Errorf("connecting with %s: %w", secret, errors.New("x")))
	logger := slog.New(slog.NewJSONHandler(&shown, nil))
	logger.Info("x", slog.Any("secret", secret), slog.Any("holder", h))
	slog.New(slog.NewTextHandler(&shown, nil)).Info("x", slog.Any("secret", secret), slog.Any("holder", h))
	require.NoError(t, json.NewEncoder(&shown).Encode(h))
	require.NoError(t, yaml.NewEncoder(&shown).Encode(h))
	require.NotContains(t, shown.String(), "hunter2")
	require.NotContains(t, shown.String(), fmt.Sprintf("%x", "hunter2"))
	require.Contains(t, shown.String(), "[redacted]")

	require.Equal(t, "hunter2", secret.Reveal())
	require.Empty(t, config.Secret{}.String())
	require.True(t, config.Secret{}.IsZero())
	require.True(t, secret.Equal(config.NewSecret("hunter2")))
	require.False(t, secret.Equal(config.NewSecret("hunter3")))
}

func TestReadSecretRefuses(t *testing.T) {
	_, err := config.ReadSecret(write(t, "empty", "\n"))
	require.ErrorContains(t, err, "is empty")
	_, err = config.ReadSecret(write(t, "large", strings.Repeat("x", 64<<10+1)))
	require.ErrorContains(t, err, "is larger than 64KiB")
	_, err = config.ReadSecret(t.TempDir() + "/none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestBytes(t *testing.T) {
	good := map[string]config.Bytes{
		"0B": 0, "1B": 1, "1000B": 1000, "1KiB": 1 << 10, "1536KiB": 1536 << 10, "64MiB": 64 << 20,
		"8GiB": 8 << 30, "1TiB": 1 << 40,
	}
	for text, want := range good {
		got, err := config.ParseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		require.Equal(t, text, got.String())
	}
	for text, want := range map[string]config.Bytes{"7": 7, "1KB": 1e3, "2kB": 2e3, "3MB": 3e6, "4GB": 4e9, "5TB": 5e12, "6 MiB": 6 << 20} {
		got, err := config.ParseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "MiB", "-1B", "1.5MiB", "1M", "1XiB", "9000000000TiB", "x"} {
		_, err := config.ParseBytes(text)
		require.Error(t, err, text)
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	good := map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "10m": 10 * time.Minute, "1h": time.Hour, "1h20m": 80 * time.Minute,
		"7d": 7 * day, "-2h": -2 * time.Hour, "-1d": -day, "36h": 36 * time.Hour, "1h0m1s": time.Hour + time.Second,
		"250ms": 250 * time.Millisecond,
	}
	for text, want := range good {
		got, err := config.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		require.Equal(t, text, config.FormatDuration(got))
	}
	got, err := config.ParseDuration("1d12h")
	require.NoError(t, err)
	require.Equal(t, 36*time.Hour, got)
	for _, text := range []string{"", "d", "7", "1.5d", "d1h", "--1h", "1d-2h", "-d", "65535d65535d", "65535d2562047h"} {
		_, err := config.ParseDuration(text)
		require.Error(t, err, text)
	}
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:80": true, "localhost:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		":80": false, "0.0.0.0:80": false, "10.0.0.1:80": false, "[::]:80": false, "example.com:80": false,
		"localhost.example.com:80": false, "127.0.0.1": false, "": false,
	} {
		require.Equal(t, want, config.IsLoopback(address), address)
	}
}
