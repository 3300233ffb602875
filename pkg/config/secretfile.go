package config

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	secretBytes = 32
	folderMode  = fs.FileMode(0o700)
	othersBits  = fs.FileMode(0o077)
)

// ErrSecretFile is the fault of a file that does not keep a secret, or holds none that will do.
var ErrSecretFile = errors.New("is no secret file")

// EnsureSecretFile returns the secret in the file at path, as ReadSecret does. Where there is no file
// it makes one of mode 0600 with 256 random bits, 64 hexadecimal digits, and the folders that are
// missing above it, of mode 0700. Of several processes or goroutines that make it at once one wins,
// and all return its secret. It fails with ErrSecretFile for a file that others than its owner can
// open, and as ReadSecret does for one that is empty or too large; it changes no file that exists.
func EnsureSecretFile(path string) (Secret, error) {
	secret, err := readOwnSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := createSecret(path); err != nil {
		return Secret{}, fmt.Errorf("creating secret file: %w", err)
	}
	return readOwnSecret(path)
}

func readOwnSecret(path string) (Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Secret{}, fmt.Errorf("reading secret: %w", err)
	}
	if mode := info.Mode().Perm(); mode&othersBits != 0 {
		return Secret{}, fmt.Errorf("%s %w: others than its owner can open it: it has mode %04o, not 0600", path, ErrSecretFile, mode)
	}
	return ReadSecret(path)
}

// createSecret links a temporary file to path, so that the file is there with all of its secret or
// not at all, even after a crash, and one that is there already stays.
func createSecret(path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // has mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temporary.Name())) }()
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails
	_, err = fmt.Fprintf(temporary, "%x\n", secret)
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
