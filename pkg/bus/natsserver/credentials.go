package natsserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
)

const (
	directoryMode = 0o700
	secretMode    = 0o600
)

// PasswordFile is where the password of a user stands.
func PasswordFile(directory, user string) string {
	return filepath.Join(directory, "nats-"+user+".password")
}

// Credentials returns the password of every user of the topology, by name. Each is a file of mode
// 0600 in the directory; one that does not exist is made, with a random password.
func Credentials(directory string) (map[string]config.Secret, error) {
	if err := os.MkdirAll(directory, directoryMode); err != nil {
		return nil, fmt.Errorf("making credentials directory: %w", err)
	}
	passwords := map[string]config.Secret{}
	for _, user := range bus.Users() {
		password, err := credential(PasswordFile(directory, user))
		if err != nil {
			return nil, fmt.Errorf("reading credentials of %s: %w", user, err)
		}
		passwords[user] = password
	}
	return passwords, nil
}

func credential(path string) (config.Secret, error) {
	password, err := config.ReadSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return password, err
	}
	// Renamed into place, so that a crash leaves no empty password behind.
	temporary, err := os.CreateTemp(filepath.Dir(path), ".password-") // has mode 0600
	if err != nil {
		return config.Secret{}, err
	}
	_, err = temporary.WriteString(rand.Text() + "\n")
	err = errors.Join(err, temporary.Chmod(secretMode), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return config.Secret{}, errors.Join(err, os.Remove(temporary.Name()))
	}
	return config.ReadSecret(path)
}
