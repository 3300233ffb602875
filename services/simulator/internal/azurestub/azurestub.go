// Package azurestub fakes the two Azure services that the SDK's own live tests need beside Event Hubs: the managed
// identity endpoint and Resource Manager. Tokens are signed by nobody and open nothing but simulators. It reads and
// writes only what its callers hand it.
package azurestub

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/services/simulator/internal/httpserver"
)

const tokenLifetime = time.Hour

// Tokens answers any GET with a token for the resource parameter, in the form of a managed identity endpoint. The
// claims are those that Azurite checks.
func Tokens(now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resource := r.URL.Query().Get("resource")
		issued := now()
		expires := issued.Add(tokenLifetime).Unix()
		token, err := unsigned(map[string]any{
			"aud": resource, "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
			"iat": issued.Unix(), "nbf": issued.Add(-time.Minute).Unix(), "exp": expires,
			"tid": "00000000-0000-0000-0000-000000000000", "oid": "00000000-0000-0000-0000-000000000001",
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		reply(w, http.StatusOK, map[string]string{
			"access_token": token, "token_type": "Bearer", "resource": resource,
			"expires_on": strconv.FormatInt(expires, 10),
		})
	})
}

func unsigned(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(payload) + "." + encode([]byte("unsigned")), nil
}

// Hubs is what the fake of Resource Manager controls.
type Hubs interface {
	SetEnabled(hub string, enabled bool) error
	Enabled(hub string) (bool, error)
}

// ServeResourceManager serves an HTTP proxy on ln whose only destination, whatever host is asked for, is a fake of
// Resource Manager, until ctx ends.
func ServeResourceManager(ctx context.Context, ln net.Listener, config *tls.Config, hubs Hubs) error {
	inner := &handover{conns: make(chan net.Conn), closed: make(chan struct{}), addr: ln.Addr()}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return httpserver.Serve(ctx, inner, resourceManager(hubs)) })
	group.Go(func() error { return httpserver.Serve(ctx, ln, inner.proxy(config)) })
	return group.Wait()
}

// handover is a listener that is handed its connections.
type handover struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
	addr   net.Addr
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }

// proxy answers CONNECT and hands the connection over.
func (h *handover) proxy(config *tls.Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if _, err := nc.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
			_ = nc.Close() // the client is gone
			return
		}
		select {
		case h.conns <- tls.Server(nc, config):
		case <-h.closed:
			_ = nc.Close() // the proxy is ending
		}
	})
}

const hubPath = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.EventHub/namespaces/{namespace}/eventhubs/{hub}"

var errNoStatus = errors.New("properties.status must be Active or Disabled")

func resourceManager(hubs Hubs) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+hubPath, func(w http.ResponseWriter, r *http.Request) { replyHub(w, hubs, r.PathValue("hub")) })
	mux.HandleFunc("PUT "+hubPath, func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Properties struct {
				Status string `json:"status"`
			} `json:"properties"`
		}
		err := json.NewDecoder(r.Body).Decode(&body)
		if status := body.Properties.Status; err == nil && status != "Active" && status != "Disabled" {
			err = errNoStatus
		}
		if err == nil {
			err = hubs.SetEnabled(r.PathValue("hub"), body.Properties.Status == "Active")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		replyHub(w, hubs, r.PathValue("hub"))
	})
	return mux
}

func replyHub(w http.ResponseWriter, hubs Hubs, hub string) {
	enabled, err := hubs.Enabled(hub)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	status := "Disabled"
	if enabled {
		status = "Active"
	}
	reply(w, http.StatusOK, map[string]any{"name": hub, "properties": map[string]any{"status": status}})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}
