package config

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// maxSecretFile bounds what is read as a secret: a path to a wrong file must not fill memory.
const maxSecretFile = 64 * KiB

const redacted = "[redacted]"

// Secret is a string that is only shown by Reveal. It prints, logs and marshals as
// "[redacted]", or as nothing if it is empty. In a config the key of a Secret with _file
// appended names a file to read it from instead. The zero Secret is empty.
type Secret struct{ value string }

// NewSecret returns value as a Secret.
func NewSecret(value string) Secret { return Secret{value: value} }

// ReadSecret reads a Secret from a file of at most 64 KiB and drops the line end after it.
// An empty file is an error.
func ReadSecret(path string) (Secret, error) {
	file, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("reading secret: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(file, int64(maxSecretFile)+1))
	if err != nil {
		return Secret{}, fmt.Errorf("reading secret: %w", err)
	}
	if len(text) > int(maxSecretFile) {
		return Secret{}, fmt.Errorf("reading secret: %s is larger than %s", path, maxSecretFile)
	}
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return Secret{}, fmt.Errorf("reading secret: %s is empty", path)
	}
	return NewSecret(string(text)), nil
}

// Reveal returns the secret itself. Pass it to what needs it; do not keep, log or wrap it.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.value == "" }

// Equal reports whether both are the same, in a time that tells nothing about either.
func (s Secret) Equal(other Secret) bool {
	a, b := sha256.Sum256([]byte(s.value)), sha256.Sum256([]byte(other.value))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String returns "[redacted]", or "" if the secret is empty.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format prints String whatever the verb: %d and %#v would look inside.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of JSON, YAML and every other encoding by text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets the secret. It refuses "[redacted]": that is printed config fed back.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redacted {
		return errors.New("is redacted; set the secret itself")
	}
	s.value = string(text)
	return nil
}
