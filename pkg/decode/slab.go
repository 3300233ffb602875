package decode

// slab makes the messages of one list in few allocations: they live and die with their event anyway.
type slab[T any] struct {
	free []T
	size int
}

// make returns a new zero T, which keeps its neighbors of the same list in memory.
func (s *slab[T]) make() *T {
	const first, most = 2, 16
	if len(s.free) == 0 {
		s.size = min(max(first, 2*s.size), most)
		s.free = make([]T, s.size)
	}
	next := &s.free[0]
	s.free = s.free[1:]
	return next
}
