package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
)

// maxSameLink bounds how often a page may lead to itself, as an empty one does whose objects are not there yet. Longer loops
// end with the life of their token.
const maxSameLink = 5

// gatherLinks and gatherPages bound what is held of groups before it is stored: the members of a large one come in slices, a
// page each, and every slice would rewrite most of its shards.
const (
	gatherLinks = 20_000
	gatherPages = 50
)

// fetched is a page on its way, or why there is none.
type fetched struct {
	page *entra.Page
	err  error
}

// ending is what a walk that came to its end brought.
type ending struct {
	deltaLink string
	// began is the date of the first page.
	began time.Time
}

// walk reads the pages of a request to the end, and counts what they have in census, unless that is nil. If resumable, it
// saves each page's nextLink. While a page is stored the next one is asked for.
func (r *Reader) walk(ctx context.Context, request entra.Request, census *state.Census, resumable bool) (end ending, err error) {
	fetching, cancel := context.WithCancel(ctx)
	pages := make(chan fetched, 1)
	go r.fetch(fetching, request, pages)
	defer func() {
		cancel()
		for range pages { // until the fetcher has ended
			continue
		}
	}()
	var held batch
	for next := range pages {
		if next.err != nil {
			return end, next.err
		}
		page := next.page
		if end.began.IsZero() {
			end.began = page.Date
		}
		if err := r.hold(ctx, &held, page, census); err != nil {
			return end, err
		}
		end.deltaLink = page.DeltaLink
		if page.NextLink != "" && !held.full() && r.set.Type.Gathers() {
			continue
		}
		if err := r.flush(ctx, &held, page.NextLink, resumable); err != nil {
			return end, err
		}
	}
	if ctx.Err() != nil {
		return end, context.Cause(ctx)
	}
	if census != nil {
		census.Complete()
	}
	return end, nil
}

// batch is what pages had that is not stored yet.
type batch struct {
	seen         []object.Seen
	page         Page
	pages, links int
}

func (b *batch) full() bool { return b.links >= gatherLinks || b.pages >= gatherPages }

// flush stores a batch and, if the walk is resumable, saves where it goes on.
func (r *Reader) flush(ctx context.Context, b *batch, nextLink string, resumable bool) error {
	if err := r.store(ctx, object.Gather(b.seen), b.page); err != nil {
		return err
	}
	*b = batch{}
	if nextLink == "" || !resumable {
		return nil
	}
	r.cursor.NextLink, r.cursor.Fingerprint = nextLink, r.set.Type.Fingerprint()
	return r.save(ctx)
}

// hold adds a page to a batch, and to the census unless that is nil.
func (r *Reader) hold(ctx context.Context, b *batch, page *entra.Page, census *state.Census) error {
	seen, counts, err := r.take(ctx, page.Value, page.Date)
	if err != nil {
		return err
	}
	if census != nil {
		census.Count(seen)
	}
	for i := range seen {
		for _, references := range seen[i].Relations() {
			b.links += len(references)
		}
	}
	b.seen, b.pages = append(b.seen, seen...), b.pages+1
	b.page.Rows, b.page.Unreadable = b.page.Rows+counts.Rows, b.page.Unreadable+counts.Unreadable
	return nil
}

// fetch asks for a page after the other and closes pages behind the last.
func (r *Reader) fetch(ctx context.Context, request entra.Request, pages chan<- fetched) {
	defer close(pages)
	send := func(f fetched) bool {
		select {
		case pages <- f:
			return f.err == nil
		case <-ctx.Done():
			return false
		}
	}
	for again := 0; again < maxSameLink; again++ {
		page, err := r.page(ctx, request)
		if !send(fetched{page, err}) || page.NextLink == "" {
			return
		}
		if page.NextLink != request.URL {
			again = 0
		}
		request.URL, request.Path, request.Query = page.NextLink, "", nil
	}
	send(fetched{err: entra.NewError(entra.CauseLinkLoop)})
}

func (r *Reader) page(ctx context.Context, request entra.Request) (*entra.Page, error) {
	resp, err := r.set.Client.Get(ctx, request)
	if err != nil {
		return nil, err
	}
	page, err := entra.ParsePage(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading page: %w", err)
	}
	page.Date = r.date(resp)
	return page, nil
}

// date is the server's clock, or ours if it did not tell.
func (r *Reader) date(resp *entra.Response) time.Time {
	if resp.Date.IsZero() {
		return r.set.Clock.Now()
	}
	return resp.Date
}

// single reads the only object of its kind.
func (r *Reader) single(ctx context.Context) error {
	request := r.set.Type.Request(false, "")
	request.Class = budget.Tail
	resp, err := r.set.Client.Get(ctx, request)
	if err != nil {
		return err
	}
	if err := r.storeSingle(ctx, resp, r.set.Type.Single); err != nil {
		return err
	}
	r.cursor.Whole = true
	return r.ended(ctx, "")
}

func (r *Reader) storeSingle(ctx context.Context, resp *entra.Response, id string) error {
	seen, err := object.ReadSingle(resp.Body, id, r.date(resp))
	if err != nil {
		if err := r.set.Bury(ctx, resp.Body, err); err != nil {
			return err
		}
		r.set.Observe(Page{Rows: 1, Unreadable: 1})
		return nil
	}
	return r.store(ctx, []object.Seen{seen}, Page{Rows: 1})
}

// missing reports whether a parent is gone, or has no such thing: a user without a mailbox, say.
func missing(err error) bool {
	fault, ok := errors.AsType[*entra.Error](err)
	return ok && fault.Cause == entra.CauseNotFound
}
