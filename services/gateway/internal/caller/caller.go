// Package caller says what the caller of a method may see.
package caller

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

var errTenant = grpcserver.NewError(codes.PermissionDenied, "TENANT_FORBIDDEN",
	"the token does not open these tenants", "leave out tenant_ids to get all that it opens")

// Tenants returns the tenants to look at for a request that names some: those, or without any all that
// the caller may see; nil means every tenant there is. It refuses a request that names a tenant which
// the caller may not see.
func Tenants(ctx context.Context, requested []string) ([]string, error) {
	identity, ok := grpcserver.Caller(ctx)
	if !ok {
		return nil, grpcserver.ErrUnauthenticated
	}
	tenants := make([]string, 0, len(requested))
	for _, tenant := range requested {
		tenants = append(tenants, strings.ToLower(tenant))
	}
	slices.Sort(tenants)
	tenants = slices.Compact(tenants)
	grpcserver.Touch(ctx, tenants...)
	if len(tenants) == 0 && identity.AllTenants {
		return nil, nil
	}
	if len(tenants) == 0 {
		tenants = identity.Tenants
		grpcserver.Touch(ctx, tenants...)
	}
	if len(tenants) == 0 {
		return nil, errTenant
	}
	for _, tenant := range tenants {
		if !identity.MaySee(tenant) {
			return nil, errTenant
		}
	}
	return tenants, nil
}
