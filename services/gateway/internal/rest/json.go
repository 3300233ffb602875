package rest

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// marshaler is the JSON of protobuf, as grpcurl writes it too: fields with their default are left out, which in a sign-in
// are most. It refuses fields that a message does not have, and anything behind the value.
type marshaler struct{ runtime.JSONPb }

func newMarshaler() *marshaler {
	return &marshaler{runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
	}}
}

// NewDecoder returns a decoder of one value. The reader must be bounded.
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return io.EOF // to the generated code: a request with nothing set
		}
		if message, ok := v.(proto.Message); ok {
			return m.UnmarshalOptions.Unmarshal(text, message)
		}
		// The decoder for fields of a request would leave what is behind the value unread.
		if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
			return err
		}
		return m.Unmarshal(text, v)
	})
}
