package subscribe

import (
	"encoding/binary"
	"time"

	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

// position is a place in a stream: everything up to sequence lies behind the client. Sequences of a
// stream that was made anew mean other events, so it holds the time the stream was made.
type position struct {
	created  int64 // nanoseconds since 1970
	sequence uint64
}

const positionSize = 16

func (p position) token(codec *token.Codec) string {
	content := make([]byte, 0, positionSize)
	content = binary.BigEndian.AppendUint64(content, uint64(p.created))
	return codec.Seal(binary.BigEndian.AppendUint64(content, p.sequence))
}

// parsePosition reads a resume token. The error is a *failure.InvalidError.
func parsePosition(codec *token.Codec, resumeToken string) (position, error) {
	content, err := codec.Open(resumeToken)
	if err != nil || len(content) != positionSize {
		return position{}, failure.NewInvalid("resume_token", "must be resume_token of a response, unchanged")
	}
	return position{
		created:  int64(binary.BigEndian.Uint64(content)),
		sequence: binary.BigEndian.Uint64(content[positionSize/2:]),
	}, nil
}

// holds reports whether a stream made at created, whose first sequence is first, holds everything
// behind the position.
func (p position) holds(created time.Time, first uint64) bool {
	return created.UnixNano() == p.created && first <= p.sequence+1
}
