package reader

import (
	"context"
	"sync"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/services/directorysync/internal/catalogue"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
)

// parentsAtOnce is for how many parents Graph is asked at the same time: each takes a request, and most of that is waiting.
const parentsAtOnce = 8

// offspring is a page of what a parent has, on its way, or why there is none.
type offspring struct {
	parent string
	page   *entra.Page     // of a collection
	single *entra.Response // of a single object
	err    error
}

// children reads what each object of the parent kind has, one request each at least. A parent that is gone meanwhile, or
// has nothing of the sort, is passed over.
func (r *Reader) children(ctx context.Context) error {
	parents, err := r.set.Store.Known(ctx, r.set.Type.Parent)
	if err != nil {
		return err
	}
	known, err := r.set.Store.Any(ctx, r.set.Type.Kind)
	if err != nil {
		return err
	}
	census, began := state.NewCensus(), r.set.Clock.Now()
	if err := r.eachOffspring(ctx, parents, func(o offspring) error { return r.storeOffspring(ctx, o, census) }); err != nil {
		return err
	}
	census.Complete()
	if known {
		if err := r.sweep(ctx, census, began); err != nil {
			return err
		}
	}
	r.cursor.Whole = true
	return r.ended(ctx, "")
}

// eachOffspring asks for what the parents have, several at once, and hands it to handle, one after the other. It returns
// the first error of either, when all requests have ended.
func (r *Reader) eachOffspring(ctx context.Context, parents []string, handle func(offspring) error) error {
	ctx, cancel := context.WithCancel(ctx)
	waiting, found := make(chan string), make(chan offspring)
	var asking sync.WaitGroup
	asking.Go(func() {
		defer close(waiting)
		for _, parent := range parents {
			select {
			case waiting <- parent:
			case <-ctx.Done():
				return
			}
		}
	})
	var askers sync.WaitGroup
	for range min(parentsAtOnce, len(parents)) {
		askers.Go(func() {
			for parent := range waiting {
				if !r.askFor(ctx, parent, found) {
					return
				}
			}
		})
	}
	asking.Go(func() {
		askers.Wait()
		close(found)
	})
	defer asking.Wait()
	defer cancel()
	for o := range found {
		if o.err == nil {
			o.err = handle(o)
		}
		if o.err != nil && !missing(o.err) {
			return o.err
		}
	}
	return context.Cause(ctx)
}

// askFor sends what a parent has. It returns false if nobody takes it any more.
func (r *Reader) askFor(ctx context.Context, parent string, found chan<- offspring) bool {
	request := r.set.Type.Request(false, parent)
	request.Class = budget.Backfill
	for {
		o := offspring{parent: parent}
		if r.set.Type.Single == catalogue.ParentID {
			o.single, o.err = r.set.Client.Get(ctx, request)
		} else {
			o.page, o.err = r.page(ctx, request)
		}
		select {
		case found <- o:
		case <-ctx.Done():
			return false
		}
		if o.err != nil || o.page == nil || o.page.NextLink == "" || o.page.NextLink == request.URL {
			return true
		}
		request.URL, request.Path, request.Query = o.page.NextLink, "", nil
	}
}

func (r *Reader) storeOffspring(ctx context.Context, o offspring, census *state.Census) error {
	if o.single != nil {
		census.Note(o.parent)
		return r.storeSingle(ctx, o.single, o.parent)
	}
	var b batch
	if err := r.hold(ctx, &b, o.page, census); err != nil {
		return err
	}
	return r.flush(ctx, &b, "", false)
}
