package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// expected reads who may call what from testdata/access.txt, which a person keeps: it is not derived from the table.
func expected(t *testing.T) map[string]map[controlv1.Role]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/access.txt")
	require.NoError(t, err)
	roles := []controlv1.Role{controlv1.Role_ROLE_READ_ONLY, controlv1.Role_ROLE_HELP_DESK, controlv1.Role_ROLE_ADMIN}
	matrix := map[string]map[controlv1.Role]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		require.Len(t, fields, 4, line)
		row := map[controlv1.Role]bool{}
		for i, role := range roles {
			require.Contains(t, []string{"yes", "no"}, fields[i+1], line)
			row[role] = fields[i+1] == "yes"
		}
		matrix[fields[0]] = row
	}
	return matrix
}

// tokenFor makes an API token.
func (w *world) tokenFor(t *testing.T, token *controlv1.ApiToken) *controlv1.CreateApiTokenResponse {
	t.Helper()
	if token.GetDisplayName() == "" {
		token.DisplayName = t.Name()
	}
	made, err := controlv1.NewApiTokenServiceClient(w.conn).CreateApiToken(t.Context(), &controlv1.CreateApiTokenRequest{ApiToken: token})
	require.NoError(t, err)
	require.NotEmpty(t, made.GetSecret())
	return made
}

// unbounded lets a test call as often as it likes.
func unbounded(c *gateway.Config) {
	c.GRPC.PerCaller.Rate, c.GRPC.PerCaller.Burst = 1e6, 1e6
}

// transports are the ways a method can be called; each returns the status code.
func (w *world) transports(t *testing.T) map[string]func(ctx context.Context, token, method string) codes.Code {
	t.Helper()
	bare := w.dial(t, "")
	return map[string]func(context.Context, string, string) codes.Code{
		"grpc": func(ctx context.Context, token, method string) codes.Code {
			if token != "" {
				ctx = bearer(ctx, token)
			}
			return status.Code(call(ctx, bare, method))
		},
		"rest": func(ctx context.Context, token, method string) codes.Code {
			if strings.HasPrefix(method, "/grpc.") {
				// What belongs to gRPC itself has no other way.
				return w.transports(t)["grpc"](ctx, token, method)
			}
			return w.callHTTP(ctx, t, token, method)
		},
	}
}

// callHTTP calls a method by the HTTP binding in its proto file, with nothing in it but what the path needs.
func (w *world) callHTTP(ctx context.Context, t *testing.T, token, method string) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + name))
	require.NoError(t, err)
	rule, ok := proto.GetExtension(found.Options(), annotations.E_Http).(*annotations.HttpRule)
	require.True(t, ok && rule != nil, "%s has no HTTP binding", method)
	verb, path := http.MethodGet, rule.GetGet()
	for other, otherPath := range map[string]string{
		http.MethodPost: rule.GetPost(), http.MethodPatch: rule.GetPatch(), http.MethodDelete: rule.GetDelete(),
	} {
		if otherPath != "" {
			verb, path = other, otherPath
		}
	}
	path = regexp.MustCompile(`\{[^}=]*=([^}]*)\}`).ReplaceAllString(path, "$1")
	path = regexp.MustCompile(`\{[^}]*\}|\*`).ReplaceAllString(path, "x")
	var body io.Reader
	if rule.GetBody() != "" {
		body = strings.NewReader("{}")
	}
	request, err := http.NewRequestWithContext(ctx, verb, w.gateway.HTTPURL()+path, body)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.NotEqual(t, http.StatusInternalServerError, response.StatusCode, method)
	if response.StatusCode == http.StatusOK {
		return codes.OK
	}
	var failed struct{ Code codes.Code }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&struct {
		Code *uint32 `json:"code"`
	}{(*uint32)(&failed.Code)}), method)
	want := map[codes.Code]int{codes.Unauthenticated: http.StatusUnauthorized, codes.PermissionDenied: http.StatusForbidden}
	if code, ok := want[failed.Code]; ok {
		require.Equal(t, code, response.StatusCode, method)
	}
	return failed.Code
}

