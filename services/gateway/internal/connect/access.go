package connect

import (
	"context"
	"strings"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// maySee reports whether the caller may see every tenant of an integration.
func maySee(ctx context.Context, i *controlv1.Integration) bool {
	identity, ok := grpcserver.Caller(ctx)
	if !ok {
		return false
	}
	if identity.AllTenants {
		return true
	}
	tenants := tenantsOf(i)
	for _, tenant := range tenants {
		if tenant == anyTenant {
			return false // it stands for every tenant, whatever a grant names
		}
		if !identity.MaySee(strings.ToLower(tenant)) {
			return false
		}
	}
	return len(tenants) > 0
}

// tenantsOf returns the tenants of an integration, or "any".
func tenantsOf(i *controlv1.Integration) []string {
	if i.GetEntra() != nil {
		return []string{i.GetEntra().GetTenantId()}
	}
	return i.GetEventHub().GetTenantIds()
}

func mayChange(ctx context.Context, i *controlv1.Integration) error {
	grpcserver.Touch(ctx, tenantsOf(i)...)
	if !maySee(ctx, i) {
		return errForbidden
	}
	return nil
}
