package object

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// The relations that are part of an object. Members travel apart.
const (
	relationOwners  = "owners"
	relationManager = "manager"
)

// HasRelations reports whether objects of a kind carry relations.
func HasRelations(kind string) bool { return kind == "user" || kind == "group" }

// relate carries over the relations that are part of the object, as far as it says nothing new of them. It returns the
// names of those that differ.
func relate(prev, next *directoryv1.Object, seen *Seen) (different []string) {
	known := !prev.GetDeleted()
	switch payload := next.GetPayload().(type) {
	case *directoryv1.Object_User:
		before := ""
		if known {
			before = prev.GetUser().GetManagerId()
		}
		payload.User.ManagerId = before
		for _, r := range seen.Relation(relationManager) {
			if !r.Removed {
				payload.User.ManagerId = r.Member.GetId()
			} else if payload.User.GetManagerId() == r.Member.GetId() {
				payload.User.ManagerId = ""
			}
		}
		if payload.User.GetManagerId() != before {
			return []string{relationManager}
		}
	case *directoryv1.Object_Group:
		var before []*directoryv1.Member
		if known {
			before = prev.GetGroup().GetOwners()
		}
		payload.Group.Owners = Apply(before, seen.Relation(relationOwners))
		if !slices.EqualFunc(before, payload.Group.GetOwners(), func(a, b *directoryv1.Member) bool { return proto.Equal(a, b) }) {
			return []string{relationOwners}
		}
	}
	return nil
}

// Apply returns the members, in order of id, when the references have begun and ended one after the other.
func Apply(members []*directoryv1.Member, references []Reference) []*directoryv1.Member {
	if len(references) == 0 {
		return members
	}
	byID := make(map[string]*directoryv1.Member, len(members)+len(references))
	for _, m := range members {
		byID[m.GetId()] = m
	}
	for _, r := range references {
		if r.Removed {
			delete(byID, r.Member.GetId())
		} else {
			byID[r.Member.GetId()] = r.Member
		}
	}
	return sortMembers(slices.Collect(maps.Values(byID)))
}

// Prune returns the state that follows prev when it is related to nothing that held denies; nil if that is nothing new, or
// prev is nil.
func Prune(prev *directoryv1.Object, held func(relation, to string) bool, date, now time.Time) *directoryv1.Object {
	if prev == nil {
		return nil
	}
	next := proto.CloneOf(prev)
	next.Changed = nil
	switch payload := next.GetPayload().(type) {
	case *directoryv1.Object_User:
		if manager := payload.User.GetManagerId(); manager != "" && !held(relationManager, manager) {
			payload.User.ManagerId, next.Changed = "", []string{relationManager}
		}
	case *directoryv1.Object_Group:
		kept := slices.DeleteFunc(payload.Group.GetOwners(), func(m *directoryv1.Member) bool { return !held(relationOwners, m.GetId()) })
		if len(kept) < len(prev.GetGroup().GetOwners()) {
			payload.Group.Owners, next.Changed = kept, []string{relationOwners}
		}
	}
	if len(next.GetChanged()) == 0 {
		return nil
	}
	next.Change, next.ObservedAt = directoryv1.Change_CHANGE_UPDATED, timestamppb.New(now)
	next.Version = max(bus.Version(true, date, 0, 0, 0), prev.GetVersion()+1)
	return next
}

// Shard returns the state of a shard of members that follows prev, without its members.
func Shard(i Identity, id string, prev *directoryv1.Object, date, now time.Time) *directoryv1.Object {
	o := &directoryv1.Object{
		Object: i.Kind, TenantId: i.TenantID, Id: id, Integration: i.Integration, ObservedAt: timestamppb.New(now),
		Version: max(bus.Version(true, date, 0, 0, 0), prev.GetVersion()+1),
	}
	switch {
	case prev == nil:
		o.Change = directoryv1.Change_CHANGE_CREATED
	case prev.GetDeleted():
		o.Change = directoryv1.Change_CHANGE_RESTORED
	default:
		o.Change, o.Changed = directoryv1.Change_CHANGE_UPDATED, []string{"members"}
	}
	return o
}

// Gather makes one of what was said of an object several times, in its order, so that a group whose members come in many
// slices is written once. What was removed stays by itself: it may have come back since.
func Gather(all []Seen) []Seen {
	last := make(map[string]int, len(all))
	gathered := make([]Seen, 0, len(all))
	for _, s := range all {
		i, before := last[s.ID]
		if before && s.Removed == "" && gathered[i].Removed == "" {
			gathered[i] = gathered[i].and(s)
			continue
		}
		last[s.ID] = len(gathered)
		gathered = append(gathered, s)
	}
	return gathered
}

// and is what was said first and what was said then.
func (s Seen) and(then Seen) Seen {
	relations := make(map[string][]Reference, len(s.relations))
	maps.Copy(relations, s.relations)
	for name, references := range then.relations {
		relations[name] = append(slices.Clip(relations[name]), references...)
	}
	return Seen{ID: s.ID, Date: then.Date, properties: s.properties.merge(then.properties), relations: relations}
}
