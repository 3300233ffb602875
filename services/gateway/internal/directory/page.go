package directory

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

const digestSize = 16

// paged is a request that asks for a page.
type paged interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// pageSize is how many objects a page has at most.
func pageSize(req paged) int {
	if req.GetPageSize() == 0 {
		return defaultPageSize
	}
	return int(req.GetPageSize())
}

// seal makes the token of the page after the object at the cursor. It belongs to the request and to the tenants that
// its caller may see.
func (s *Server) seal(req paged, tenants []string, cursor []string) (string, error) {
	content, err := json.Marshal(cursor)
	if err != nil {
		return "", fmt.Errorf("encoding page token: %w", err)
	}
	digest, err := digestOf(req, tenants)
	if err != nil {
		return "", err
	}
	return s.set.Tokens.Seal(append(digest[:], content...)), nil
}

// open returns the cursor of a page token; of a request without one, as many empty texts. The error is an
// *failure.InvalidError.
func (s *Server) open(req paged, tenants []string, size int) ([]string, error) {
	if req.GetPageToken() == "" {
		return make([]string, size), nil
	}
	const field = "page_token"
	content, err := s.set.Tokens.Open(req.GetPageToken())
	if err != nil || len(content) < digestSize {
		return nil, failure.NewInvalid(field, "must be next_page_token of an answer, unchanged")
	}
	digest, err := digestOf(req, tenants)
	if err != nil {
		return nil, err
	}
	var cursor []string
	if [digestSize]byte(content) != digest {
		return nil, failure.NewInvalid(field, "belongs to another request: ask for the first page, or for what it came with")
	}
	if err := json.Unmarshal(content[digestSize:], &cursor); err != nil || len(cursor) != size {
		return nil, failure.NewInvalid(field, "must be next_page_token of an answer, unchanged")
	}
	return cursor, nil
}

// digestOf tells requests apart that ask for different things; the size of pages may change on the way.
func digestOf(req paged, tenants []string) ([digestSize]byte, error) {
	m := proto.Clone(req)
	for _, name := range []string{"page_size", "page_token"} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if string(fields.Get(i).Name()) == name {
				m.ProtoReflect().Clear(fields.Get(i))
			}
		}
	}
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return [digestSize]byte{}, fmt.Errorf("encoding request: %w", err)
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %q %x", m.ProtoReflect().Descriptor().FullName(), tenants, content) // a hash takes everything
	return [digestSize]byte(h.Sum(nil)), nil
}

// cut returns how many of all make the page: size at most, and not more than bytes, but one at least.
func cut[M proto.Message](all []M, size int, bytes int) int {
	total := 0
	for i, m := range all {
		total += proto.Size(m)
		if i == size || i > 0 && total > bytes {
			return i
		}
	}
	return len(all)
}

// stamp is a time that may be absent.
func stamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// later is the later of two times that may be absent.
func later(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}
