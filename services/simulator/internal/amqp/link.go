package amqp

import "bytes"

// Roles of a link's end, as the role field has them.
const (
	RoleSender   = false
	RoleReceiver = true
)

// Settle modes.
const (
	SenderUnsettled = 0
	SenderSettled   = 1
	SenderMixed     = 2
	ReceiverFirst   = 0
)

// Terminus is a source or a target. The filter is that of a source.
type Terminus struct {
	Present bool
	Address string
	// Filter is the encoded filter map; null if there is none.
	Filter Value
}

func readTerminus(v Value, source bool) Terminus {
	if !v.IsList() {
		return Terminus{}
	}
	it := v.Items()
	t := Terminus{Present: true, Address: textOf(it.field())}
	if !source {
		return t
	}
	const fieldsBetween = 6
	for range fieldsBetween {
		it.field()
	}
	if filter := it.field(); filter.IsMap() {
		// The frame's buffer is reused, the terminus lives as long as the link.
		filter.data = bytes.Clone(filter.data)
		t.Filter = filter
	}
	return t
}

func appendSource(b []byte, t Terminus) []byte {
	if !t.Present {
		return AppendNull(b)
	}
	b, mark := OpenList(AppendDescriptor(b, descSource))
	b = AppendString(b, t.Address)
	if t.Filter.IsNull() {
		return CloseCompound(b, mark, 1)
	}
	b = append(b, codeNull, codeNull, codeNull, codeNull, codeNull, codeNull)
	b = AppendValue(b, t.Filter)
	return CloseCompound(b, mark, 8)
}

func appendTarget(b []byte, t Terminus) []byte {
	if !t.Present {
		return AppendNull(b)
	}
	b, mark := OpenList(AppendDescriptor(b, descTarget))
	return CloseCompound(AppendString(b, t.Address), mark, 1)
}

// Attach binds a link to a handle.
type Attach struct {
	Name               string
	Handle             uint32
	Receiver           bool
	SenderSettleMode   Optional[uint32]
	ReceiverSettleMode Optional[uint32]
	Source             Terminus
	Target             Terminus
	// InitialDeliveryCount is sent by the sending end only.
	InitialDeliveryCount Optional[uint32]
	// MaxMessageBytes is 0 if the sender of the Attach sets no limit.
	MaxMessageBytes uint64
	// Properties is the encoded map of link properties as read; it is valid until the next frame is read.
	Properties Value
}

func (p *Attach) decode(f *Items) {
	p.Name = textOf(f.field())
	p.Handle = uint32Of(f.field())
	p.Receiver = boolOf(f.field())
	p.SenderSettleMode = optionalUint32(f.field())
	p.ReceiverSettleMode = optionalUint32(f.field())
	p.Source = readTerminus(f.field(), true)
	p.Target = readTerminus(f.field(), false)
	f.field() // unsettled
	f.field() // incomplete-unsettled
	p.InitialDeliveryCount = optionalUint32(f.field())
	p.MaxMessageBytes, _ = f.field().Uint()
	f.field() // offered-capabilities
	f.field() // desired-capabilities
	p.Properties = f.field()
}

func (p *Attach) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descAttach))
	b = AppendString(b, p.Name)
	b = AppendUint(b, p.Handle)
	b = AppendBool(b, p.Receiver)
	b = appendMode(b, p.SenderSettleMode)
	b = appendMode(b, p.ReceiverSettleMode)
	b = appendSource(b, p.Source)
	b = appendTarget(b, p.Target)
	b = append(b, codeNull, codeNull)
	b = appendOptional(b, p.InitialDeliveryCount)
	if p.MaxMessageBytes == 0 {
		return CloseCompound(b, mark, 10)
	}
	return CloseCompound(AppendUlong(b, p.MaxMessageBytes), mark, 11)
}

func appendMode(b []byte, o Optional[uint32]) []byte {
	if !o.Set {
		return AppendNull(b)
	}
	return AppendUbyte(b, uint8(o.Value))
}

// Detach unbinds a link.
type Detach struct {
	Handle uint32
	Closed bool
	Error  Error
}

func (p *Detach) decode(f *Items) {
	p.Handle = uint32Of(f.field())
	p.Closed = boolOf(f.field())
	p.Error = readError(f.field())
}

func (p *Detach) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descDetach))
	b = AppendUint(b, p.Handle)
	b = AppendBool(b, p.Closed)
	return CloseCompound(appendError(b, p.Error), mark, 3)
}
