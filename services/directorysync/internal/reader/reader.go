// Package reader reads one data type of a tenant's directory round by round: everything at first, then what has changed
// where Graph tells that, and everything again where it does not.
//
// A round asks Graph page by page, gives each page to state, and saves how far it came once that has its
// PubAcks. Only a reading that came to its end says what is gone.
package reader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/lease"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/catalogue"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
)

// maxRestarts bounds how often a round begins anew because its links are worth nothing any more.
const maxRestarts = 4

// Client asks Graph, as *entra.Client does.
type Client interface {
	Get(ctx context.Context, r entra.Request) (*entra.Response, error)
}

// Settings is what a Reader works with.
type Settings struct {
	Type   catalogue.Type
	Client Client
	Store  *state.Store
	Cursor *lease.Cursor
	Clock  clock.Clock
	// WholeInterval is after how long everything is read again though Graph tells what has changed.
	WholeInterval time.Duration
	// Observe is told of each page that is stored.
	Observe func(Page)
	// Bury takes a record that cannot be read.
	Bury func(ctx context.Context, raw []byte, cause error) error
}

// Page is what a page brought.
type Page struct {
	// Rows are the objects read, Written the states that were new, Unreadable the records that could not be read.
	Rows, Written, Unreadable int
}

// Reader has one user: a round at a time.
type Reader struct {
	set    Settings
	cursor *statev1.DirectoryCursor
	// noDelta says that Graph refuses the delta but not the collection.
	noDelta bool

	mu    sync.Mutex
	shown *statev1.DirectoryCursor
}

// New reads the cursor. It fails if that is none.
func New(set Settings) (*Reader, error) {
	r := &Reader{set: set, cursor: &statev1.DirectoryCursor{}}
	if err := proto.Unmarshal(set.Cursor.Value(), r.cursor); err != nil {
		return nil, fmt.Errorf("reading cursor: %w", err)
	}
	r.shown = proto.CloneOf(r.cursor)
	return r, nil
}

// Cursor returns how far the reading came. It is safe to call while a round goes on.
func (r *Reader) Cursor() *statev1.DirectoryCursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown
}

// FallsBack reports that everything is read each time, because the delta is refused.
func (r *Reader) FallsBack() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.noDelta
}

// Round reads once: what has changed, or everything if nothing is known or the last time is too long ago. Its errors are
// *entra.Error, session.ErrBus, those of the lease, or ctx's.
func (r *Reader) Round(ctx context.Context) error {
	if r.cursor.GetFingerprint() != r.set.Type.Fingerprint() {
		r.cursor.DeltaLink, r.cursor.NextLink = "", ""
	}
	for restarts := 0; ; restarts++ {
		err := r.round(ctx)
		if err == nil || ctx.Err() != nil || restarts >= maxRestarts || !r.startsAnew(err) {
			return err
		}
	}
}

// startsAnew forgets what is worth nothing after an error, and reports whether the round may succeed without it.
func (r *Reader) startsAnew(err error) bool {
	fault, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return false
	}
	switch fault.Cause { //nolint:exhaustive // the others say nothing of links
	case entra.CauseSyncStateExpired:
		r.cursor.DeltaLink, r.cursor.NextLink = "", ""
		return true
	case entra.CauseForeignHost:
		// Graph is elsewhere than when the link was given: behind another proxy, or a simulator on another port.
		if r.cursor.GetNextLink() == "" {
			r.cursor.DeltaLink = ""
		}
		r.cursor.NextLink = ""
		return true
	case entra.CauseSkipTokenInvalid, entra.CauseLinkLoop:
		r.cursor.NextLink = ""
		return true
	case entra.CausePermissionMissing:
		if !r.delta() || r.set.Type.DeltaPermissions == nil {
			return false
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.noDelta = true
		return true
	default:
		return false
	}
}

func (r *Reader) delta() bool { return r.set.Type.Delta && !r.noDelta }

// round reads once and saves how far it came.
func (r *Reader) round(ctx context.Context) error {
	switch {
	case r.set.Type.Parent != "":
		return r.children(ctx)
	case r.set.Type.Single != "":
		return r.single(ctx)
	case r.delta() && r.cursor.GetNextLink() != "":
		return r.resume(ctx)
	case r.delta() && r.cursor.GetDeltaLink() != "" && !r.wholeIsDue():
		return r.changes(ctx)
	default:
		return r.whole(ctx)
	}
}

