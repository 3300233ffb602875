package search

import (
	"encoding/binary"

	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

const timeSize = 8

// pages makes and reads page tokens: a cursor, bound to the filter it belongs to.
type pages struct{ codec *token.Codec }

func (p pages) token(f *Filter, c cursor) string {
	digest := f.digest()
	content := make([]byte, 0, digestSize+timeSize+len(c.id))
	content = append(content, digest[:]...)
	content = binary.BigEndian.AppendUint64(content, uint64(c.at))
	return p.codec.Seal(append(content, c.id...))
}

// cursor reads a page token. The error is an *failure.InvalidError.
func (p pages) cursor(f *Filter, pageToken string) (cursor, error) {
	const field = "page_token"
	content, err := p.codec.Open(pageToken)
	if err != nil || len(content) < digestSize+timeSize {
		return cursor{}, failure.NewInvalid(field, "must be next_page_token of an answer, unchanged")
	}
	if [digestSize]byte(content) != f.digest() {
		return cursor{}, failure.NewInvalid(field, "belongs to another filter: ask for the first page, or use the filter it came with")
	}
	at := int64(binary.BigEndian.Uint64(content[digestSize:]))
	return cursor{at: at, id: string(content[digestSize+timeSize:])}, nil
}
