// Package access decides who makes a call and whether they may: which role may call which method is table.go, who holds a
// token or certificate is authenticate.go.
//
// It is pure but for the token sources it is given, and reads and writes nothing.
package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// ErrNoRow is returned by Complete for methods that nobody decided on.
var ErrNoRow = errors.New("no row in the table of roles and methods")

var (
	errRole = grpcserver.NewError(codes.PermissionDenied, "ROLE_MISSING",
		"none of your roles may do this", "ask an admin for a role that may: required_role is the least")
	errScope = grpcserver.NewError(codes.PermissionDenied, "SCOPE_MISSING",
		"the API token's scopes do not have this method", "use a token whose scopes do, or one without scopes")
)

// Authorize returns the caller with what the method lets them see: Role is the highest of the grants that may call it,
// Tenants and AllTenants are those of all grants that may. It fails with PERMISSION_DENIED if none may, or if the scopes
// of the caller's token leave the method out.
func Authorize(method string, caller grpcserver.Identity) (grpcserver.Identity, error) {
	row := table[method] // that of an unknown method allows nobody
	refused := caller
	refused.Role, refused.Tenants, refused.AllTenants = controlv1.Role_ROLE_UNSPECIFIED, nil, false
	allowed := refused
	for _, grant := range caller.Grants {
		if !row.Allows(grant.Role) || !grant.AllTenants && len(grant.Tenants) == 0 {
			continue
		}
		allowed.Role = max(allowed.Role, grant.Role)
		allowed.AllTenants = allowed.AllTenants || grant.AllTenants
		allowed.Tenants = append(allowed.Tenants, grant.Tenants...)
	}
	if allowed.Role == controlv1.Role_ROLE_UNSPECIFIED {
		return refused, errRole.With("required_role", RoleName(row.least()))
	}
	if !inScope(method, caller.Scopes) {
		return refused, errScope
	}
	if allowed.AllTenants {
		allowed.Tenants = nil
	}
	slices.Sort(allowed.Tenants)
	allowed.Tenants = slices.Compact(allowed.Tenants)
	return allowed, nil
}

// inScope reports whether scopes have a method. What belongs to gRPC itself is in every scope, and so is asking who one is.
func inScope(method string, scopes []string) bool {
	if len(scopes) == 0 || strings.HasPrefix(method, "/grpc.") || method == controlv1.SystemService_GetCaller_FullMethodName {
		return true
	}
	service, name := split(method)
	return slices.Contains(scopes, service) || slices.Contains(scopes, service+"."+name)
}

// split returns the names of service and method, without the package: "IntegrationService", "CollectNow".
func split(method string) (service, name string) {
	full, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return full[strings.LastIndexByte(full, '.')+1:], name
}

// Action names a method in the audit log: "IntegrationService-CollectNow".
func Action(method string) string {
	service, name := split(method)
	return service + "-" + name
}

// IsScope reports whether a scope names a service or method that there is.
func IsScope(scope string) bool {
	for method := range table {
		service, name := split(method)
		if !strings.HasPrefix(method, "/grpc.") && (scope == service || scope == service+"."+name) {
			return true
		}
	}
	return false
}

// Complete fails with ErrNoRow if a method has no row, or a row no method.
func Complete(methods []string) error {
	var errs []error
	for _, method := range methods {
		if _, ok := table[method]; !ok {
			errs = append(errs, fmt.Errorf("method %s: %w: say in internal/access/table.go who may call it", method, ErrNoRow))
		}
	}
	for method := range table {
		if !slices.Contains(methods, method) {
			errs = append(errs, fmt.Errorf("row %s of the table of roles: there is no such method", method))
		}
	}
	return errors.Join(errs...)
}

var roleNames = map[controlv1.Role]string{
	controlv1.Role_ROLE_READ_ONLY: "read_only",
	controlv1.Role_ROLE_HELP_DESK: "help_desk",
	controlv1.Role_ROLE_ADMIN:     "admin",
}

// RoleName is how config files and people write a role. Empty: not set.
func RoleName(role controlv1.Role) string { return roleNames[role] }

// ParseRole is the inverse of RoleName.
func ParseRole(name string) (controlv1.Role, bool) {
	for role, known := range roleNames {
		if known == name {
			return role, true
		}
	}
	return controlv1.Role_ROLE_UNSPECIFIED, false
}
