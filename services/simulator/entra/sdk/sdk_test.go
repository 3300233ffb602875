// Package sdk_test holds the test that needs msgraph-sdk-go, which takes minutes to compile.
package sdk_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/microsoft/kiota-abstractions-go/authentication"
	azure "github.com/microsoft/kiota-authentication-azure-go"
	khttp "github.com/microsoft/kiota-http-go"
	msgraphsdk "github.com/microsoftgraph/msgraph-sdk-go"
	"github.com/microsoftgraph/msgraph-sdk-go/auditlogs"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

const (
	tenantID = "11111111-2222-3333-4444-555555555555"
	clientID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	secret   = "s3cret-value"
)

func newServer(t *testing.T) *entra.Server {
	t.Helper()
	cfg := entra.DefaultConfig()
	var one entra.TenantConfig
	one.SetDefaults()
	one.ID, one.Users, one.Days, one.End = tenantID, 100, 7, time.Now().UTC().Truncate(time.Second)
	cfg.Tenants = []entra.TenantConfig{one}
	cfg.Throttle.Mode = "off"
	cfg.Apps = []entra.AppConfig{{
		ClientID: clientID, Secrets: []entra.SecretConfig{{Value: config.NewSecret(secret)}},
		Grants: []entra.GrantConfig{{Tenant: tenantID, Consents: entra.ReadPermissions()}},
	}}
	s, err := entra.New(cfg, entra.Settings{})
	require.NoError(t, err)
	return s
}

// client is the SDK against Graph at base, with tokens of the login host at authority.
func client(t *testing.T, authority, base string, transport *http.Client) *msgraphsdk.GraphServiceClient {
	t.Helper()
	credential, err := azidentity.NewClientSecretCredential(tenantID, clientID, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: authority, Services: map[cloud.ServiceName]cloud.ServiceConfiguration{}},
			Transport: transport, Retry: policy.RetryOptions{MaxRetries: -1},
		},
		DisableInstanceDiscovery: true,
	})
	require.NoError(t, err)
	auth, err := azure.NewAzureIdentityAuthenticationProviderWithScopesAndValidHosts(credential,
		[]string{"https://graph.microsoft.com/.default"}, []string{"127.0.0.1"})
	require.NoError(t, err)
	adapter, err := msgraphsdk.NewGraphRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		authentication.AuthenticationProvider(auth), nil, nil, &http.Client{Transport: khttp.NewCustomTransportWithParentTransport(transport.Transport)})
	require.NoError(t, err)
	adapter.SetBaseUrl(base + "/v1.0")
	return msgraphsdk.NewGraphServiceClient(adapter)
}

// TestUnmodifiedSDK reads every collection by the typed client, over HTTPS and over plain HTTP.
func TestUnmodifiedSDK(t *testing.T) {
	s := newServer(t)
	secure, plain := httptest.NewTLSServer(s), httptest.NewServer(s)
	defer secure.Close()
	defer plain.Close()
	source, err := s.Tenant(tenantID)
	require.NoError(t, err)
	for _, base := range []string{secure.URL, plain.URL} {
		c := client(t, secure.URL, base, secure.Client())
		want := source.Truth(tenant.Query{At: time.Now()})
		require.Equal(t, want[tenant.Interactive], uint64(len(signIns(t, c))))
		audits, err := c.AuditLogs().DirectoryAudits().Get(t.Context(), nil)
		require.NoError(t, err)
		require.NotEmpty(t, *audits.GetValue()[0].GetActivityDisplayName())
		top := int32(5)
		provisioning, err := c.AuditLogs().Provisioning().Get(t.Context(), &auditlogs.ProvisioningRequestBuilderGetRequestConfiguration{
			QueryParameters: &auditlogs.ProvisioningRequestBuilderGetQueryParameters{Top: &top},
		})
		require.NoError(t, err)
		require.Len(t, provisioning.GetValue(), 5)
		detections, err := c.IdentityProtection().RiskDetections().Get(t.Context(), nil)
		require.NoError(t, err)
		require.NotNil(t, detections.GetValue()[0].GetDetectedDateTime())
		_, err = c.IdentityProtection().RiskyUsers().Get(t.Context(), nil)
		require.NoError(t, err)
		organization, err := c.Organization().Get(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, tenantID, *organization.GetValue()[0].GetId())
		skus, err := c.SubscribedSkus().Get(t.Context(), nil)
		require.NoError(t, err)
		require.NotEmpty(t, skus.GetValue()[0].GetServicePlans())
		applications, err := c.Applications().Get(t.Context(), nil)
		require.NoError(t, err)
		require.NotEmpty(t, *applications.GetValue()[0].GetAppId())
		principals, err := c.ServicePrincipals().Get(t.Context(), nil)
		require.NoError(t, err)
		require.NotEmpty(t, *principals.GetValue()[0].GetAppId())
		users, err := c.Users().Get(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, users.GetValue(), 100)
	}
}

// signIns walks the log by next links.
func signIns(t *testing.T, c *msgraphsdk.GraphServiceClient) []models.SignInable {
	t.Helper()
	top := int32(400)
	p, err := c.AuditLogs().SignIns().Get(t.Context(), &auditlogs.SignInsRequestBuilderGetRequestConfiguration{
		QueryParameters: &auditlogs.SignInsRequestBuilderGetQueryParameters{Top: &top},
	})
	require.NoError(t, err)
	all := p.GetValue()
	for p.GetOdataNextLink() != nil {
		p, err = c.AuditLogs().SignIns().WithUrl(*p.GetOdataNextLink()).Get(t.Context(), nil)
		require.NoError(t, err)
		all = append(all, p.GetValue()...)
	}
	for _, one := range all {
		require.NotNil(t, one.GetCreatedDateTime())
		require.NotNil(t, one.GetStatus().GetErrorCode())
	}
	return all
}

// TestErrorsOfTheSDK shows that errors arrive as the SDK's.
func TestErrorsOfTheSDK(t *testing.T) {
	s := newServer(t)
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	c := client(t, secure.URL, secure.URL, secure.Client())
	require.NoError(t, s.SetLicence(tenantID, tenant.Free))
	_, err := c.AuditLogs().SignIns().Get(t.Context(), nil)
	requireCode(t, err, http.StatusForbidden, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")
	bad := "colour eq 'x'"
	_, err = c.AuditLogs().DirectoryAudits().Get(t.Context(), &auditlogs.DirectoryAuditsRequestBuilderGetRequestConfiguration{
		QueryParameters: &auditlogs.DirectoryAuditsRequestBuilderGetQueryParameters{Filter: &bad},
	})
	requireCode(t, err, http.StatusBadRequest, "BadRequest")
	_, err = s.InjectFault(entra.Fault{Kind: "unauthorized", Count: 1})
	require.NoError(t, err)
	_, err = c.Organization().Get(t.Context(), nil)
	requireCode(t, err, http.StatusUnauthorized, "InvalidAuthenticationToken")
}

func requireCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	var failed *odataerrors.ODataError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, code, *failed.GetErrorEscaped().GetCode())
	require.Equal(t, status, failed.ResponseStatusCode)
	require.NotEmpty(t, failed.GetErrorEscaped().GetInnerError().GetRequestId())
}
