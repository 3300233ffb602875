package access

import (
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Row says what a method takes.
type Row struct {
	// ReadOnly, HelpDesk and Admin say which roles may call it.
	ReadOnly, HelpDesk, Admin bool
	// Audited says that each call is written down: it changes something or reveals what is somebody's.
	Audited bool
}

const (
	yes = true
	no  = false
)

// Table says which role may call which method. It is the only place that does: a method without a row is open to nobody,
// and the gateway does not start with one. What a role may see of the tenants is for the methods, by caller.Tenants.
var table = map[string]Row{
	//                                                                 read_only help_desk admin audited
	controlv1.SignInService_SearchSignIns_FullMethodName: {yes, yes, yes, yes},

	controlv1.EventService_Subscribe_FullMethodName:    {yes, yes, yes, yes},
	controlv1.EventService_SearchEvents_FullMethodName: {yes, yes, yes, yes},

	controlv1.DirectoryService_SearchUsers_FullMethodName:      {yes, yes, yes, yes},
	controlv1.DirectoryService_GetUser_FullMethodName:          {yes, yes, yes, yes},
	controlv1.DirectoryService_ListGroups_FullMethodName:       {yes, yes, yes, yes},
	controlv1.DirectoryService_ListMembers_FullMethodName:      {yes, yes, yes, yes},
	controlv1.DirectoryService_ListApplications_FullMethodName: {yes, yes, yes, yes},
	controlv1.DirectoryService_ListHistory_FullMethodName:      {yes, yes, yes, yes},

	controlv1.IntegrationService_CreateIntegration_FullMethodName: {no, no, yes, yes},
	controlv1.IntegrationService_GetIntegration_FullMethodName:    {yes, yes, yes, yes},
	controlv1.IntegrationService_ListIntegrations_FullMethodName:  {yes, yes, yes, yes},
	controlv1.IntegrationService_UpdateIntegration_FullMethodName: {no, no, yes, yes},
	controlv1.IntegrationService_DeleteIntegration_FullMethodName: {no, no, yes, yes},
	controlv1.IntegrationService_TestConnection_FullMethodName:    {no, no, yes, yes},
	controlv1.IntegrationService_ResetCredentials_FullMethodName:  {no, no, yes, yes},
	controlv1.IntegrationService_CollectNow_FullMethodName:        {no, yes, yes, yes},
	controlv1.IntegrationService_ListRuns_FullMethodName:          {yes, yes, yes, yes},
	controlv1.IntegrationService_WatchRun_FullMethodName:          {yes, yes, yes, yes},

	controlv1.ApiTokenService_CreateApiToken_FullMethodName: {no, no, yes, yes},
	controlv1.ApiTokenService_GetApiToken_FullMethodName:    {no, no, yes, yes},
	controlv1.ApiTokenService_ListApiTokens_FullMethodName:  {no, no, yes, yes},
	controlv1.ApiTokenService_RevokeApiToken_FullMethodName: {no, no, yes, yes},

	controlv1.AuditService_ListAuditEntries_FullMethodName: {no, no, yes, yes},

	controlv1.SystemService_GetStatus_FullMethodName: {yes, yes, yes, no},
	controlv1.SystemService_GetCaller_FullMethodName: {yes, yes, yes, no},

	healthv1.Health_Check_FullMethodName:                                   {yes, yes, yes, no},
	healthv1.Health_List_FullMethodName:                                    {yes, yes, yes, no},
	healthv1.Health_Watch_FullMethodName:                                   {yes, yes, yes, no},
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:      {yes, yes, yes, no},
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: {yes, yes, yes, no},
}

// Lookup returns the row of a full method.
func Lookup(method string) (Row, bool) {
	row, ok := table[method]
	return row, ok
}

// Allows reports whether a role may call the method.
func (r Row) Allows(role controlv1.Role) bool {
	switch role {
	case controlv1.Role_ROLE_READ_ONLY:
		return r.ReadOnly
	case controlv1.Role_ROLE_HELP_DESK:
		return r.HelpDesk
	case controlv1.Role_ROLE_ADMIN:
		return r.Admin
	default:
		return false
	}
}

// least is the least of the roles that may call the method.
func (r Row) least() controlv1.Role {
	for role := controlv1.Role_ROLE_READ_ONLY; role <= controlv1.Role_ROLE_ADMIN; role++ {
		if r.Allows(role) {
			return role
		}
	}
	return controlv1.Role_ROLE_UNSPECIFIED
}
