package audit_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	_ "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/audit"
)

// maxEntry is the largest entry there may be, whatever a client sends.
const maxEntry = 64 << 10

// FuzzRequest decodes bytes as the request of each method, checks them by the rules of the proto files, and writes down
// what they ask for: none of it may panic, and an entry is small and can be encoded.
func FuzzRequest(f *testing.F) {
	methods := methodsOf(f)
	validator, err := protovalidate.New()
	if err != nil {
		f.Fatal(err)
	}
	for i := range methods {
		f.Add(uint(i), []byte{})
		f.Add(uint(i), []byte("\x0a\x10integrations/abc"))
		f.Add(uint(i), []byte(strings.Repeat("\x0a\x04\xff\xfe\x00a", 200)))
	}
	f.Fuzz(func(t *testing.T, method uint, data []byte) {
		m := methods[method%uint(len(methods))]
		kind, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		request := kind.New().Interface()
		if proto.Unmarshal(data, request) != nil {
			return
		}
		_ = validator.Validate(request) // it refuses or not
		entry := audit.Entry(&grpcserver.Call{
			Method: "/" + string(m.Parent().FullName()) + "/" + string(m.Name()), Request: request,
			Address: string(data), UserAgent: string(data),
		}, nil)
		encoded, err := proto.Marshal(entry)
		if err != nil {
			t.Fatalf("%s: %v", m.FullName(), err)
		}
		if len(encoded) > maxEntry || !utf8.ValidString(entry.GetTarget()) {
			t.Fatalf("%s: an entry of %d bytes", m.FullName(), len(encoded))
		}
	})
}

func methodsOf(f *testing.F) []protoreflect.MethodDescriptor {
	f.Helper()
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("entraflow.control.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for n := range methods.Len() {
				all = append(all, methods.Get(n))
			}
		}
		return true
	})
	return all
}
