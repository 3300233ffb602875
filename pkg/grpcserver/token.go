package grpcserver

import (
	"fmt"

	"github.com/entraflow/entraflow/pkg/config"
)

// minTokenLength is that of 256 bits in hexadecimal digits.
const minTokenLength = 64

// EnsureToken returns the token in the file at path, or makes the file, as config.EnsureSecretFile
// does. It fails with config.ErrSecretFile also for a token of less than 64 characters: a client can
// try tokens for as long as it likes.
func EnsureToken(path string) (config.Secret, error) {
	token, err := config.EnsureSecretFile(path)
	if err != nil {
		return config.Secret{}, fmt.Errorf("ensuring token: %w", err)
	}
	if len(token.Reveal()) < minTokenLength {
		return config.Secret{}, fmt.Errorf("ensuring token: %s %w: it holds less than %d characters", path, config.ErrSecretFile, minTokenLength)
	}
	return token, nil
}
