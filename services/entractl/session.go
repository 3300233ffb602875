package entractl

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/entraflow/entraflow/services/entractl/internal/contexts"
	"github.com/entraflow/entraflow/services/entractl/internal/issuer"
)

const (
	// refreshBefore is how long before its end an access token is exchanged: calls and clocks take their time.
	refreshBefore = 30 * time.Second
	// refreshTimeout bounds an exchange, which holds up other processes.
	refreshTimeout = 30 * time.Second
	// ownDomain is the domain of errors that no gateway made.
	ownDomain = "entractl"
)

// session sends an issuer's access token with each call, and exchanges it before it ends. It may be used by many
// goroutines.
type session struct {
	store *contexts.Store
	name  string
	oidc  contexts.OIDC

	mu    sync.Mutex
	login contexts.Login
}

func newSession(store *contexts.Store, at *place) *session {
	return &session{store: store, name: at.Name, oidc: *at.OIDC, login: at.login}
}

func (s *session) RequireTransportSecurity() bool { return false }

// GetRequestMetadata returns the header. Its errors are UNAUTHENTICATED if one has to sign in again, else UNAVAILABLE.
func (s *session) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.login.Expiry.IsZero() || now.Before(s.login.Expiry.Add(-refreshBefore)) {
		return s.header()
	}
	err := s.refresh(ctx, now)
	switch {
	case err == nil || now.Before(s.login.Expiry) && !errors.Is(err, issuer.ErrEnded):
		return s.header()
	case errors.Is(err, issuer.ErrEnded):
		return nil, ownError(codes.Unauthenticated, "LOGIN_ENDED", err.Error()+"\nSign in again with `entractl login --context "+s.name+"`")
	default:
		return nil, ownError(codes.Unavailable, "LOGIN_NOT_REFRESHED", "the login of context "+s.name+" could not be refreshed: "+err.Error())
	}
}

func (s *session) header() (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + s.login.AccessToken}, nil
}

// refresh exchanges the token, unless another process just did.
func (s *session) refresh(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	unlock, err := s.store.LockLogin(ctx, s.name)
	if err != nil {
		return err
	}
	defer unlock()
	stored, err := s.store.Login(s.name)
	switch {
	case errors.Is(err, contexts.ErrNotFound):
		return issuer.ErrEnded // somebody signed out
	case err != nil:
		return err
	case stored.Server != s.login.Server || stored.Issuer != s.login.Issuer || stored.ClientID != s.login.ClientID:
		return issuer.ErrEnded // somebody signed in elsewhere
	}
	s.login = stored
	if now.Before(stored.Expiry.Add(-refreshBefore)) {
		return nil
	}
	if stored.RefreshToken == "" {
		return issuer.ErrEnded
	}
	at, err := issuer.Discover(ctx, issuerConfig(s.oidc))
	if err != nil {
		return err
	}
	token, err := at.Refresh(ctx, stored.RefreshToken)
	if err != nil {
		return err
	}
	s.login = loginOf(stored.Server, s.oidc, token)
	return s.store.SaveLogin(s.name, s.login)
}

func issuerConfig(o contexts.OIDC) issuer.Config {
	return issuer.Config{URL: o.Issuer, ClientID: o.ClientID, Scopes: o.Scopes, Audience: o.Audience, CAFile: o.CAFile}
}

func loginOf(server string, o contexts.OIDC, token *oauth2.Token) contexts.Login {
	return contexts.Login{
		Server: server, Issuer: o.Issuer, ClientID: o.ClientID,
		AccessToken: token.AccessToken, RefreshToken: token.RefreshToken, Expiry: token.Expiry.UTC(),
	}
}

// ownError is an error of a call that did not reach the gateway, whose message is for people as it is.
func ownError(code codes.Code, reason, message string) error {
	made, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{Domain: ownDomain, Reason: reason})
	if err != nil {
		return status.Error(code, message)
	}
	return made.Err()
}
