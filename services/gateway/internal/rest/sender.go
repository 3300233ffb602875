package rest

import (
	"bytes"
	"net/http"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sender writes a stream in one of its forms. Each method flushes; an error means that the client is gone.
type sender interface {
	message(m proto.Message) error
	failure(err error) error
	end() error
	keepAlive() error
}

// newSender writes the header of the answer too.
func newSender(w http.ResponseWriter, r *http.Request, f *front) sender {
	out := output{
		w: w, control: http.NewResponseController(w), json: f.json, requestID: exchangeOf(r.Context()).requestID,
	}
	header := w.Header()
	header.Set("X-Accel-Buffering", "no") // else a proxy may hold events back
	if wantsEvents(r) {
		header.Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		return eventSender{out}
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	return lineSender{out}
}

type output struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	json      *marshaler
	requestID string
}

func (o output) write(parts ...[]byte) error {
	if _, err := o.w.Write(bytes.Join(parts, nil)); err != nil {
		return err
	}
	return o.control.Flush()
}

func (o output) status(err error) ([]byte, error) {
	st, _ := statusOf(err, o.requestID)
	return o.json.Marshal(st.Proto())
}

// lineSender writes a JSON object a line: {"result": …}, at last perhaps {"error": …}.
type lineSender struct{ output }

func (s lineSender) message(m proto.Message) error {
	text, err := s.json.Marshal(m)
	if err != nil {
		return s.failure(err)
	}
	return s.write([]byte(`{"result":`), text, []byte("}\n"))
}

func (s lineSender) failure(err error) error {
	text, err := s.status(err)
	if err != nil {
		return err
	}
	return s.write([]byte(`{"error":`), text, []byte("}\n"))
}

func (lineSender) end() error       { return nil }
func (lineSender) keepAlive() error { return nil }

// eventSender writes server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), named after
// the first field of the message. The id is the message's resume token. A message that has nothing but a token becomes
// a comment with the id: a browser remembers it and tells nobody. The last event is end or error.
type eventSender struct{ output }

func (s eventSender) message(m proto.Message) error {
	fields := m.ProtoReflect().Descriptor().Fields()
	named := fields.ByNumber(1)
	if named == nil {
		named = fields.Get(0)
	}
	var id []byte
	if token := fields.ByName("resume_token"); token != nil {
		id = []byte("id: " + m.ProtoReflect().Get(token).String() + "\n")
		if isBare(m, token) {
			return s.write([]byte(": keep-alive\n"), id, []byte("\n"))
		}
	}
	text, err := s.json.Marshal(m)
	if err != nil {
		return s.failure(err)
	}
	return s.write(id, []byte("event: "+string(named.Name())+"\ndata: "), text, []byte("\n\n"))
}

// isBare reports whether nothing but the token is set.
func isBare(m proto.Message, token protoreflect.FieldDescriptor) bool {
	bare := true
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		bare = field == token
		return bare
	})
	return bare
}

func (s eventSender) failure(err error) error {
	text, err := s.status(err)
	if err != nil {
		return err
	}
	return s.write([]byte("event: error\ndata: "), text, []byte("\n\n"))
}

func (s eventSender) end() error       { return s.write([]byte("event: end\ndata: {}\n\n")) }
func (s eventSender) keepAlive() error { return s.write([]byte(": keep-alive\n\n")) }
