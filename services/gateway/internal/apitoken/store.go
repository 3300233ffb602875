package apitoken

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

const (
	// Prefix begins every token, so that people and scanners of code know one when they see it.
	Prefix = "entraflow_"
	// idLength and secretLength are in characters of 5 bits; crypto/rand's Text has 26 of them.
	idLength   = 12
	namePrefix = "api-tokens/"
)

var errNotFound = errors.New("no such token")

// record is a token as it is kept.
type record struct {
	id       string
	token    *controlv1.ApiToken
	hash     []byte
	revision uint64
}

// store keeps tokens in the bucket api_tokens.
type store struct{ kv jetstream.KeyValue }

// newSecret returns a new id, and the token of which it is a part.
func newSecret() (id, secret string) {
	id = strings.ToLower(rand.Text()[:idLength])
	return id, Prefix + id + "_" + rand.Text()
}

// idOf returns the id in a token; false for what is none of ours.
func idOf(secret string) (string, bool) {
	rest, ours := strings.CutPrefix(secret, Prefix)
	id, key, ok := strings.Cut(rest, "_")
	return id, ours && ok && isID(id) && key != ""
}

func isID(id string) bool {
	return len(id) == idLength && !strings.ContainsFunc(id, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// opens reports, in constant time, whether a secret is that of the token.
func (r record) opens(secret string) bool {
	return subtle.ConstantTimeCompare(hashOf(secret), r.hash) == 1
}

func (s *store) get(ctx context.Context, id string) (record, error) {
	entry, err := s.kv.Get(ctx, bus.Key(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return record{}, fmt.Errorf("reading token %s: %w", id, errNotFound)
	}
	if err != nil {
		return record{}, fmt.Errorf("reading token %s: %w", id, err)
	}
	return read(entry)
}

// list returns all tokens, by id.
func (s *store) list(ctx context.Context) ([]record, error) {
	watcher, err := s.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("listing tokens: %w", err)
	}
	defer watcher.Stop() //nolint:errcheck // it ends with the connection otherwise
	var all []record
	for {
		select {
		case entry, ok := <-watcher.Updates():
			switch {
			case !ok:
				return nil, fmt.Errorf("listing tokens: %w", jetstream.ErrConsumerDeleted)
			case entry == nil: // that was all
				slices.SortFunc(all, func(a, b record) int { return strings.Compare(a.id, b.id) })
				return all, nil
			}
			r, err := read(entry)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		case <-ctx.Done():
			return nil, fmt.Errorf("listing tokens: %w", context.Cause(ctx))
		}
	}
}

// put writes a token that was read, or a new one with revision 0. It fails as bus.WrongRevision says if it is another by
// now.
func (s *store) put(ctx context.Context, r record) error {
	value, err := proto.Marshal(&statev1.StoredApiToken{ApiToken: r.token, SecretHash: r.hash})
	if err != nil {
		return fmt.Errorf("encoding token %s: %w", r.id, err)
	}
	if r.revision == 0 {
		_, err = s.kv.Create(ctx, bus.Key(r.id), value)
	} else {
		_, err = s.kv.Update(ctx, bus.Key(r.id), value, r.revision)
	}
	if err != nil {
		return fmt.Errorf("writing token %s: %w", r.id, err)
	}
	return nil
}

func (s *store) delete(ctx context.Context, r record) error {
	if err := s.kv.Purge(ctx, bus.Key(r.id), jetstream.LastRevision(r.revision)); err != nil {
		return fmt.Errorf("deleting token %s: %w", r.id, err)
	}
	return nil
}

func read(entry jetstream.KeyValueEntry) (record, error) {
	var stored statev1.StoredApiToken
	if err := proto.Unmarshal(entry.Value(), &stored); err != nil {
		return record{}, fmt.Errorf("decoding a token: %w", err)
	}
	id, _ := strings.CutPrefix(stored.GetApiToken().GetName(), namePrefix)
	return record{id: id, token: stored.GetApiToken(), hash: stored.GetSecretHash(), revision: entry.Revision()}, nil
}
