package tenant

// class says what a GUID names. It is sealed inside the GUID together with two numbers, so that ids
// are unique within a tenant without a list of them, and can be taken apart again.
type class uint8

// The classes of ids. The classes of a log's records are classRecord + the log's index, of its woven
// records classWoven + the index.
const (
	classTenant class = iota
	classUser
	classApp
	classAppObject
	classPrincipal
	classManaged
	classManagedApp
	classDevice
	classPolicy
	classKey
	classSession
	classCorrelation
	classJob
	classOther
	classGroup
	classDeviceObject
	classRecord     = 16
	classWoven      = 32
	classPosture    = 48 // policies, role assignments and what else has few objects
	classAssignment = 49
	classGrant      = 50
)

// guid is a version 4 GUID. The zero guid is none.
type guid struct{ hi, lo uint64 }

func (g guid) isZero() bool { return g.hi|g.lo == 0 }

// sealer turns (class, a, b) into GUIDs and back: a Feistel network over the 122 bits that a version 4
// GUID leaves free, keyed by the tenant's seed.
type sealer struct{ keys [4]uint64 }

const (
	half      = 61
	halfMask  = 1<<half - 1
	classBits = 6
	// maxA bounds the first number of a GUID, the second has 61 bits.
	maxA = 1<<(half-classBits) - 1
)

func newSealer(seed uint64) sealer {
	var s sealer
	for i := range s.keys {
		s.keys[i] = hash(seed, 0x5ea1, uint64(i))
	}
	return s
}

func (s *sealer) seal(c class, a, b uint64) guid {
	l, r := uint64(c)<<(half-classBits)|a&maxA, b&halfMask
	for _, key := range s.keys {
		l, r = r, l^(mix(r+key)&halfMask)
	}
	const version, variant = 4 << 12, 1 << 63
	return guid{
		hi: l>>13<<16 | version | l>>1&0xfff,
		lo: variant | (l&1)<<half | r,
	}
}

// open undoes seal. The numbers of a foreign GUID are arbitrary: the caller has to check them.
func (s *sealer) open(g guid) (c class, a, b uint64) {
	l := g.hi>>16<<13 | (g.hi&0xfff)<<1 | g.lo>>half&1
	r := g.lo & halfMask
	for i := len(s.keys) - 1; i >= 0; i-- {
		l, r = r^(mix(l+s.keys[i])&halfMask), l
	}
	return class(l >> (half - classBits)), l & maxA, r
}

const hexDigits = "0123456789abcdef"

// text returns the GUID's 36 characters.
func (g guid) text() (b [guidLen]byte) {
	putHex(b[0:8], g.hi>>32)
	b[8] = '-'
	putHex(b[9:13], g.hi>>16)
	b[13] = '-'
	putHex(b[14:18], g.hi)
	b[18] = '-'
	putHex(b[19:23], g.lo>>48)
	b[23] = '-'
	putHex(b[24:36], g.lo)
	return b
}

func (g guid) appendTo(b []byte) []byte {
	text := g.text()
	return append(b, text[:]...)
}

func (g guid) String() string {
	text := g.text()
	return string(text[:])
}

// guidLen is the length of a GUID's text.
const guidLen = 36

// putHex fills b with the last digits of v.
func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
}

func appendHex(b []byte, v uint64, digits int) []byte {
	var text [16]byte
	putHex(text[:digits], v)
	return append(b, text[:digits]...)
}

// parseGUID reads 36 characters, in either case.
func parseGUID(text string) (g guid, ok bool) {
	if len(text) != guidLen {
		return g, false
	}
	for i := range guidLen {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return guid{}, false
			}
			continue
		}
		d, ok := hexDigit(text[i])
		if !ok {
			return guid{}, false
		}
		g.hi = g.hi<<4 | g.lo>>60
		g.lo = g.lo<<4 | d
	}
	return g, true
}

func hexDigit(c byte) (uint64, bool) {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10, true
	default:
		return 0, false
	}
}
