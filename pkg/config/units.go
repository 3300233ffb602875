package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size. In configs it is a whole number and a unit: 512B, 64KiB, 8MiB, 1GB. A bare
// number counts bytes.
type Bytes int64

// Sizes in bytes.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

var errBytes = errors.New("must be a size such as 64MiB")

// byteUnit finds the factor of a unit. A function, since package variables can be changed.
func byteUnit(unit string) (Bytes, bool) {
	switch unit {
	case "", "B":
		return 1, true
	case "KiB":
		return KiB, true
	case "MiB":
		return MiB, true
	case "GiB":
		return GiB, true
	case "TiB":
		return TiB, true
	case "KB", "kB":
		return 1e3, true
	case "MB":
		return 1e6, true
	case "GB":
		return 1e9, true
	case "TB":
		return 1e12, true
	default:
		return 0, false
	}
}

// ParseBytes reads a size that is not negative.
func ParseBytes(text string) (Bytes, error) {
	digits := strings.TrimRight(text, "KMGTkiB")
	unit, ok := byteUnit(text[len(digits):])
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if !ok || err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, errBytes
	}
	return Bytes(n) * unit, nil
}

// String returns the size in the largest unit that gives a whole number; ParseBytes reads it.
func (b Bytes) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size, _ := byteUnit(unit); b != 0 && b%size == 0 {
			return strconv.FormatInt(int64(b/size), 10) + unit
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText returns String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is ParseBytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	size, err := ParseBytes(string(text))
	*b = size
	return err
}

const day = 24 * time.Hour

var errDuration = errors.New("must be a duration such as 30s, 12h or 7d")

// ParseDuration reads what time.ParseDuration reads, and whole days before it: 7d, 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	unsigned, negative := strings.CutPrefix(text, "-")
	days, rest, hasDays := strings.Cut(unsigned, "d")
	if !hasDays {
		days, rest = "0", unsigned
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, errDuration
	}
	var d time.Duration
	if !hasDays || rest != "" {
		d, err = time.ParseDuration(rest)
	}
	total := time.Duration(n)*day + d
	if err != nil || d < 0 || total < d {
		return 0, errDuration
	}
	if negative {
		total = -total
	}
	return total, nil
}

// FormatDuration writes a duration without the parts that are zero; ParseDuration reads it.
func FormatDuration(d time.Duration) string {
	if d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
