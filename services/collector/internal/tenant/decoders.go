package tenant

import (
	"context"
	"runtime"

	"github.com/entraflow/entraflow/pkg/decode"
)

// Decoders lends decoders, and so bounds how many pages are decoded at once. It is safe for concurrent use.
type Decoders chan *decode.Decoder

// NewDecoders returns one for each processor.
func NewDecoders() Decoders {
	d := make(Decoders, runtime.GOMAXPROCS(0))
	for range cap(d) {
		d <- decode.New(decode.DefaultLimits())
	}
	return d
}

func (d Decoders) take(ctx context.Context) (*decode.Decoder, error) {
	select {
	case decoder := <-d:
		return decoder, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (d Decoders) giveBack(decoder *decode.Decoder) { d <- decoder }
