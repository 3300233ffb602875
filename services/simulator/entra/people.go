package entra

import (
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/login"
	"github.com/entraflow/entraflow/services/simulator/entra/people"
)

// Names of the packages below that callers need.
type (
	// PeopleConfig is who can sign in, and to what.
	PeopleConfig = people.Config
	// PersonConfig is somebody.
	PersonConfig = people.PersonConfig
	// Person is somebody at one moment.
	Person = people.Person
	// WaitingSignIn is a sign-in by device that nobody has decided on.
	WaitingSignIn = people.Waiting
	// PersonToken asks for an access token of a person without a sign-in.
	PersonToken = login.PersonToken
)

// ErrNobody says that there is no such person or user code.
var ErrNobody = people.ErrNotFound

// keepKeys is how long a key that was replaced is told if nobody says: longer than tokens live.
const keepKeys = 24 * time.Hour

// People returns everybody who can sign in.
func (s *Server) People() []Person { return s.people.All() }

// SetRoles replaces the app roles of a person. Tokens that were issued keep theirs; renewed ones have the new ones. Its
// error is ErrNobody.
func (s *Server) SetRoles(username string, roles []string) error {
	return s.people.SetRoles(username, roles)
}

// WaitingSignIns returns the sign-ins by device that can be decided on.
func (s *Server) WaitingSignIns() []WaitingSignIn { return s.people.Waiting() }

// ApproveSignIn signs a person in with the device that shows a user code. Its error is ErrNobody.
func (s *Server) ApproveSignIn(userCode, username string) error {
	return s.people.Approve(userCode, username)
}

// RefuseSignIn ends a sign-in by device. Its error is ErrNobody.
func (s *Server) RefuseSignIn(userCode string) error { return s.people.Refuse(userCode) }

// SetSkew says how far ahead the clock is that stamps people's tokens; negative is behind. Apps' tokens are not
// concerned.
func (s *Server) SetSkew(d time.Duration) { s.people.SetSkew(d) }

// Skew is what SetSkew set.
func (s *Server) Skew() time.Duration { return s.people.Skew() }

// RotateKeys signs all tokens with a new key and returns its id. The keys before it are told for as long as keep, and
// taken back then; 0 is at once.
func (s *Server) RotateKeys(keep time.Duration) string { return s.login.Rotate(keep) }

// IssuePerson returns an access token of a person. Its errors are ErrNotFound for the tenant, ErrNobody for the person,
// and login.ErrIssuer.
func (s *Server) IssuePerson(ask PersonToken) (string, error) { return s.login.IssuePerson(ask) }
