package amqp

// SASLInit is the client's choice of a mechanism.
type SASLInit struct {
	Mechanism string
	// Response is a copy of the initial response.
	Response []byte
}

func (p *SASLInit) decode(f *Items) {
	p.Mechanism = textOf(f.field())
	response, _ := f.field().Binary()
	p.Response = append([]byte(nil), response...)
}

// SASLMechanisms offers mechanisms.
type SASLMechanisms struct{ Names []string }

func (p *SASLMechanisms) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descSASLMechanisms))
	return CloseCompound(AppendSymbols(b, p.Names...), mark, 1)
}

// SASLOutcome ends SASL: code 0 is success, 1 a failed authentication.
type SASLOutcome struct{ Code uint8 }

func (p *SASLOutcome) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descSASLOutcome))
	return CloseCompound(AppendUbyte(b, p.Code), mark, 1)
}

// Open starts a connection.
type Open struct {
	ContainerID string
	Hostname    string
	// MaxFrameBytes is the largest frame the sender of the Open takes; absent means no limit.
	MaxFrameBytes Optional[uint32]
	ChannelMax    uint16
	// IdleTimeoutMS is after how many milliseconds of silence the sender of the Open gives up; absent means never.
	IdleTimeoutMS Optional[uint32]
}

func (p *Open) decode(f *Items) {
	p.ContainerID = textOf(f.field())
	p.Hostname = textOf(f.field())
	p.MaxFrameBytes = optionalUint32(f.field())
	p.ChannelMax = 65535
	if v := optionalUint32(f.field()); v.Set {
		p.ChannelMax = uint16(v.Value)
	}
	p.IdleTimeoutMS = optionalUint32(f.field())
}

func (p *Open) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descOpen))
	b = AppendString(b, p.ContainerID)
	b = AppendString(b, p.Hostname)
	b = appendOptional(b, p.MaxFrameBytes)
	b = AppendUshort(b, p.ChannelMax)
	b = appendOptional(b, p.IdleTimeoutMS)
	return CloseCompound(b, mark, 5)
}

// Close ends a connection.
type Close struct{ Error Error }

func (p *Close) decode(f *Items) { p.Error = readError(f.field()) }

func (p *Close) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descClose))
	return CloseCompound(appendError(b, p.Error), mark, 1)
}

// Begin starts a session.
type Begin struct {
	// RemoteChannel is the channel of the Begin that this one answers; absent in the first.
	RemoteChannel  Optional[uint32]
	NextOutgoingID uint32
	IncomingWindow uint32
	OutgoingWindow uint32
	HandleMax      uint32
}

func (p *Begin) decode(f *Items) {
	p.RemoteChannel = optionalUint32(f.field())
	p.NextOutgoingID = uint32Of(f.field())
	p.IncomingWindow = uint32Of(f.field())
	p.OutgoingWindow = uint32Of(f.field())
	p.HandleMax = uint32Of(f.field())
}

func (p *Begin) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descBegin))
	if p.RemoteChannel.Set {
		b = AppendUshort(b, uint16(p.RemoteChannel.Value))
	} else {
		b = AppendNull(b)
	}
	b = AppendUint(b, p.NextOutgoingID)
	b = AppendUint(b, p.IncomingWindow)
	b = AppendUint(b, p.OutgoingWindow)
	b = AppendUint(b, p.HandleMax)
	return CloseCompound(b, mark, 5)
}

// End ends a session.
type End struct{ Error Error }

func (p *End) decode(f *Items) { p.Error = readError(f.field()) }

func (p *End) append(b []byte) []byte {
	b, mark := OpenList(AppendDescriptor(b, descEnd))
	return CloseCompound(appendError(b, p.Error), mark, 1)
}
