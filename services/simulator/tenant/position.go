package tenant

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrPosition is a text that is no Position.
var ErrPosition = errors.New("no position")

// Position is a place in a log, between two records. The zero Position is the beginning, before
// the newest record. It means the same at any Query of the same log and tenant: records that
// become visible later do not shift it.
type Position struct {
	set  bool
	slot int64 // the slot to go on in
	done int   // records of the slot that lie before the position, visible or not
}

// IsZero reports whether the position is the beginning.
func (p Position) IsZero() bool { return !p.set }

// MarshalText returns a short text of letters, digits, "-" and ".", empty for the beginning.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String returns what MarshalText does.
func (p Position) String() string {
	if !p.set {
		return ""
	}
	return strconv.FormatInt(p.slot, 36) + "." + strconv.FormatInt(int64(p.done), 36)
}

// UnmarshalText reads what MarshalText wrote. Its error is ErrPosition.
func (p *Position) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Position{}
		return nil
	}
	slot, done, _ := strings.Cut(string(text), ".")
	s, err := strconv.ParseInt(slot, 36, 64)
	if err != nil {
		return fmt.Errorf("reading slot: %w", ErrPosition)
	}
	d, err := strconv.ParseUint(done, 36, 31)
	if err != nil {
		return fmt.Errorf("reading offset: %w", ErrPosition)
	}
	*p = Position{set: true, slot: s, done: int(d)}
	return nil
}
