package checkpoint

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/nats-io/nuid"
)

// errDamaged is final: the same bytes stand there at the next attempt.
var errDamaged = errors.New("value is damaged")

// owner is the value of an owner's key.
type owner struct {
	OwnerID string `json:"owner_id"`
	// Claim tells apart the writes of one owner: a claim whose answer was lost finds itself by it.
	Claim string `json:"claim"`
}

func partitionOf(o azeventhubs.Ownership) Partition {
	return Partition{o.FullyQualifiedNamespace, o.EventHubName, o.ConsumerGroup, o.PartitionID}
}

// ClaimOwnership claims or renews what it is given and returns what it got, with a new ETag and the
// server's time. A partition whose ETag is no longer the latest, or that has an owner although
// the ETag is nil, is left out; that is no error. An empty owner releases the partition. An error
// says that the bucket could not be reached for the store's timeout.
func (s *Store) ClaimOwnership(ctx context.Context, wanted []azeventhubs.Ownership, _ *azeventhubs.ClaimOwnershipOptions) ([]azeventhubs.Ownership, error) {
	var claimed []azeventhubs.Ownership
	for _, o := range wanted {
		got, err := s.claim(ctx, &o)
		if err != nil {
			return nil, fmt.Errorf("claiming partition %s of %s: %w", o.PartitionID, o.EventHubName, err)
		}
		if got {
			claimed = append(claimed, o)
		}
	}
	return claimed, nil
}

func (s *Store) claim(ctx context.Context, o *azeventhubs.Ownership) (bool, error) {
	expected, ok := revisionOf(o.ETag)
	if !ok {
		return false, nil
	}
	p := partitionOf(*o)
	key := p.key(kindOwner)
	value, err := json.Marshal(owner{OwnerID: o.OwnerID, Claim: nuid.Next()})
	if err != nil {
		return false, err
	}
	var written entry
	err = s.retry(ctx, func(ctx context.Context) error {
		// The answer to an earlier attempt may have been lost, so look at what stands there after all
		// attempts; that also tells the server's time.
		_, _, swapErr := s.swap(ctx, key, value, expected)
		var err error
		written, err = s.get(ctx, key)
		return cmp.Or(swapErr, err)
	})
	if err != nil {
		return false, err
	}
	if !bytes.Equal(written.value, value) {
		s.forget(p)
		return false, nil
	}
	s.remember(p, o.OwnerID, expected, written.revision)
	etag := azcore.ETag(strconv.FormatUint(written.revision, 10))
	o.ETag, o.LastModifiedTime = &etag, written.created.UTC()
	return true, nil
}

// revisionOf reads an ETag; nil and the empty one stand for a partition that nobody has claimed yet.
func revisionOf(etag *azcore.ETag) (uint64, bool) {
	if etag == nil || *etag == "" {
		return 0, true
	}
	revision, err := strconv.ParseUint(string(*etag), 10, 64)
	return revision, err == nil && revision > 0
}

func (s *Store) remember(p Partition, ownerID string, expected, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ownerID == "" {
		delete(s.claims, p)
		return
	}
	c, held := s.claims[p]
	if !held || c.latest != expected {
		c = claim{fence: revision, since: time.Now()}
	}
	c.latest = revision
	s.claims[p] = c
}

func (s *Store) forget(p Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claims, p)
}

// ListOwnership returns who owns the partitions of a hub and group, in the order of their ids; those
// that were released have no owner, those that were never claimed are not there.
func (s *Store) ListOwnership(ctx context.Context, namespace, hub, group string, _ *azeventhubs.ListOwnershipOptions) ([]azeventhubs.Ownership, error) {
	var all []azeventhubs.Ownership
	err := s.retry(ctx, func(ctx context.Context) error {
		all = nil
		return s.list(ctx, kindOwner, Partition{namespace, hub, group, ""}, func(id string, e entry) error {
			var value owner
			if err := json.Unmarshal(e.value, &value); err != nil {
				return fmt.Errorf("owner of partition %s: %w: %w", id, errDamaged, err)
			}
			etag := azcore.ETag(strconv.FormatUint(e.revision, 10))
			all = append(all, azeventhubs.Ownership{
				FullyQualifiedNamespace: namespace, EventHubName: hub, ConsumerGroup: group, PartitionID: id,
				OwnerID: value.OwnerID, LastModifiedTime: e.created.UTC(), ETag: &etag,
			})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing owners of %s: %w", hub, err)
	}
	slices.SortFunc(all, func(a, b azeventhubs.Ownership) int { return cmp.Compare(a.PartitionID, b.PartitionID) })
	return all, nil
}
