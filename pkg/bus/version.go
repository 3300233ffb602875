package bus

import "time"

// Widths of the parts of a version, from the lowest bits up; bit 63 is completeness.
const (
	versionIndexBits     = 10
	versionSequenceBits  = 6
	versionPartitionBits = 5
	versionClockBits     = 42

	versionSequenceShift  = versionIndexBits
	versionPartitionShift = versionSequenceShift + versionSequenceBits
	versionClockShift     = versionPartitionShift + versionPartitionBits
	versionCompleteShift  = versionClockShift + versionClockBits
)

// VersionParts is what a version is made of.
type VersionParts struct {
	// Complete is false if the source withheld fields of the record.
	Complete bool
	// Clock is the source's clock to the millisecond: the hub's enqueued time, or the Date of
	// Graph's response.
	Clock time.Time
	// Partition, Sequence and Index are modulo 32, 64 and 1024.
	Partition, Sequence, Index int
}

// Version orders the records of one event id: the greatest wins everywhere, in whatever order they
// arrive. From the highest bit down: 1 bit completeness, 42 bits of clock in milliseconds since 1970
// (until the year 2109), 5 bits partition, 6 bits sequence number, 10 bits record index. The last three
// are taken modulo their width: they break ties within a millisecond. A clock before 1970 counts
// as 1970, one after 2109 as 2109. For Graph partition and sequence are 0 and index is the record's
// place on its page.
func Version(complete bool, clock time.Time, partition int, sequence int64, index int) uint64 {
	millis := uint64(min(max(clock.UnixMilli(), 0), 1<<versionClockBits-1)) // bounded just here
	v := millis << versionClockShift
	v |= low(int64(partition), versionPartitionBits) << versionPartitionShift
	v |= low(sequence, versionSequenceBits) << versionSequenceShift
	v |= low(int64(index), versionIndexBits)
	if complete {
		v |= 1 << versionCompleteShift
	}
	return v
}

// ParseVersion takes a version apart.
func ParseVersion(v uint64) VersionParts {
	return VersionParts{
		Complete:  v>>versionCompleteShift == 1,
		Clock:     time.UnixMilli(int64(low(int64(v>>versionClockShift), versionClockBits))).UTC(),
		Partition: int(low(int64(v>>versionPartitionShift), versionPartitionBits)),
		Sequence:  int(low(int64(v>>versionSequenceShift), versionSequenceBits)),
		Index:     int(low(int64(v), versionIndexBits)),
	}
}

// low keeps the lowest bits of n.
func low(n int64, bits uint) uint64 { return uint64(n) & (1<<bits - 1) }
