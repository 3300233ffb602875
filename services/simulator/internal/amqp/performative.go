package amqp

import "fmt"

// Descriptors of the performatives and of the types inside them.
const (
	descOpen           = 0x10
	descBegin          = 0x11
	descAttach         = 0x12
	descFlow           = 0x13
	descTransfer       = 0x14
	descDisposition    = 0x15
	descDetach         = 0x16
	descEnd            = 0x17
	descClose          = 0x18
	descError          = 0x1d
	descAccepted       = 0x24
	descRejected       = 0x25
	descSource         = 0x28
	descTarget         = 0x29
	descSASLMechanisms = 0x40
	descSASLInit       = 0x41
	descSASLOutcome    = 0x44
)

// Optional is a field that may be absent.
type Optional[T any] struct {
	Value T
	Set   bool
}

// Some returns a field that is present.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Set: true} }

// Performative is one of the pointer types of this package that a frame can carry.
type Performative interface {
	decode(fields *Items)
}

// Outgoing is a performative that this side sends.
type Outgoing interface {
	append(b []byte) []byte
}

// Decode reads the performative at the start of a frame body and returns it with the payload behind it.
func Decode(body []byte) (Performative, []byte, error) {
	v, payload, err := ReadValue(body)
	if err != nil {
		return nil, nil, fmt.Errorf("reading performative: %w", err)
	}
	p := newPerformative(v.Descriptor)
	if p == nil || !v.IsList() {
		return nil, nil, fmt.Errorf("performative 0x%x: %w", v.Descriptor, ErrMalformed)
	}
	fields := v.Items()
	p.decode(&fields)
	if err := fields.Err(); err != nil {
		return nil, nil, fmt.Errorf("reading fields of performative 0x%x: %w", v.Descriptor, err)
	}
	return p, payload, nil
}

func newPerformative(descriptor uint64) Performative {
	switch descriptor {
	case descOpen:
		return new(Open)
	case descBegin:
		return new(Begin)
	case descAttach:
		return new(Attach)
	case descFlow:
		return new(Flow)
	case descTransfer:
		return new(Transfer)
	case descDisposition:
		return new(Disposition)
	case descDetach:
		return new(Detach)
	case descEnd:
		return new(End)
	case descClose:
		return new(Close)
	case descSASLInit:
		return new(SASLInit)
	}
	return nil
}

// AppendFrame appends a whole frame that carries p.
func AppendFrame(b []byte, frameType byte, channel uint16, p Outgoing) []byte {
	b, mark := OpenFrame(b, frameType, channel)
	return CloseFrame(p.append(b), mark)
}

// Error is the AMQP error type. Condition "" means no error.
type Error struct {
	Condition   string
	Description string
}

func appendError(b []byte, e Error) []byte {
	if e.Condition == "" {
		return AppendNull(b)
	}
	b, mark := OpenList(AppendDescriptor(b, descError))
	b = AppendSymbol(b, e.Condition)
	b = AppendString(b, e.Description)
	return CloseCompound(b, mark, 2)
}

func readError(v Value) Error {
	if !v.IsList() {
		return Error{}
	}
	it := v.Items()
	var e Error
	e.Condition, _ = it.field().Text()
	e.Description, _ = it.field().Text()
	return e
}

func uint32Of(v Value) uint32 {
	n, _ := v.Uint()
	return uint32(n)
}

func optionalUint32(v Value) Optional[uint32] {
	n, ok := v.Uint()
	return Optional[uint32]{Value: uint32(n), Set: ok}
}

func boolOf(v Value) bool {
	b, _ := v.Bool()
	return b
}

func textOf(v Value) string {
	s, _ := v.Text()
	return s
}

func appendOptional(b []byte, o Optional[uint32]) []byte {
	if !o.Set {
		return AppendNull(b)
	}
	return AppendUint(b, o.Value)
}
