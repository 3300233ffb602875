package amqp

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Frame types and the protocol headers that start a connection.
const (
	FrameAMQP = 0x00
	FrameSASL = 0x01
	// FrameHeaderBytes is the size of a frame header without extension.
	FrameHeaderBytes = 8
)

// HeaderSASL and HeaderAMQP are the eight bytes a client sends first, and again after SASL.
const (
	HeaderSASL = "AMQP\x03\x01\x00\x00"
	HeaderAMQP = "AMQP\x00\x01\x00\x00"
)

// Frame is one frame as it was read. Body is empty for a heartbeat.
type Frame struct {
	Type    byte
	Channel uint16
	// Body aliases the reader's buffer until the next call of ReadFrame.
	Body []byte
}

// FrameReader reads frames of a bounded size. It is for one goroutine.
type FrameReader struct {
	r        *bufio.Reader
	maxBytes int
	pending  int
}

// NewFrameReader returns a reader that refuses frames above maxBytes.
func NewFrameReader(r io.Reader, maxBytes int) *FrameReader {
	return &FrameReader{r: bufio.NewReaderSize(r, max(2*maxBytes, 4096)), maxBytes: maxBytes}
}

// ReadHeader reads the eight bytes of a protocol header.
func (f *FrameReader) ReadHeader() (string, error) {
	if err := f.drop(); err != nil {
		return "", err
	}
	var header [8]byte
	if _, err := io.ReadFull(f.r, header[:]); err != nil {
		return "", fmt.Errorf("reading protocol header: %w", err)
	}
	return string(header[:]), nil
}

// drop passes over the frame that was read last.
func (f *FrameReader) drop() error {
	n := f.pending
	f.pending = 0
	if _, err := f.r.Discard(n); err != nil {
		return fmt.Errorf("passing over frame: %w", err)
	}
	return nil
}

// ReadFrame reads the next frame. Extended headers are skipped. io.EOF is the end between two frames.
func (f *FrameReader) ReadFrame() (Frame, error) {
	if err := f.drop(); err != nil {
		return Frame{}, err
	}
	header, err := f.r.Peek(FrameHeaderBytes)
	if err != nil {
		if len(header) == 0 {
			return Frame{}, err
		}
		return Frame{}, fmt.Errorf("reading frame header: %w", io.ErrUnexpectedEOF)
	}
	size := int(binary.BigEndian.Uint32(header))
	start := int(header[4]) * 4
	if size > f.maxBytes || size < FrameHeaderBytes || start < FrameHeaderBytes || start > size {
		return Frame{}, fmt.Errorf("frame of %d bytes, data at %d: %w", size, start, ErrMalformed)
	}
	frame := Frame{Type: header[5], Channel: binary.BigEndian.Uint16(header[6:])}
	whole, err := f.r.Peek(size)
	if err != nil {
		return Frame{}, fmt.Errorf("reading frame body: %w", io.ErrUnexpectedEOF)
	}
	frame.Body, f.pending = whole[start:], size
	return frame, nil
}

// OpenFrame starts a frame. Append the body, then call CloseFrame with the returned mark.
func OpenFrame(b []byte, frameType byte, channel uint16) ([]byte, int) {
	mark := len(b)
	b = append(b, 0, 0, 0, 0, 2, frameType)
	return binary.BigEndian.AppendUint16(b, channel), mark
}

// CloseFrame ends the frame started at mark by writing its size.
func CloseFrame(b []byte, mark int) []byte {
	binary.BigEndian.PutUint32(b[mark:], uint32(len(b)-mark))
	return b
}

// AppendHeartbeat appends an empty frame.
func AppendHeartbeat(b []byte) []byte { return append(b, 0, 0, 0, 8, 2, 0, 0, 0) }
