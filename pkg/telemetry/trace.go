package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
)

// Inject passes the W3C trace context of ctx to set as headers: traceparent and, if there is
// one, tracestate. Without a trace it sets nothing.
func Inject(ctx context.Context, set func(key, value string)) {
	propagation.TraceContext{}.Inject(ctx, carrier{set: set})
}

// Extract returns ctx with the W3C trace context found in the headers that get returns, by
// their lower-case names; without one, or with a broken one, it returns ctx as it is.
func Extract(ctx context.Context, get func(key string) string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, carrier{get: get})
}

// carrier makes a function of each direction what the propagator wants.
type carrier struct {
	get func(key string) string
	set func(key, value string)
}

func (c carrier) Get(key string) string { return c.get(key) }
func (c carrier) Set(key, value string) { c.set(key, value) }
func (c carrier) Keys() []string        { return nil }
