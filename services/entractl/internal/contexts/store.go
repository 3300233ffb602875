package contexts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/gofrs/flock"
)

const (
	maxFile    = 1 << 20
	fileMode   = 0o600
	folderMode = 0o700
	lockPoll   = 20 * time.Millisecond
)

// Store reads and writes the file of contexts and the logins beside it. Several processes may use it at a time.
type Store struct{ path string }

// NewStore keeps contexts in the file path; "" makes every write fail with ErrNowhere. It opens nothing.
func NewStore(path string) *Store { return &Store{path} }

// Path is the file of contexts.
func (s *Store) Path() string { return s.path }

// Load reads the file; if there is none it is empty. Errors: ErrDamaged, those of the file system.
func (s *Store) Load() (File, error) {
	var f File
	text, err := readAll(s.path)
	switch {
	case s.path == "" || errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return f, fmt.Errorf("reading contexts: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.DisallowUnknownField()); err != nil && !errors.Is(err, io.EOF) {
		return File{}, fmt.Errorf("reading contexts: %s: %w: %s", s.path, ErrDamaged, yaml.FormatError(err, false, false))
	}
	return f, nil
}

// Update changes the file as it stands. It waits for others who do, until ctx is done. What change returns is returned, and
// nothing is written then.
func (s *Store) Update(ctx context.Context, change func(*File) error) error {
	unlock, err := s.lock(ctx, s.path)
	if err != nil {
		return err
	}
	defer unlock()
	f, err := s.Load()
	if err != nil {
		return err
	}
	if err := change(&f); err != nil {
		return err
	}
	text, err := yaml.MarshalWithOptions(f, yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("encoding contexts: %w", err)
	}
	return replace(s.path, text)
}

// Login is what one signs in to a context's gateway with: an API token, or what an issuer gave. It is a secret.
type Login struct {
	// Server is the gateway that it is for: it must not go to another.
	Server string `json:"server"`
	// APIToken is a token of the gateway's. Empty: it is an issuer's.
	APIToken string `json:"api_token,omitempty"`
	// Issuer and ClientID say who gave the tokens, and to whom.
	Issuer       string `json:"issuer,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	AccessToken  string `json:"access_token,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// Expiry is when the access token ends. Zero: it is not known.
	Expiry time.Time `json:"expiry,omitzero"`
}

// String shows nothing of it.
func (l Login) String() string { return "login for " + l.Server }

// GoString shows nothing of it.
func (l Login) GoString() string { return l.String() }

// Login reads the login of a context. Errors: ErrNotFound, ErrName, ErrDamaged.
func (s *Store) Login(name string) (Login, error) {
	path, err := s.loginPath(name)
	if err != nil {
		return Login{}, err
	}
	text, err := readAll(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Login{}, fmt.Errorf("login of context %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return Login{}, fmt.Errorf("reading the login of context %q: %w", name, err)
	}
	var l Login
	if json.Unmarshal(text, &l) != nil { // its error would show some of the text
		return Login{}, fmt.Errorf("reading the login of context %q: %w", name, ErrDamaged)
	}
	return l, nil
}

// SaveLogin replaces the login of a context.
func (s *Store) SaveLogin(name string, l Login) error {
	path, err := s.loginPath(name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding the login of context %q: %w", name, err)
	}
	return replace(path, append(text, '\n'))
}

// DeleteLogin forgets the login of a context, if there is one.
func (s *Store) DeleteLogin(name string) error {
	path, err := s.loginPath(name)
	if err != nil {
		return err
	}
	// The lock's file stays: another process may wait for it.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting the login of context %q: %w", name, err)
	}
	return nil
}

// LockLogin waits until no other process changes the login of a context; unlock lets the others. A refresh token may be
// used once, so that who refreshes must be alone.
func (s *Store) LockLogin(ctx context.Context, name string) (unlock func(), err error) {
	path, err := s.loginPath(name)
	if err != nil {
		return nil, err
	}
	return s.lock(ctx, path)
}

func (s *Store) loginPath(name string) (string, error) {
	if s.path == "" {
		return "", ErrNowhere
	}
	if err := CheckName(name); err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(s.path), "logins", name+".json"), nil
}

func (s *Store) lock(ctx context.Context, path string) (unlock func(), err error) {
	if path == "" {
		return nil, ErrNowhere
	}
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, fmt.Errorf("making the folder of contexts: %w", err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(fileMode))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { _ = lock.Unlock() }, nil // the lock ends with the process at the latest
}

// replace writes a file beside path and puts it there.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return fmt.Errorf("making the folder of contexts: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // of mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(file.Name()))
	}
	return nil
}

func readAll(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	var text bytes.Buffer
	if _, err := text.ReadFrom(io.LimitReader(file, maxFile+1)); err != nil {
		return nil, err
	}
	if text.Len() > maxFile {
		return nil, fmt.Errorf("%s: %w: it is larger than %d bytes", path, ErrDamaged, maxFile)
	}
	return text.Bytes(), nil
}
