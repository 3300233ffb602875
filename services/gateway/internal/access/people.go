package access

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/oidc"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// People is the Tokens of those who sign in by OpenID Connect.
type People struct{ Verifier *oidc.Verifier }

// Mine implements Tokens: a JWT has two dots, and no other token has one.
func (p People) Mine(token string) bool { return strings.Count(token, ".") == 2 }

var (
	errIssuerAway = grpcserver.NewError(codes.Unavailable, "ISSUER_UNAVAILABLE",
		"the issuer that signs people in cannot be reached", "try again in a minute; the gateway's log has the cause")
	errNoRoleGiven = grpcserver.NewError(codes.PermissionDenied, "ROLE_MISSING",
		"you are signed in, and no role is given to you", "ask an admin for a role; the gateway's auth.oidc.roles says which claims give one")
	refusals = []struct {
		cause error
		shown *grpcserver.Error
	}{
		{oidc.ErrExpired, unauthenticated("TOKEN_EXPIRED", "the token has expired", "sign in again")},
		{oidc.ErrNotYetValid, unauthenticated("TOKEN_NOT_YET_VALID", "the token is not valid yet", "compare the clocks of the gateway and of the issuer")},
		{oidc.ErrWrongAudience, unauthenticated("TOKEN_AUDIENCE", "the token is for another service", "ask the issuer for one for this gateway")},
		{oidc.ErrWrongIssuer, unauthenticated("TOKEN_ISSUER", "the token is of an issuer that is not trusted here", "sign in at the issuer that the gateway's auth.oidc.issuer names")},
		{oidc.ErrSignature, unauthenticated("TOKEN_SIGNATURE", "the token is not signed by a key of its issuer", "sign in again")},
		{oidc.ErrMalformed, unauthenticated("TOKEN_MALFORMED", "the token cannot be read", "send the access token as the issuer gave it")},
		{oidc.ErrNoRole, errNoRoleGiven},
		{oidc.ErrIssuerAway, errIssuerAway},
	}
)

func unauthenticated(reason, message, remedy string) *grpcserver.Error {
	return grpcserver.NewError(codes.Unauthenticated, reason, message, remedy)
}

// Holder implements Tokens.
func (p People) Holder(ctx context.Context, token string) (grpcserver.Identity, error) {
	claims, err := p.Verifier.Verify(ctx, token)
	if claims.Subject == "" {
		return grpcserver.Identity{}, refusal(err)
	}
	identity := grpcserver.Identity{
		Subject: "oidc:" + claims.Subject, DisplayName: claims.Name, Expires: claims.Expires,
		Credential: controlv1.CredentialKind_CREDENTIAL_KIND_OIDC,
	}
	if err != nil {
		return identity, refusal(err)
	}
	for _, grant := range claims.Grants {
		role, known := ParseRole(grant.Role)
		if known {
			identity.Grants = append(identity.Grants, grpcserver.Grant{
				Role: role, Tenants: grant.Tenants, AllTenants: grant.AllTenants,
			})
		}
	}
	return identity, nil
}

func refusal(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r.cause) {
			return r.shown.Because(err)
		}
	}
	return err
}
