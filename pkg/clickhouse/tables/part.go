package tables

import (
	"net/netip"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// part makes columns from a message P inside M. Where P is absent, strings are empty, numbers 0 and
// what can be absent is NULL.
type part[M, P any] struct{ of func(M) *P }

func partOf[M, P any](of func(M) *P) part[M, P] { return part[M, P]{of} }

func (p part[M, P]) text(name string, get func(*P) string) source[M] {
	return scalar(name, typeString, func(r *Row[M]) string { return get(p.of(r.Message)) })
}

func (p part[M, P]) texts(name string, get func(*P) []string) source[M] {
	return array(name, typeString, func(buf []string, r *Row[M]) []string {
		return append(buf, get(p.of(r.Message))...)
	})
}

func (p part[M, P]) time(name string, get func(*P) *timestamppb.Timestamp) source[M] {
	return scalar(name, typeTime, func(r *Row[M]) int64 { return unixMilli(get(p.of(r.Message))) })
}

func (p part[M, P]) maybeTime(name string, get func(*P) *timestamppb.Timestamp) source[M] {
	return scalar(name, nullable(typeTime), func(r *Row[M]) *int64 { return maybeUnixMilli(get(p.of(r.Message))) })
}

func (p part[M, P]) maybeBool(name string, get func(*P) *bool) source[M] {
	return scalar(name, nullable(typeBool), maybe(p, get))
}

func (p part[M, P]) maybeInt(name string, get func(*P) *int64) source[M] {
	return scalar(name, nullable(typeInt), maybe(p, get))
}

func (p part[M, P]) maybeUint32(name string, get func(*P) *uint32) source[M] {
	return scalar(name, nullable(typeUint32), maybe(p, get))
}

func (p part[M, P]) maybeFloat(name string, get func(*P) *float64) source[M] {
	return scalar(name, nullable(typeFloat), maybe(p, get))
}

// address is an IPv6 column; what is no address becomes ::, which no client has.
func (p part[M, P]) address(name string, get func(*P) string) source[M] {
	return scalar(name, typeAddress, func(r *Row[M]) [16]byte { return addressBytes(get(p.of(r.Message))) })
}

func maybe[M, P, V any](p part[M, P], get func(*P) *V) func(*Row[M]) *V {
	return func(r *Row[M]) *V {
		if inner := p.of(r.Message); inner != nil {
			return get(inner)
		}
		return nil
	}
}

func nullable(inner string) string { return "Nullable(" + inner + ")" }

func addressBytes(text string) [16]byte {
	if text == "" {
		return [16]byte{}
	}
	parsed, err := netip.ParseAddr(text)
	if err != nil {
		return [16]byte{}
	}
	return parsed.As16()
}

func unixMilli(t *timestamppb.Timestamp) int64 {
	return t.GetSeconds()*1000 + int64(t.GetNanos())/1_000_000
}

func maybeUnixMilli(t *timestamppb.Timestamp) *int64 {
	if t == nil {
		return nil
	}
	ms := unixMilli(t)
	return &ms
}
