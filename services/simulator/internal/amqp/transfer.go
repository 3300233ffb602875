package amqp

import "encoding/binary"

// Flow updates windows and, if it has a handle, a link's credit.
type Flow struct {
	NextIncomingID Optional[uint32]
	IncomingWindow uint32
	NextOutgoingID uint32
	OutgoingWindow uint32
	Handle         Optional[uint32]
	DeliveryCount  Optional[uint32]
	LinkCredit     Optional[uint32]
	Drain          bool
	Echo           bool
}

func (p *Flow) decode(f *Items) {
	p.NextIncomingID = optionalUint32(f.field())
	p.IncomingWindow = uint32Of(f.field())
	p.NextOutgoingID = uint32Of(f.field())
	p.OutgoingWindow = uint32Of(f.field())
	p.Handle = optionalUint32(f.field())
	p.DeliveryCount = optionalUint32(f.field())
	p.LinkCredit = optionalUint32(f.field())
	f.field() // available
	p.Drain = boolOf(f.field())
	p.Echo = boolOf(f.field())
}

func (p *Flow) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descFlow))
	b = appendOptional(b, p.NextIncomingID)
	b = AppendUint(b, p.IncomingWindow)
	b = AppendUint(b, p.NextOutgoingID)
	b = AppendUint(b, p.OutgoingWindow)
	if !p.Handle.Set {
		return CloseCompound(b, mark, 4)
	}
	b = appendOptional(b, p.Handle)
	b = appendOptional(b, p.DeliveryCount)
	b = appendOptional(b, p.LinkCredit)
	b = AppendNull(b)
	return CloseCompound(AppendBool(b, p.Drain), mark, 9)
}

// Transfer is the head of a transfer frame; the payload follows it in the frame.
type Transfer struct {
	Handle        uint32
	DeliveryID    Optional[uint32]
	MessageFormat uint32
	Settled       bool
	More          bool
	Aborted       bool
}

func (p *Transfer) decode(f *Items) {
	p.Handle = uint32Of(f.field())
	p.DeliveryID = optionalUint32(f.field())
	f.field() // delivery-tag
	p.MessageFormat = uint32Of(f.field())
	p.Settled = boolOf(f.field())
	p.More = boolOf(f.field())
	f.field() // rcv-settle-mode
	f.field() // state
	f.field() // resume
	p.Aborted = boolOf(f.field())
}

// MaxTransferHead is an upper bound of what AppendDelivery adds to each frame's payload.
const MaxTransferHead = 64

// Delivery is one settled message to be sent.
type Delivery struct {
	Channel uint16
	Handle  uint32
	ID      uint32
	Message []byte
}

// Frames returns how many frames AppendDelivery makes of the message.
func (d Delivery) Frames(maxFrame int) int {
	room := maxFrame - MaxTransferHead
	return max(1, (len(d.Message)+room-1)/room)
}

// AppendDelivery appends the message as settled transfer frames of at most maxFrame bytes. The first carries
// delivery id, tag and message format, as go-amqp demands; all but the last say that more follows.
func AppendDelivery(b []byte, d Delivery, maxFrame int) []byte {
	room := maxFrame - MaxTransferHead
	rest, first := d.Message, true
	for {
		part := rest[:min(room, len(rest))]
		rest = rest[len(part):]
		var mark int
		b, mark = OpenFrame(b, FrameAMQP, d.Channel)
		b = appendTransferHead(b, d, first, len(rest) > 0)
		b = append(b, part...)
		b = CloseFrame(b, mark)
		if len(rest) == 0 {
			return b
		}
		first = false
	}
}

func appendTransferHead(b []byte, d Delivery, first, more bool) []byte {
	b = append(b, codeDescribed, codeSmallUlong, descTransfer, codeList8, 0, 6)
	size := len(b) - 2
	b = AppendUint(b, d.Handle)
	if first {
		b = binary.BigEndian.AppendUint32(append(b, codeUint), d.ID)
		b = binary.BigEndian.AppendUint32(append(b, codeBin8, 4), d.ID)
		b = append(b, codeUint0)
	} else {
		b = append(b, codeNull, codeNull, codeNull)
	}
	b = AppendBool(AppendBool(b, true), more)
	b[size] = byte(len(b) - size - 1)
	return b
}

// Disposition settles deliveries First to Last. Error rejects them, none accepts them.
type Disposition struct {
	Receiver bool
	First    uint32
	Last     Optional[uint32]
	Settled  bool
	Error    Error
}

func (p *Disposition) decode(f *Items) {
	p.Receiver = boolOf(f.field())
	p.First = uint32Of(f.field())
	p.Last = optionalUint32(f.field())
	p.Settled = boolOf(f.field())
	if state := f.field(); state.Descriptor == descRejected && state.IsList() {
		it := state.Items()
		p.Error = readError(it.field())
	}
}

func (p *Disposition) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descDisposition))
	b = AppendBool(b, p.Receiver)
	b = AppendUint(b, p.First)
	b = appendOptional(b, p.Last)
	b = AppendBool(b, p.Settled)
	if p.Error.Condition == "" {
		b = append(AppendDescriptor(b, descAccepted), codeList0)
		return CloseCompound(b, mark, 5)
	}
	b, state := OpenList(AppendDescriptor(b, descRejected))
	b = CloseCompound(appendError(b, p.Error), state, 1)
	return CloseCompound(b, mark, 5)
}
