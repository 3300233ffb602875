package embedded

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
)

// defaultDatabase is the database of a fresh session.
const defaultDatabase = "default"

// pool hands out connections, at most its size at a time. The zero slot is a nil connection: it is
// opened when somebody takes it.
type pool struct {
	open   func() (*conn, error)
	slots  chan *conn
	closed chan struct{}
}

func newPool(size int, open func() (*conn, error)) *pool {
	p := &pool{open: open, slots: make(chan *conn, size), closed: make(chan struct{})}
	for range size {
		p.slots <- nil
	}
	return p
}

// take returns a connection that has none of a session's state but what settings names, waiting for
// one until ctx ends. It returns ErrClosed once the pool is closing.
func (p *pool) take(ctx context.Context, settings map[string]string) (*conn, error) {
	select {
	case <-p.closed:
		return nil, ErrClosed
	default:
	}
	var c *conn
	select {
	case c = <-p.slots:
	case <-p.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for an engine connection: %w", ctx.Err())
	}
	if c != nil && !c.needsFresh(settings) {
		return c, nil
	}
	if c != nil {
		c.close()
	}
	c, err := p.open()
	if err != nil {
		p.slots <- nil
		return nil, err
	}
	return c, nil
}

// give returns a connection that take returned.
func (p *pool) give(c *conn) {
	if c.retired {
		c.close()
		c = nil
	}
	p.slots <- c
}

// drain refuses further takers, waits until every connection was given back and closes them. It
// returns how many it could not wait for when ctx ends.
func (p *pool) drain(ctx context.Context) int {
	close(p.closed)
	return p.collect(ctx, cap(p.slots))
}

func (p *pool) collect(ctx context.Context, left int) int {
	for ; left > 0; left-- {
		select {
		case c := <-p.slots:
			if c != nil {
				c.close()
			}
		case <-ctx.Done():
			return left
		}
	}
	return 0
}

// connector opens connections of one engine.
type connector struct {
	lib  *library
	argv []string
	next atomic.Uint64
}

// open connects, and marks the session with a tag of its own.
func (o *connector) open() (*conn, error) {
	argv := newCStrings(o.argv)
	defer argv.release()
	handle := o.lib.connect(int32(len(o.argv)), &argv.pointers[0]) //nolint:gosec // four arguments
	if handle == nil {
		// The library writes the reason to standard error and returns none.
		return nil, fmt.Errorf("%w: libchdb refused the connection, its reason is on standard error", ErrEngine)
	}
	c := &conn{lib: o.lib, handle: handle, tag: "entraflow-" + strconv.FormatUint(o.next.Add(1), 10), database: defaultDatabase}
	if err := c.exec("SET log_comment = " + quoteString(c.tag)); err != nil {
		c.close()
		return nil, fmt.Errorf("marking engine connection: %w", err)
	}
	return c, nil
}
