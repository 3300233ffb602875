package rest_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
)

const postHead = "POST /v1/sign-ins:search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

// Whoever has no token must not make the front wait for a body, nor keep one.
func TestABodyWithoutATokenIsNotWaitedFor(t *testing.T) {
	w := newWorld(t, answers{change: func(c *rest.Config, _ *rest.Settings) { c.ReadTimeout = time.Hour }})
	const late = "Content-Length: 900\r\n\r\n{"
	for name, rest := range map[string]string{
		"short": late, "long": "Content-Length: 900000\r\n\r\n{", "chunked": "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"whole": "Content-Length: 2\r\n\r\n{}", "other scheme": "Authorization: Basic eDp4\r\n" + late,
		"empty": "Authorization: Bearer \r\n" + late, "two": "Authorization: Bearer x\r\nAuthorization: Bearer x\r\n" + late,
	} {
		answer := w.raw(t, postHead+rest)
		require.Contains(t, answer, "401 Unauthorized", name)
		require.Contains(t, answer, "UNAUTHENTICATED")
		require.Contains(t, answer, "Connection: close")
	}
	require.Empty(t, w.calls)
	got := w.send(t, "POST", "/v1/sign-ins:search", "{}", with("Authorization"))
	requireRefused(t, got, http.StatusUnauthorized, "UNAUTHENTICATED")
}

func TestBodiesAreBoundedTogether(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	w := newWorld(t, answers{
		unary: func(context.Context, string, proto.Message) (proto.Message, error) {
			entered <- struct{}{}
			<-release
			return nil, nil
		},
		change: func(c *rest.Config, _ *rest.Settings) { c.MaxBody, c.MaxBodies = config.KiB, config.KiB },
	})
	body := "{" + strings.Repeat(" ", 800) + "}"
	first := make(chan error, 1)
	request := w.request(t, "POST", "/v1/sign-ins:search", body)
	go func() {
		answer, err := w.client.Do(request)
		if err == nil {
			err = answer.Body.Close()
		}
		first <- err
	}()
	<-entered
	got := w.send(t, "POST", "/v1/sign-ins:search", body)
	requireRefused(t, got, http.StatusServiceUnavailable, "TOO_MANY_BODIES")
	go func() { <-entered }()
	close(release)
	require.NoError(t, <-first)
	require.Equal(t, http.StatusOK, w.send(t, "POST", "/v1/sign-ins:search", body).status, "there is room again")
}

// The body of a stream keeps no room while it is open.
func TestAnOpenStreamKeepsNoRoomForBodies(t *testing.T) {
	w := newWorld(t, answers{
		stream: func(ctx context.Context, _ proto.Message, send func(proto.Message) error) error {
			<-ctx.Done()
			return ctx.Err()
		},
		change: func(c *rest.Config, _ *rest.Settings) { c.MaxBody, c.MaxBodies = config.KiB, config.KiB },
	})
	body := "{" + strings.Repeat(" ", 800) + "}"
	conn := w.dial(t)
	_, err := io.WriteString(conn, "POST /v1/events:subscribe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Authorization: Bearer "+rightToken+"\r\nContent-Length: 802\r\n\r\n"+body)
	require.NoError(t, err)
	<-w.calls
	require.Equal(t, http.StatusOK, w.send(t, "POST", "/v1/sign-ins:search", body).status)
	require.NoError(t, conn.Close())
}

func TestRequestsOfAConnectionAreBounded(t *testing.T) {
	certFile, keyFile, roots := writeCertificate(t)
	w := newWorld(t, answers{change: func(c *rest.Config, _ *rest.Settings) {
		c.TLS = grpcserver.TLSConfig{CertFile: certFile, KeyFile: keyFile}
	}})
	dialer := &tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{
		RootCAs: roots, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", w.front.Addr().String())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	framer := http2.NewFramer(conn, bufio.NewReader(conn))
	require.NoError(t, framer.WriteSettings())
	frame, err := framer.ReadFrame()
	require.NoError(t, err)
	settings, ok := frame.(*http2.SettingsFrame)
	require.True(t, ok)
	streams, ok := settings.Value(http2.SettingMaxConcurrentStreams)
	require.True(t, ok)
	require.Equal(t, uint32(32), streams)
}
