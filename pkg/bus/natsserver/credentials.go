package natsserver

import (
	"fmt"
	"path/filepath"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
)

// PasswordFile is where the password of a user stands.
func PasswordFile(directory, user string) string {
	return filepath.Join(directory, "nats-"+user+".password")
}

// Credentials returns the password of every user of the topology, by name. Each is a file in the
// directory, read or made as config.EnsureSecretFile does, whose errors and promises are those of
// Credentials.
func Credentials(directory string) (map[string]config.Secret, error) {
	passwords := map[string]config.Secret{}
	for _, user := range bus.Users() {
		password, err := config.EnsureSecretFile(PasswordFile(directory, user))
		if err != nil {
			return nil, fmt.Errorf("reading credentials of %s: %w", user, err)
		}
		passwords[user] = password
	}
	return passwords, nil
}