func TestEachRoleMayCallWhatTheTableSays(t *testing.T) {
	w := newWorld(t, unbounded)
	matrix := expected(t)
	methods := w.methods(t)
	for _, method := range methods {
		require.Contains(t, matrix, method, "a method without a line in testdata/access.txt: say there and in internal/access/table.go who may call it")
	}
	for method := range matrix {
		require.Contains(t, methods, method, "a line in testdata/access.txt without a method")
	}
	for role, name := range map[controlv1.Role]string{
		controlv1.Role_ROLE_READ_ONLY: "read_only", controlv1.Role_ROLE_HELP_DESK: "help_desk", controlv1.Role_ROLE_ADMIN: "admin",
	} {
		for tenants, ids := range map[string][]string{"all": nil, "one": {tenantA}} {
			secret := w.tokenFor(t, &controlv1.ApiToken{Role: role, TenantIds: ids}).GetSecret()
			for transport, call := range w.transports(t) {
				t.Run(name+"/"+tenants+"/"+transport, func(t *testing.T) {
					for _, method := range methods {
						code := call(t.Context(), secret, method)
						if matrix[method][role] {
							require.NotContains(t, []codes.Code{codes.Unauthenticated, codes.PermissionDenied}, code, method)
						} else {
							require.Equal(t, codes.PermissionDenied, code, method)
						}
					}
				})
			}
		}
	}
}

func TestNoRoleExpiredRevokedAndUnknownMayNothing(t *testing.T) {
	w := newWorld(t, unbounded)
	methods := w.methods(t)
	revoked := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_ADMIN})
	_, err := controlv1.NewApiTokenServiceClient(w.conn).RevokeApiToken(t.Context(), &controlv1.RevokeApiTokenRequest{Name: revoked.GetApiToken().GetName()})
	require.NoError(t, err)
	ends := time.Now().Add(500 * time.Millisecond)
	expired := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_ADMIN, ExpireTime: timestamppb.New(ends)})
	require.Eventually(t, func() bool { return time.Now().After(ends) }, patience, 10*time.Millisecond)
	good := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_ADMIN}).GetSecret()
	last := byte('A')
	if good[len(good)-1] == last {
		last = 'B'
	}
	for name, token := range map[string]string{
		"none": "", "revoked": revoked.GetSecret(), "expired": expired.GetSecret(),
		"changed": good[:len(good)-1] + string(last), "cut": good[:len(good)-1], "of another": "entraflow_aaaaaaaaaaaa_" + good[len(good)-26:],
		"prefix alone": "entraflow_", "jwt": "eyJhbGciOiJub25lIn0.e30.",
	} {
		for transport, call := range w.transports(t) {
			t.Run(name+"/"+transport, func(t *testing.T) {
				for _, method := range methods {
					require.Equal(t, codes.Unauthenticated, call(t.Context(), token, method), method)
				}
			})
		}
	}
	require.Equal(t, codes.OK, status.Code(call(bearer(t.Context(), good), w.dial(t, ""), controlv1.SystemService_GetCaller_FullMethodName)))
}

func TestScopesNarrowAToken(t *testing.T) {
	w := newWorld(t, unbounded)
	secret := w.tokenFor(t, &controlv1.ApiToken{
		Role: controlv1.Role_ROLE_ADMIN, Scopes: []string{"SignInService", "IntegrationService.ListRuns"},
	}).GetSecret()
	open := []string{
		controlv1.SignInService_SearchSignIns_FullMethodName, controlv1.IntegrationService_ListRuns_FullMethodName,
		controlv1.SystemService_GetCaller_FullMethodName,
	}
	for transport, call := range w.transports(t) {
		t.Run(transport, func(t *testing.T) {
			for _, method := range w.methods(t) {
				code := call(t.Context(), secret, method)
				if slices.Contains(open, method) || strings.HasPrefix(method, "/grpc.") {
					require.NotEqual(t, codes.PermissionDenied, code, method)
				} else {
					require.Equal(t, codes.PermissionDenied, code, method)
				}
			}
		})
	}
}
