package rest_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const api = "/entraflow.control.v1."

// Every method of the API is here with each of its routes, and what arrives at it.
func routeTests() map[string]struct {
	verb, path, body string
	method           string
	want             proto.Message
} {
	return map[string]struct {
		verb, path, body string
		method           string
		want             proto.Message
	}{
		"list integrations": {
			"GET", "/v1/integrations?pageSize=7&page_token=x", "",
			"IntegrationService/ListIntegrations", &controlv1.ListIntegrationsRequest{PageSize: 7, PageToken: "x"},
		},
	}
}

func TestEveryRouteReachesItsMethod(t *testing.T) {
	w := newWorld(t, answers{})
	reached := map[string]bool{}
	for name, tc := range routeTests() {
		t.Run(name, func(t *testing.T) {
			got := w.send(t, tc.verb, tc.path, tc.body)
			require.Equal(t, http.StatusOK, got.status, got.body)
			arrived := <-w.calls
			require.Equal(t, api+tc.method, arrived.method)
			require.Empty(t, cmp.Diff(tc.want, arrived.request, protocmp.Transform()))
			reached[arrived.method] = true
		})
	}
	for _, service := range services(t) {
		for i := range service.Methods().Len() {
			require.True(t, reached[fullMethod(service.Methods().Get(i))], "no test reaches %s", service.Methods().Get(i).FullName())
		}
	}
}
