// Package seal keeps secrets closed where they rest: a value is encrypted under a key of its own, and that
// key under the master key, which is in a file or never leaves a key service.
//
// It reads the key file or asks the key service, and stores nothing. It gives no access control: who may ask
// the master key may open everything.
package seal

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms"        // awskms://
	_ "gocloud.dev/secrets/azurekeyvault" // azurekeyvault://
	_ "gocloud.dev/secrets/hashivault"    // hashivault://
	"gocloud.dev/secrets/localsecrets"

	"github.com/entraflow/entraflow/pkg/config"
)

var (
	// ErrNotOpened is returned for what the master key does not open: it is damaged, was sealed with another
	// key or in another context.
	ErrNotOpened = errors.New("the key does not open it")
	// ErrKeyUnavailable is returned if the key service cannot be asked.
	ErrKeyUnavailable = errors.New("the key service cannot be asked")
)

// version is the first byte of everything sealed, for a form to come.
const version = 1

// MaxPlaintext bounds what is sealed.
const MaxPlaintext = 256 << 10

// Config says where the master key is.
type Config struct {
	// KeyFile holds 64 hexadecimal digits. It is made, readable by its owner alone, where it is absent. Whoever
	// loses it must give every credential again.
	KeyFile string `yaml:"key_file"`
	// KeyURL names a key service instead: "hashivault://mykey", "azurekeyvault://vault.azure.net/keys/mykey",
	// "awskms://alias/mykey?region=eu-central-1". How to sign in there is in the environment, as its SDK has it.
	KeyURL string `yaml:"key_url"`
}

// DefaultConfig uses a file.
func DefaultConfig() Config { return Config{KeyFile: "data/credentials/seal.key"} }

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.KeyFile != "" || c.KeyURL != "", "key_file", "must be set, or key_url")
	if c.KeyURL != "" {
		scheme, _, found := strings.Cut(c.KeyURL, "://")
		known := found && (scheme == "hashivault" || scheme == "azurekeyvault" || scheme == "awskms")
		p.Check(known, "key_url", "must begin with hashivault://, azurekeyvault:// or awskms://")
	}
	return p.Err()
}

// Sealer seals and opens. It is safe for concurrent use. Whoever called Open closes it.
type Sealer struct {
	keeper   *secrets.Keeper
	envelope *aead.KMSEnvelopeAEADWithContext
}

// Open reads or makes the key file, or prepares to ask the key service.
func Open(ctx context.Context, c Config) (*Sealer, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("opening seal: %w", err)
	}
	keeper, err := keeper(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("opening seal: %w", err)
	}
	envelope, err := aead.NewKMSEnvelopeAEADWithContext(aead.AES256GCMKeyTemplate(), masterKey{keeper})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening seal: %w", err), keeper.Close())
	}
	return &Sealer{keeper, envelope}, nil
}

func keeper(ctx context.Context, c Config) (*secrets.Keeper, error) {
	if c.KeyURL != "" {
		return secrets.OpenKeeper(ctx, c.KeyURL)
	}
	secret, err := config.EnsureSecretFile(c.KeyFile)
	if err != nil {
		return nil, err
	}
	var key [32]byte
	n, err := hex.Decode(key[:], []byte(secret.Reveal())[:min(len(secret.Reveal()), 2*len(key))])
	if err != nil || n != len(key) || len(secret.Reveal()) != 2*len(key) {
		return nil, fmt.Errorf("%s must hold %d hexadecimal digits", c.KeyFile, 2*len(key))
	}
	return localsecrets.NewKeeper(key), nil
}

// Seal encrypts plaintext, at most MaxPlaintext bytes, so that it opens only in the same context: what it is for, such as
// the name of its owner. With a key service it asks that.
func (s *Sealer) Seal(ctx context.Context, plaintext []byte, purpose string) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("sealing: %d bytes are more than %d", len(plaintext), MaxPlaintext)
	}
	sealed, err := s.envelope.EncryptWithContext(ctx, plaintext, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", errors.Join(ErrKeyUnavailable, ctx.Err()))
	}
	return append([]byte{version}, sealed...), nil
}

// Unseal opens what Seal made. It fails with ErrNotOpened or, with a key service, ErrKeyUnavailable.
func (s *Sealer) Unseal(ctx context.Context, sealed []byte, purpose string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != version {
		return nil, fmt.Errorf("opening: %w", ErrNotOpened)
	}
	plaintext, err := s.envelope.DecryptWithContext(ctx, sealed[1:], []byte(purpose))
	switch {
	case err == nil:
		return plaintext, nil
	case ctx.Err() != nil || errors.Is(err, ErrKeyUnavailable):
		return nil, fmt.Errorf("opening: %w", errors.Join(ErrKeyUnavailable, ctx.Err()))
	default:
		// The cause may quote what it could not open.
		return nil, fmt.Errorf("opening: %w", ErrNotOpened)
	}
}

// Close lets go of the key service.
func (s *Sealer) Close() error { return s.keeper.Close() }

// masterKey is a keeper as tink has it. Keepers know no context; the envelope binds it.
type masterKey struct{ keeper *secrets.Keeper }

func (k masterKey) EncryptWithContext(ctx context.Context, plaintext, _ []byte) ([]byte, error) {
	return k.keeper.Encrypt(ctx, plaintext)
}

func (k masterKey) DecryptWithContext(ctx context.Context, ciphertext, _ []byte) ([]byte, error) {
	plaintext, err := k.keeper.Decrypt(ctx, ciphertext)
	if err != nil && unavailable(err) {
		return nil, errors.Join(ErrKeyUnavailable, err)
	}
	return plaintext, err
}
