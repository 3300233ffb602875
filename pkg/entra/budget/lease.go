package budget

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// kvTimeout bounds one call of the KV bucket; while it lasts, nothing is leased.
	kvTimeout = 2 * time.Second
	// awayRetry is how often a KV bucket that does not answer is asked again.
	awayRetry = time.Second
	// leaseAttempts bounds the conflicts of one lease.
	leaseAttempts = 8
)

// maybeLease asks for units if some are missing and it is time. It reports whether units came at once.
func (b *Budget) maybeLease(ctx context.Context, drawn *bucket, now int64) (came bool) {
	if drawn.leasing {
		return false
	}
	need, urgent := drawn.need()
	if drawn.want == 0 {
		need = min(need, 0)
	}
	due := now >= drawn.leaseAt || urgent && !drawn.askedUrgent && !drawn.away
	if b.set.KV == nil || drawn.limit.local {
		drawn.pauseDue = false
		if need <= 0 || !due {
			return false
		}
		drawn.ledger.Until = drawn.until
		got, again := drawn.ledger.lease(drawn.grid, b.set.Replica, now, need, urgent)
		drawn.leaseAt, drawn.askedUrgent = again, urgent
		drawn.add(got)
		return got.Count > 0
	}
	if drawn.away && need > 0 && now >= drawn.until {
		came = drawn.leaseAlone(b.set.Replica, now, need)
	}
	ask := leaseAsk{need: max(need, 0), urgent: urgent, until: drawn.until, atLeast: drawn.nextAlone}
	if need < 0 && !drawn.away {
		ask.back, ask.giveBack = drawn.surplus(now)
	}
	if ask.giveBack || due && (need > 0 || drawn.pauseDue) {
		b.ask(ctx, drawn, ask)
	}
	return came
}

// ask visits the ledger in a goroutine, one for each bucket at a time.
func (b *Budget) ask(ctx context.Context, drawn *bucket, ask leaseAsk) {
	select {
	case b.leases <- struct{}{}:
	default:
		// Whoever is done makes Run look again. A unit that was to be given back is lost.
		return
	}
	ask.ledger, ask.revision = drawn.ledger, drawn.revision
	ask.ledger.Recent = slices.Clone(drawn.ledger.Recent)
	drawn.leasing, drawn.pauseDue, drawn.askedUrgent = true, false, ask.urgent
	b.wg.Go(func() {
		got, err := b.lease(ctx, drawn.key, drawn.grid, ask)
		<-b.leases
		b.leased(drawn, got, err)
		b.poke()
	})
}

// leaseAsk is what a goroutine takes along to the ledger.
type leaseAsk struct {
	need     int64
	urgent   bool
	until    int64
	ledger   ledger
	revision uint64
	atLeast  int64
	// back is the first unit to give back, if giveBack is set.
	back     int64
	giveBack bool
}

// leaseGot is what it brings back.
type leaseGot struct {
	grant    grant
	again    int64
	ledger   ledger
	revision uint64
}

// lease changes the ledger in the KV bucket. It begins with the one that was seen last: if nobody else was
// there, one write is enough.
func (b *Budget) lease(ctx context.Context, key string, g grid, ask leaseAsk) (leaseGot, error) {
	l, revision := ask.ledger, ask.revision
	for range leaseAttempts {
		if revision == 0 {
			var err error
			if l, revision, err = b.load(ctx, key); err != nil {
				return leaseGot{}, err
			}
		}
		before := l.Until
		l.Until = max(l.Until, ask.until)
		l.Next = max(l.Next, ask.atLeast)
		var got grant
		var again int64
		if ask.need > 0 {
			got, again = l.lease(g, b.set.Replica, b.now(), ask.need, ask.urgent)
		}
		returned := ask.giveBack && l.giveBack(b.set.Replica, ask.back)
		if got.Count == 0 && l.Until == before && !returned {
			return leaseGot{again: again, ledger: l, revision: revision}, nil
		}
		text, err := json.Marshal(l)
		if err != nil {
			return leaseGot{}, fmt.Errorf("leasing %s: %w", key, err)
		}
		stored, err := b.store(ctx, key, text, revision)
		if errors.Is(err, ErrConflict) {
			revision = 0
			continue
		}
		if err != nil {
			return leaseGot{}, fmt.Errorf("leasing %s: %w", key, err)
		}
		return leaseGot{grant: got, again: again, ledger: l, revision: stored}, nil
	}
	// The others keep it busy: ask again in a moment, which is no reason to think it away.
	return leaseGot{again: b.now() + int64(leaseAhead/leaseAttempts), ledger: l}, nil
}

func (b *Budget) load(ctx context.Context, key string) (ledger, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	text, revision, err := b.set.KV.Get(ctx, key)
	if err != nil {
		return ledger{}, 0, fmt.Errorf("reading %s: %w", key, err)
	}
	var l ledger
	if revision != 0 && json.Unmarshal(text, &l) != nil {
		l = ledger{} // nobody's: the next write mends it
	}
	return l, revision, nil
}

func (b *Budget) store(ctx context.Context, key string, text []byte, revision uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	if revision == 0 {
		return b.set.KV.Create(ctx, key, text)
	}
	return b.set.KV.Update(ctx, key, text, revision)
}

// leased takes over what a lease brought.
func (b *Budget) leased(drawn *bucket, got leaseGot, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	drawn.leasing = false
	result := "granted"
	switch {
	case err != nil:
		result = "away"
		if !drawn.away {
			drawn.nextAlone = max(drawn.nextAlone, drawn.ledger.Next)
		}
		drawn.away = true
		drawn.revision = 0
		drawn.pauseDue = drawn.pauseDue || drawn.until > b.now()
		drawn.leaseAt = b.now() + int64(awayRetry)
	default:
		if got.grant.Count == 0 {
			result = "none"
		}
		drawn.away, drawn.nextAlone = false, 0
		drawn.ledger, drawn.revision = got.ledger, got.revision
		drawn.until = max(drawn.until, got.ledger.Until)
		drawn.leaseAt = got.again
		drawn.add(got.grant)
	}
	b.metrics.leases.WithLabelValues(drawn.limit.name, result).Inc()
}
