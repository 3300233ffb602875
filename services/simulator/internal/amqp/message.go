package amqp

import "fmt"

// Descriptors of the sections of a message.
const (
	secHeader      = 0x70
	secAnnotations = 0x72
	secProperties  = 0x73
	secApplication = 0x74
	secData        = 0x75
	secSequence    = 0x76
	secValue       = 0x77
	secFooter      = 0x78
)

// BatchFormat is the message format of Event Hubs batches: an envelope whose data sections are whole messages.
const BatchFormat = 0x80013700

// Message is an encoded message cut at its sections. All fields alias the buffer it was read from.
type Message struct {
	// Header is the encoded header section, descriptor included; empty if there is none.
	Header []byte
	// Annotations is the map of message annotations; null if there is none.
	Annotations Value
	// Properties and Application are the properties list and the application properties map; null if there is none.
	Properties  Value
	Application Value
	// Body is the value of the first body section.
	Body Value
	// Bare is everything from the properties to the footer, as encoded.
	Bare []byte
}

// ParseMessage cuts an encoded message. Delivery annotations are dropped. Each section's structure is checked.
func ParseMessage(buf []byte) (Message, error) {
	var m Message
	err := eachSection(buf, func(s section) {
		switch s.value.Descriptor {
		case secHeader:
			m.Header = buf[s.start:s.end]
		case secAnnotations:
			m.Annotations = s.value
		case secProperties:
			m.Properties = s.value
		case secApplication:
			m.Application = s.value
		case secData, secSequence, secValue:
			if m.Body.code == 0 {
				m.Body = s.value
			}
		}
		if s.value.Descriptor >= secProperties && m.Bare == nil {
			m.Bare = buf[s.start:]
		}
	})
	return m, err
}

// EachEvent calls yield for each encoded message inside a batch message, and stops at its first error.
func EachEvent(batch []byte, yield func(encoded []byte) error) error {
	var failed error
	err := eachSection(batch, func(s section) {
		if s.value.Descriptor != secData || failed != nil {
			return
		}
		failed = yield(s.value.data)
	})
	if failed != nil {
		return failed
	}
	return err
}

// section is one section of a message, its descriptor at start.
type section struct {
	value      Value
	start, end int
}

// eachSection walks over the sections in their order.
func eachSection(buf []byte, visit func(section)) error {
	last := uint64(0)
	for rest := buf; len(rest) > 0; {
		v, after, err := ReadValue(rest)
		if err == nil && (v.Descriptor < secHeader || v.Descriptor > secFooter || v.Descriptor < last || !sectionType(v)) {
			err = ErrMalformed
		}
		if err == nil {
			err = v.Check()
		}
		if err != nil {
			return fmt.Errorf("reading message section: %w", err)
		}
		last = v.Descriptor
		visit(section{value: v, start: len(buf) - len(rest), end: len(buf) - len(after)})
		rest = after
	}
	return nil
}

func sectionType(v Value) bool {
	switch v.Descriptor {
	case secHeader, secProperties, secSequence:
		return v.IsList()
	case secData:
		return v.code == codeBin8 || v.code == codeBin32
	case secValue:
		return true
	default:
		return v.IsMap()
	}
}

// MessageID returns the message id, null if there is none.
func (m Message) MessageID() Value { return m.property(0) }

// ReplyTo returns the reply-to address, "" if there is none.
func (m Message) ReplyTo() string { return textOf(m.property(4)) }

func (m Message) property(index int) Value {
	if !m.Properties.IsList() {
		return Value{}
	}
	it := m.Properties.Items()
	for range index {
		it.field()
	}
	return it.field()
}

// AppendDataSection appends a data section with the given bytes.
func AppendDataSection(b, data []byte) []byte {
	return AppendBinary(AppendDescriptor(b, secData), data)
}

// OpenAnnotations starts a message annotations section; end it with CloseCompound.
func OpenAnnotations(b []byte) ([]byte, int) { return OpenMap(AppendDescriptor(b, secAnnotations)) }

// OpenApplication starts an application properties section; end it with CloseCompound.
func OpenApplication(b []byte) ([]byte, int) { return OpenMap(AppendDescriptor(b, secApplication)) }

// OpenProperties starts a properties section; end it with CloseCompound.
func OpenProperties(b []byte) ([]byte, int) { return OpenList(AppendDescriptor(b, secProperties)) }

// AppendValueSection appends the descriptor of an amqp-value section; the value must follow.
func AppendValueSection(b []byte) []byte { return AppendDescriptor(b, secValue) }
