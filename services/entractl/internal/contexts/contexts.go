// Package contexts keeps what entractl knows of gateways: a file of contexts and beside it, each in a file of its own, the
// secrets of those that it signs in to.
//
// Files are of mode 0600, folders of 0700, and both are replaced as a whole: who reads sees the old or the new one.
package contexts

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxContexts bounds a file.
const MaxContexts = 1000

// Errors of this package.
var (
	// ErrNotFound says that there is no context, or no login of it.
	ErrNotFound = errors.New("not found")
	// ErrName says that a text cannot be a context's name.
	ErrName = errors.New("a context's name has at most 64 letters, digits, '.', '_' and '-', and begins with a letter or digit")
	// ErrDamaged says that a file is not one that this package wrote.
	ErrDamaged = errors.New("damaged")
	// ErrNowhere says that there is no folder for the file.
	ErrNowhere = errors.New("there is no folder for configuration")
)

// File is all contexts.
type File struct {
	// Current is the name of the context that is used unless another is asked for. Empty: none.
	Current string `yaml:"current,omitempty"`
	// Contexts are in the order of their names.
	Contexts []Context `yaml:"contexts,omitempty"`
}

// Context is a gateway and how one signs in to it.
type Context struct {
	Name string `yaml:"name"`
	// Server is host:port.
	Server string `yaml:"server"`
	// TLS asks for TLS with the system's certificate authorities, CAFile with those of a PEM file.
	TLS    bool   `yaml:"tls,omitempty"`
	CAFile string `yaml:"ca_file,omitempty"`
	// CertificateFile and KeyFile are the client's own, in PEM. Empty: it shows none.
	CertificateFile string `yaml:"certificate_file,omitempty"`
	KeyFile         string `yaml:"key_file,omitempty"`
	// TokenFile is a file with a token that somebody else keeps.
	TokenFile string `yaml:"token_file,omitempty"`
	// OIDC is the issuer that one signs in at.
	OIDC *OIDC `yaml:"oidc,omitempty"`
}

// OIDC is an OpenID Connect issuer and the client that one signs in with.
type OIDC struct {
	// Issuer is the issuer's URL, as its tokens say it.
	Issuer string `yaml:"issuer"`
	// ClientID is that of a public client that may use the device flow.
	ClientID string `yaml:"client_id"`
	// Scopes are asked for beside openid and offline_access.
	Scopes []string `yaml:"scopes,omitempty"`
	// Audience is asked for from issuers that take one.
	Audience string `yaml:"audience,omitempty"`
	// CAFile is a PEM file with the issuer's certificate authorities. Empty: the system's.
	CAFile string `yaml:"ca_file,omitempty"`
}

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)

// CheckName returns ErrName for what cannot be a context's name. A name is safe as part of a file's name.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%q: %w", name, ErrName)
	}
	return nil
}

// Find returns a copy of a context, or ErrNotFound.
func (f *File) Find(name string) (Context, error) {
	for _, c := range f.Contexts {
		if c.Name == name {
			return c, nil
		}
	}
	return Context{}, fmt.Errorf("context %q: %w", name, ErrNotFound)
}

// Put adds a context, or replaces the one of its name. The first becomes the current one.
func (f *File) Put(c Context) error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	if len(f.Contexts) == 0 {
		f.Current = c.Name
	}
	f.Contexts = slices.DeleteFunc(f.Contexts, func(old Context) bool { return old.Name == c.Name })
	if len(f.Contexts) >= MaxContexts {
		return fmt.Errorf("there are %d contexts, as many as are kept", MaxContexts)
	}
	f.Contexts = append(f.Contexts, c)
	slices.SortFunc(f.Contexts, func(a, b Context) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// Delete removes a context, or returns ErrNotFound. If it was the current one, there is none then.
func (f *File) Delete(name string) error {
	if _, err := f.Find(name); err != nil {
		return err
	}
	f.Contexts = slices.DeleteFunc(f.Contexts, func(c Context) bool { return c.Name == name })
	if f.Current == name {
		f.Current = ""
	}
	return nil
}
