package shift

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShare(t *testing.T) {
	s := newShare()
	s.count(5)
	require.False(t, s.reserve(), "not before the replicas were counted")
	given := map[string]bool{}
	take := func() (n int) {
		for i := 0; s.reserve(); i++ {
			id := fmt.Sprint("t", len(s.working))
			s.begin(id, func() { given[id] = true; s.reserved-- })
			n++
		}
		return n
	}
	require.Zero(t, s.look(1))
	require.Equal(t, 5, take())
	require.Zero(t, s.look(2), "it may be gone again")
	require.Zero(t, s.look(1))
	require.Zero(t, s.look(2))
	require.Equal(t, 2, s.look(2), "rounded up, three stay")
	require.Equal(t, map[string]bool{"t3": true, "t4": true}, given)
	require.Zero(t, take(), "what was given is not taken back")
	for range 10 {
		require.Zero(t, s.look(2))
	}
	require.Zero(t, s.look(0), "this one is there")
	require.Equal(t, 2, take())
	s.count(0)
	require.False(t, s.reserve())
}
