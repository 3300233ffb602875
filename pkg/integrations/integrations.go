// Package integrations keeps what is connected: each integration with its credential sealed, in the bucket
// integrations.
//
// The gateway writes it; the collector and the streamer watch it. A value is replaced as a whole and by
// revision, so a credential is the old one or the new one, never a part of either.
package integrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

var (
	// ErrNotFound is returned for an integration that there is not.
	ErrNotFound = errors.New("no such integration")
	// ErrExists is returned by Create for an id that is taken.
	ErrExists = errors.New("the integration exists already")
	// ErrConflict is returned for a change of what somebody else changed meanwhile.
	ErrConflict = errors.New("the integration was changed meanwhile")
)

// prefix begins the name of every integration.
const prefix = "integrations/"

// Name returns the resource name of an id.
func Name(id string) string { return prefix + id }

// ID returns the id in a resource name; ok is false if it is none.
func ID(name string) (id string, ok bool) {
	id, ok = strings.CutPrefix(name, prefix)
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// Record is an integration as it is kept. It is a value that nobody changes.
type Record struct {
	ID string
	// Integration is what a person set; its etag is the revision.
	Integration *controlv1.Integration
	// Sealed is the credential, for Store.Credential.
	Sealed []byte
	// Revision changes with each change.
	Revision uint64
}

// TenantID is the tenant of an Entra integration; empty for a hub.
func (r Record) TenantID() string {
	return strings.ToLower(r.Integration.GetEntra().GetTenantId())
}

// Store reads and writes integrations. It is safe for concurrent use and needs no closing.
type Store struct {
	kv     jetstream.KeyValue
	sealer *seal.Sealer
}

// Open waits for the bucket until ctx is done. The sealer stays the caller's.
func Open(ctx context.Context, conn *bus.Conn, sealer *seal.Sealer) (*Store, error) {
	kv, err := conn.Bucket(ctx, bus.BucketIntegrations)
	if err != nil {
		return nil, err
	}
	return &Store{kv, sealer}, nil
}

// Get returns one, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (Record, error) {
	entry, err := s.kv.Get(ctx, bus.Key(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Record{}, fmt.Errorf("reading integration %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Record{}, fmt.Errorf("reading integration %s: %w", id, err)
	}
	return read(entry)
}

// List returns all, by id.
func (s *Store) List(ctx context.Context) ([]Record, error) {
	watcher, err := s.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("listing integrations: %w", err)
	}
	defer watcher.Stop() //nolint:errcheck // it ends with the connection otherwise
	var all []Record
	for {
		select {
		case entry, ok := <-watcher.Updates():
			if !ok {
				return nil, fmt.Errorf("listing integrations: %w", jetstream.ErrConsumerDeleted)
			}
			if entry == nil {
				slices.SortFunc(all, func(a, b Record) int { return strings.Compare(a.ID, b.ID) })
				return all, nil
			}
			record, err := read(entry)
			if err != nil {
				return nil, err
			}
			all = append(all, record)
		case <-ctx.Done():
			return nil, fmt.Errorf("listing integrations: %w", context.Cause(ctx))
		}
	}
}

// Create keeps a new integration, or returns ErrExists.
func (s *Store) Create(ctx context.Context, id string, i *controlv1.Integration, c *controlv1.Credential) (Record, error) {
	value, err := s.value(ctx, id, i, c, nil)
	if err != nil {
		return Record{}, err
	}
	_, err = s.kv.Create(ctx, bus.Key(id), value)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return Record{}, fmt.Errorf("keeping integration %s: %w", id, ErrExists)
	}
	if err != nil {
		return Record{}, fmt.Errorf("keeping integration %s: %w", id, err)
	}
	return s.Get(ctx, id)
}

// Update replaces what was read as old. A nil credential keeps the old one. It returns ErrConflict if old is not
// the current one.
func (s *Store) Update(ctx context.Context, old Record, i *controlv1.Integration, c *controlv1.Credential) (Record, error) {
	value, err := s.value(ctx, old.ID, i, c, old.Sealed)
	if err != nil {
		return Record{}, err
	}
	_, err = s.kv.Update(ctx, bus.Key(old.ID), value, old.Revision)
	if bus.WrongRevision(err) {
		return Record{}, fmt.Errorf("changing integration %s: %w", old.ID, ErrConflict)
	}
	if err != nil {
		return Record{}, fmt.Errorf("changing integration %s: %w", old.ID, err)
	}
	return s.Get(ctx, old.ID)
}

// Delete forgets what was read as old, or returns ErrConflict.
func (s *Store) Delete(ctx context.Context, old Record) error {
	err := s.kv.Purge(ctx, bus.Key(old.ID), jetstream.LastRevision(old.Revision))
	if bus.WrongRevision(err) {
		return fmt.Errorf("deleting integration %s: %w", old.ID, ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("deleting integration %s: %w", old.ID, err)
	}
	return nil
}

// Credential opens the credential of a record. It fails with seal's errors.
func (s *Store) Credential(ctx context.Context, r Record) (*controlv1.Credential, error) {
	return OpenCredential(ctx, s.sealer, r.Sealed, Name(r.ID))
}

// SealCredential seals a credential for a purpose: the integration's name, or a test's.
func SealCredential(ctx context.Context, sealer *seal.Sealer, c *controlv1.Credential, purpose string) ([]byte, error) {
	plain, err := proto.Marshal(c)
	if err != nil {
		return nil, errors.New("sealing credential: it cannot be encoded")
	}
	return sealer.Seal(ctx, plain, purpose)
}

// OpenCredential is the inverse of SealCredential.
func OpenCredential(ctx context.Context, sealer *seal.Sealer, sealed []byte, purpose string) (*controlv1.Credential, error) {
	plain, err := sealer.Unseal(ctx, sealed, purpose)
	if err != nil {
		return nil, fmt.Errorf("opening credential: %w", err)
	}
	c := &controlv1.Credential{}
	if err := proto.Unmarshal(plain, c); err != nil {
		return nil, errors.New("opening credential: it is damaged") // the cause might quote it
	}
	return c, nil
}

// value is what the bucket keeps. Output-only fields that change by themselves are left out.
func (s *Store) value(
	ctx context.Context, id string, i *controlv1.Integration, c *controlv1.Credential, sealed []byte,
) ([]byte, error) {
	i = proto.CloneOf(i)
	i.Name, i.Status, i.Etag = Name(id), nil, ""
	if c != nil {
		var err error
		if sealed, err = SealCredential(ctx, s.sealer, c, Name(id)); err != nil {
			return nil, err
		}
	}
	value, err := proto.Marshal(&statev1.StoredIntegration{Integration: i, SealedCredential: sealed})
	if err != nil {
		return nil, fmt.Errorf("encoding integration %s: %w", id, err)
	}
	return value, nil
}

func read(entry jetstream.KeyValueEntry) (Record, error) {
	parts, ok := bus.ParseKey(entry.Key())
	if !ok || len(parts) != 1 {
		return Record{}, fmt.Errorf("reading integrations: key %q is none of ours", entry.Key())
	}
	stored := &statev1.StoredIntegration{}
	if err := proto.Unmarshal(entry.Value(), stored); err != nil {
		return Record{}, fmt.Errorf("reading integration %s: %w", parts[0], err)
	}
	stored.GetIntegration().Etag = strconv.FormatUint(entry.Revision(), 10)
	return Record{parts[0], stored.GetIntegration(), stored.GetSealedCredential(), entry.Revision()}, nil
}