func (r *Reader) wholeIsDue() bool {
	return r.set.Clock.Now().Sub(r.cursor.GetWholeTime().AsTime()) >= r.set.WholeInterval
}

// changes reads what has changed.
func (r *Reader) changes(ctx context.Context) error {
	r.cursor.Whole = false
	return r.walkOn(ctx, r.link(r.cursor.GetDeltaLink(), budget.Tail))
}

// walkOn reads the pages of a link and saves where the next round begins.
func (r *Reader) walkOn(ctx context.Context, request entra.Request) error {
	end, err := r.walk(ctx, request, nil, true)
	if err != nil {
		return err
	}
	return r.ended(ctx, end.deltaLink)
}

// resume goes on with a round that was broken off.
func (r *Reader) resume(ctx context.Context) error {
	class := budget.Tail
	if r.cursor.GetWhole() {
		class = budget.Backfill
	}
	return r.walkOn(ctx, r.link(r.cursor.GetNextLink(), class))
}

// whole reads everything and says then what is gone. If nothing of the kind is known yet it can go on where it was broken
// off; else it begins anew, because what it had seen is forgotten.
func (r *Reader) whole(ctx context.Context) error {
	request := r.set.Type.Request(r.delta(), "")
	request.Class = budget.Backfill
	known, err := r.set.Store.Any(ctx, r.set.Type.Kind)
	if err != nil {
		return err
	}
	r.cursor.Whole, r.cursor.NextLink = true, ""
	census := state.NewCensus()
	end, err := r.walk(ctx, request, census, r.delta() && !known)
	if err != nil {
		return err
	}
	if known {
		if err := r.sweep(ctx, census, end.began); err != nil {
			return err
		}
	}
	return r.ended(ctx, end.deltaLink)
}

// sweep says what a complete census does not have.
func (r *Reader) sweep(ctx context.Context, census *state.Census, date time.Time) error {
	written, err := r.set.Store.Sweep(ctx, r.set.Type.Kind, census, date)
	if err != nil {
		return err
	}
	r.set.Observe(Page{Written: written})
	return nil
}

// link is the request of a link that Graph gave.
func (r *Reader) link(link string, class budget.Class) entra.Request {
	request := r.set.Type.Request(r.delta(), "")
	request.URL, request.Path, request.Query, request.Class = link, "", nil, class
	return request
}

// save writes the cursor, when everything that it says is read has its PubAck.
func (r *Reader) save(ctx context.Context) error {
	value, err := proto.Marshal(r.cursor)
	if err != nil {
		return fmt.Errorf("encoding cursor: %w", err)
	}
	if err := r.set.Cursor.Set(ctx, value); err != nil {
		return fmt.Errorf("saving cursor: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = proto.CloneOf(r.cursor)
	return nil
}

// ended saves that a round came to its end.
func (r *Reader) ended(ctx context.Context, deltaLink string) error {
	now := timestamppb.New(r.set.Clock.Now())
	r.cursor.RoundTime, r.cursor.NextLink, r.cursor.DeltaLink = now, "", deltaLink
	r.cursor.Fingerprint = r.set.Type.Fingerprint()
	if r.cursor.GetWhole() {
		r.cursor.WholeTime = now
	}
	return r.save(ctx)
}

// take reads the records of a page.
func (r *Reader) take(ctx context.Context, records [][]byte, date time.Time) ([]object.Seen, Page, error) {
	key := r.set.Type.Key
	if key == "" {
		key = "id"
	}
	page := Page{Rows: len(records)}
	seen := make([]object.Seen, 0, len(records))
	for _, raw := range records {
		s, err := object.Read(raw, key, date)
		if err != nil {
			page.Unreadable++
			if err := r.set.Bury(ctx, raw, err); err != nil {
				return nil, page, err
			}
			continue
		}
		seen = append(seen, s)
	}
	return seen, page, nil
}

// store gives what was seen to the stream and counts it.
func (r *Reader) store(ctx context.Context, seen []object.Seen, page Page) error {
	var err error
	if page.Written, err = r.set.Store.Apply(ctx, r.set.Type.Kind, seen); err != nil {
		return err
	}
	r.cursor.Rows += uint64(page.Rows)       //nolint:gosec // counts
	r.cursor.Written += uint64(page.Written) //nolint:gosec // counts
	r.set.Observe(page)
	return nil
}
