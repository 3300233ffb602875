package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// horizonSlack is how far ahead of our clock the present may be: clocks differ, and records come late
// rather than early.
const horizonSlack = 5 * time.Minute

// search is one call.
type search struct {
	server     *Searcher
	filter     *Filter
	after      *cursor // nil: from the newest
	size       int
	includeRaw bool

	deadline time.Time
	begin    cursor
	at       cursor // everything from begin to here was looked at
	found    []*eventv1.Event
	bytes    int
	last     cursor // of the last of found
	decoder  decode.Decoder
}

// run returns the events of the page, and where the next one begins, if there is more.
func (s *search) run(ctx context.Context) ([]*eventv1.Event, *cursor, error) {
	s.deadline = time.Now().Add(s.server.cfg.Timeout)
	d, err := s.descent(ctx)
	if err != nil || d == nil {
		return nil, nil, err
	}
	s.begin, s.at = d.at, d.at
	for {
		keys, end, err := s.gather(ctx, d)
		full, takeErr := s.takeAll(ctx, keys)
		if full {
			return s.found, &s.last, nil
		}
		if takeErr == nil {
			s.at = d.at
		}
		err = errors.Join(err, takeErr)
		switch {
		case err == nil && end:
			return s.found, nil, nil
		case err == nil && len(s.found) < s.size && !s.late():
		case err == nil, errors.Is(err, failure.ErrTooLarge) && s.at != s.begin:
			return s.found, &s.at, nil
		default:
			return nil, nil, err
		}
	}
}

// late reports whether the search shall end with what it has; it never does before it has moved.
func (s *search) late() bool { return time.Now().After(s.deadline) && s.at != s.begin }

// descent begins at the page's start or the newest row, and ends at the oldest row; nil if there is
// nothing to look at.
func (s *search) descent(ctx context.Context) (*descent, error) {
	rows, err := s.stored(ctx)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	top := cursor{at: rows.newest() + 1}
	if s.filter.to < top.at {
		top.at = s.filter.to
	}
	if s.after != nil && s.after.at < top.at {
		top = *s.after
	}
	horizon := s.server.set.Clock.Now().Add(horizonSlack).UnixMilli()
	return newDescent(top, max(rows.oldest(), s.filter.from), horizon, rows), nil
}

// stored returns what the store has.
func (s *search) stored(ctx context.Context) (all stored, err error) {
	err = s.query(ctx, "bounds", boundsQuery(s.filter), nil, func(rows driver.Rows) error {
		var m month
		err := rows.Scan(&m.oldest, &m.newest, &m.rows)
		all = append(all, m)
		return err
	})
	return all, err
}

// gather returns the next keys, as many as the page lacks and one more, or fewer if the time is over;
// end says that there are no more. The keys count with an error, too.
func (s *search) gather(ctx context.Context, d *descent) (keys []key, end bool, err error) {
	limit := s.size + 1 - len(s.found)
	for len(keys) < limit {
		w, ok := d.next()
		if !ok {
			return distinct(keys), true, nil
		}
		if time.Now().After(s.deadline) && d.at != s.begin {
			break
		}
		some, err := s.keys(ctx, w, limit-len(keys))
		switch {
		case errors.Is(err, failure.ErrTooLarge) && time.Now().Before(s.deadline) && d.shrink():
			s.server.set.Metrics.Shrunk.WithLabelValues().Inc()
		case err != nil:
			return distinct(keys), false, err
		case len(some) == limit-len(keys):
			d.paused(some[len(some)-1].cursor)
		default:
			d.passed(w, len(some), limit-len(keys))
		}
		keys = append(keys, some...)
	}
	return distinct(keys), false, nil
}

// takeAll takes keys some at a time; full says that there is one more than fits on the page.
func (s *search) takeAll(ctx context.Context, keys []key) (full bool, err error) {
	for chunk := range slices.Chunk(keys, s.server.cfg.FetchRows) {
		if full, err := s.take(ctx, chunk); full || err != nil {
			return full, err
		}
		s.at = chunk[len(chunk)-1].cursor
	}
	return false, nil
}

// keys returns keys of the window in order; a key comes once for each version that is stored.
func (s *search) keys(ctx context.Context, w window, limit int) ([]key, error) {
	var keys []key
	err := s.query(ctx, "keys", keysQuery(s.filter), keysParams(s.filter, w, limit), func(rows driver.Rows) error {
		var k key
		err := rows.Scan(&k.at, &k.id, &k.tenant)
		keys = append(keys, k)
		return err
	})
	return keys, err
}

// take adds the events of the keys that still match, all that fit or, after an error, none; full
// says that one did not fit on the page.
func (s *search) take(ctx context.Context, keys []key) (full bool, err error) {
	var taken []row
	room := int(s.server.cfg.PageBytes) - s.bytes
	err = s.query(ctx, "rows", rowsQuery(s.filter), rowsParams(s.filter, keys), func(rows driver.Rows) error {
		r, err := s.scan(rows)
		if err != nil || !r.matches || full {
			return err
		}
		count := len(s.found) + len(taken)
		if room -= r.size; count == s.size || count > 0 && room < 0 {
			full = true
			return nil
		}
		taken = append(taken, r)
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, r := range taken {
		s.found, s.bytes, s.last = append(s.found, r.event), s.bytes+r.size, r.cursor
	}
	return full, nil
}

// query sends a statement within the bounds of one and hands each row to each.
func (s *search) query(ctx context.Context, name, statement string, params []any, each func(driver.Rows) error) error {
	cfg := s.server.cfg
	s.server.set.Metrics.Queries.WithLabelValues(name).Inc()
	asking, cancel := context.WithTimeout(ctx, cfg.QueryTimeout+time.Second) // the store's own limit tells more
	defer cancel()
	rows, err := s.server.set.Store.Query(asking, statement+clickhouse.Bounds(cfg.QueryTimeout, cfg.QueryMemory), params...)
	if err != nil {
		return fmt.Errorf("searching %s: %w", s.filter.table, failure.OfStore(ctx, err))
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("searching %s: %w", s.filter.table, failure.OfStore(ctx, err))
	}
	return nil
}

// distinct drops versions of one key, which stand side by side.
func distinct(keys []key) []key {
	var kept []key
	for _, k := range keys {
		if len(kept) == 0 || kept[len(kept)-1].cursor != k.cursor {
			kept = append(kept, k)
		}
	}
	return kept
}
