package grpcserver

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
)

// CallerConfig bounds what one caller may take, over all its connections; each API token counts as a caller.
type CallerConfig struct {
	// Rate is how many calls a second it may begin in the long run, Burst how many at once.
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
	// MaxCalls bounds its unary calls under way, MaxStreams its open streams.
	MaxCalls   int `yaml:"max_calls"`
	MaxStreams int `yaml:"max_streams"`
}

var (
	errTooFast = NewError(codes.ResourceExhausted, "RATE_EXCEEDED",
		"you call more often than one caller may", "wait a second, and ask for larger pages or fewer things")
	errTooManyCalls = NewError(codes.ResourceExhausted, "TOO_MANY_CALLS",
		"too many of your calls are under way", "wait for some of them to end")
	errTooManyOwnStreams = NewError(codes.ResourceExhausted, "TOO_MANY_STREAMS",
		"too many of your streams are open", "close some, or follow more in one stream")
)

// callers keeps what each caller takes. A caller with nothing under way and a full bucket is forgotten: its number is
// bounded by who called lately.
type callers struct {
	cfg CallerConfig

	mu    sync.Mutex
	known map[string]*caller
	swept time.Time
}

type caller struct {
	tokens         *rate.Limiter
	calls, streams int
}

// sweepEvery is how often callers are looked through for those to forget.
const sweepEvery = time.Minute

func newCallers(cfg CallerConfig) *callers {
	return &callers{cfg: cfg, known: map[string]*caller{}, swept: time.Now()}
}

// call lets a unary call of the caller begin; release must be called at its end.
func (c *callers) call(subject string) (release func(), err error) {
	return c.begin(subject, func(k *caller) *int { return &k.calls }, c.cfg.MaxCalls, errTooManyCalls)
}

// stream lets a stream of the caller begin; release must be called at its end.
func (c *callers) stream(subject string) (release func(), err error) {
	return c.begin(subject, func(k *caller) *int { return &k.streams }, c.cfg.MaxStreams, errTooManyOwnStreams)
}

func (c *callers) begin(subject string, count func(*caller) *int, limit int, tooMany error) (func(), error) {
	if subject == "" {
		return func() {}, nil // a public method
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now)
	k := c.known[subject]
	if k == nil {
		k = &caller{tokens: rate.NewLimiter(rate.Limit(c.cfg.Rate), c.cfg.Burst)}
		c.known[subject] = k
	}
	if !k.tokens.AllowN(now, 1) {
		return nil, errTooFast
	}
	if *count(k) >= limit {
		return nil, tooMany
	}
	*count(k)++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		*count(k)--
	}, nil
}

func (c *callers) sweep(now time.Time) {
	if now.Sub(c.swept) < sweepEvery {
		return
	}
	c.swept = now
	for subject, k := range c.known {
		if k.calls == 0 && k.streams == 0 && k.tokens.TokensAt(now) >= float64(c.cfg.Burst) {
			delete(c.known, subject)
		}
	}
}
