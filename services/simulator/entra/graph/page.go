package graph

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/entraflow/entraflow/services/simulator/entra/fault"
)

// page is the body of a collection, written once. Free it when it has been sent.
type page struct {
	buf   *bytes.Buffer
	count int
}

// Pools of what a page needs; a page of 1,000 sign-ins has some 2 MiB.
var (
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }} //nolint:gochecknoglobals // a pool is shared by nature
	zippers = sync.Pool{New: func() any {                             //nolint:gochecknoglobals // a pool is shared by nature
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level exists
		return z
	}}
)

// maxPooled is the largest buffer that is kept.
const maxPooled = 8 << 20

func takeBuffer() *bytes.Buffer {
	b, _ := buffers.Get().(*bytes.Buffer)
	b.Reset()
	return b
}

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		buffers.Put(b)
	}
}

func newPage() *page { return &page{buf: takeBuffer()} }

func (p *page) free() { putBuffer(p.buf) }

// open writes what comes before the records. The next link comes behind them: it is known then, and order is free.
func (p *page) open(c *call) {
	version := "v1.0"
	if c.beta {
		version = "beta"
	}
	p.buf.WriteString(`{"@odata.context":"https://graph.microsoft.com/` + version + `/$metadata#` + c.context())
	if len(c.opts.selected) > 0 {
		p.buf.WriteString("(" + strings.Join(c.opts.selected, ",") + ")")
	}
	p.buf.WriteString(`","value":[`)
}

// context is what the objects are, for @odata.context.
func (c *call) context() string {
	if c.resource.relation != "" {
		return "directoryObjects"
	}
	return c.resource.path
}

// record adds a record in a shape.
func (p *page) record(s *shape, object []byte) { s.append(p.next(), object) }

// raw adds a record as it is.
func (p *page) raw(object []byte) { p.next().Write(object) }

// next makes room for a record and returns what to write it to.
func (p *page) next() *bytes.Buffer {
	if p.count > 0 {
		p.buf.WriteByte(',')
	}
	p.count++
	return p.buf
}

// close ends the page. A link, if any, has no character that JSON escapes.
func (p *page) close(link string) {
	p.closeWith("@odata.nextLink", link)
}

// closeWith is close with a link of a name.
func (p *page) closeWith(name, link string) {
	p.buf.WriteByte(']')
	if link != "" {
		p.buf.WriteString(`,"` + name + `":` + strconv.Quote(link))
	}
	p.buf.WriteByte('}')
}

// send writes an answer, compressed if the client asks for that, broken if a fault says so.
func (g *Graph) send(w http.ResponseWriter, c *call, a *answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
	if a.contentType != "" {
		h.Set("Content-Type", a.contentType)
	}
	h.Set("OData-Version", "4.0")
	h.Set("Vary", "Accept-Encoding")
	if prefer := c.r.Header.Get("Prefer"); strings.Contains(prefer, "include-unknown-enum-members") {
		h.Set("Preference-Applied", "include-unknown-enum-members")
	}
	body := a.body.buf.Bytes()
	kinds := []fault.Kind{fault.Cut}
	zip := strings.Contains(c.r.Header.Get("Accept-Encoding"), "gzip")
	if zip {
		kinds = append(kinds, fault.TruncatedGzip)
		h.Set("Content-Encoding", "gzip")
		b := takeBuffer()
		defer putBuffer(b)
		compress(b, body)
		body = b.Bytes()
	}
	faults := g.set.Faults.Draw(c.faultTarget(), kinds...)
	has := func(kind fault.Kind) bool {
		return slices.ContainsFunc(faults, func(f fault.Fault) bool { return f.Kind == kind })
	}
	if has(fault.TruncatedGzip) {
		body = body[:len(body)/2]
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	if has(fault.Cut) {
		_, _ = w.Write(body[:len(body)/2]) // it is cut anyway
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	_, _ = w.Write(body) // the client is gone
}

func compress(to *bytes.Buffer, body []byte) {
	z, _ := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(to)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
}
