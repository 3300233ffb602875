// Package token makes the opaque tokens that clients carry between calls and gives back what is in
// them: pages of a search, places in a stream.
//
// A token is authentic (nobody but a holder of the key can make one) but not secret, and names what it
// is for, so that a page token is no resume token. It reads and writes nothing.
package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/entraflow/entraflow/pkg/config"
)

// ErrInvalid is returned for what is no token of this codec: damaged, made up, made with another key,
// or for another use.
var ErrInvalid = errors.New("invalid token")

const (
	// formatVersion is the first byte of every token. Tokens of other versions are refused.
	formatVersion = 1
	macSize       = 16
	keySize       = 32
)

// Codec seals and opens the tokens of one use. It does not change and may be shared.
type Codec struct{ key []byte }

// NewCodec returns the codec for a use, such as "page". Its key derives from secret: processes with
// the same secret understand each other's tokens. It fails for an empty secret.
func NewCodec(secret config.Secret, use string) (*Codec, error) {
	if secret.IsZero() {
		return nil, errors.New("deriving token key: no secret")
	}
	key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "entraflow gateway "+use+" token", keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving token key: %w", err)
	}
	return &Codec{key}, nil
}

// Seal returns a token that holds content: letters, digits, '-' and '_'.
func (c *Codec) Seal(content []byte) string {
	plain := append([]byte{formatVersion}, content...)
	return base64.RawURLEncoding.EncodeToString(c.appendMAC(plain))
}

// Open returns the content of a token, or ErrInvalid. Equal contents come from equal tokens only.
func (c *Codec) Open(token string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(sealed) < 1+macSize || base64.RawURLEncoding.EncodeToString(sealed) != token {
		// Go's decoder skips line ends; the comparison does not.
		return nil, ErrInvalid
	}
	plain := sealed[:len(sealed)-macSize]
	if !hmac.Equal(c.appendMAC(slices.Clip(plain)), sealed) || plain[0] != formatVersion {
		return nil, ErrInvalid
	}
	return plain[1:], nil
}

func (c *Codec) appendMAC(plain []byte) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write(plain)
	return append(plain, mac.Sum(nil)[:macSize]...)
}
