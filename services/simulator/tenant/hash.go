package tenant

import "math/bits"

// mix is the finaliser of splitmix64: every bit of x decides over every bit of the result.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// golden is 2^64 divided by the golden ratio: splitmix64's step.
const golden = 0x9e3779b97f4a7c15

// hash makes one number of several. The order counts.
func hash(seed uint64, values ...uint64) uint64 {
	h := seed
	for _, v := range values {
		h = mix(h + golden + v*0xff51afd7ed558ccd)
	}
	return h
}

// rng is splitmix64: a sequence that its seed decides. Unlike math/rand/v2's PCG it costs nothing to
// begin, and one begins for every record.
type rng struct{ state uint64 }

func (r *rng) next() uint64 {
	r.state += golden
	return mix(r.state)
}

// below returns a number from 0 to n-1.
func (r *rng) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// chance is true in so many of 10,000 cases.
func (r *rng) chance(in10k int) bool { return r.below(10_000) < in10k }

// pick chooses an index by weights that sum to total.
func (r *rng) pick(weights []int, total int) int {
	n := r.below(total)
	for i, w := range weights {
		if n < w {
			return i
		}
		n -= w
	}
	return len(weights) - 1
}
