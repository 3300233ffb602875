package grpcserver

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/entraflow/entraflow/pkg/config"
)

const (
	tokenBytes = 32
	ownerOnly  = os.FileMode(0o600)
	othersBits = os.FileMode(0o077)
)

// ErrTokenFile is the fault of a token file that others can open or that holds no token.
var ErrTokenFile = errors.New("is no token file")

// EnsureToken returns the token in the file at path; where there is none it creates one with a
// random token of 256 bits, readable by its owner alone. Of several processes that create it
// at once one wins, and all return its token. It fails with ErrTokenFile for a file that
// others can open, or that holds something shorter.
func EnsureToken(path string) (config.Secret, error) {
	token, err := readToken(path)
	if !errors.Is(err, os.ErrNotExist) {
		return token, err
	}
	if err := createToken(path); err != nil {
		return config.Secret{}, fmt.Errorf("creating token file: %w", err)
	}
	return readToken(path)
}

func readToken(path string) (config.Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return config.Secret{}, fmt.Errorf("reading token file: %w", err)
	}
	if info.Mode().Perm()&othersBits != 0 {
		return config.Secret{}, fmt.Errorf("%s %w: others than its owner can open it", path, ErrTokenFile)
	}
	token, err := config.ReadSecret(path)
	if err == nil && len(token.Reveal()) < hex.EncodedLen(tokenBytes) {
		err = fmt.Errorf("%s %w: it holds less than %d characters", path, ErrTokenFile, hex.EncodedLen(tokenBytes))
	}
	if err != nil {
		return config.Secret{}, err
	}
	return token, nil
}

// createToken writes a temporary file and links it to path, so that the file is there with
// all of its token or not at all, and one that is there already stays.
func createToken(path string) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".token-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	token := make([]byte, tokenBytes)
	_, _ = rand.Read(token) // never fails
	_, err = fmt.Fprintf(temp, "%x\n", token)
	if err := errors.Join(err, temp.Chmod(ownerOnly), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
