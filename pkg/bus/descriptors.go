package bus

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	busv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/bus/v1"
)

// Route is where a protobuf message travels, from its options.
type Route struct {
	Message  protoreflect.FullName
	Stream   string
	Template string // of the subject: literal tokens and {field}
}

// Subjects matches the subject of every message of the route.
func (r Route) Subjects() string { return r.subjectsWith(nil) }

// subjectsWith is Subjects with the given fields fixed.
func (r Route) subjectsWith(fields map[string]string) string {
	tokens := strings.Split(r.Template, ".")
	for i, token := range tokens {
		field, ok := strings.CutPrefix(token, "{")
		if !ok {
			continue
		}
		tokens[i] = cmp.Or(fields[strings.TrimSuffix(field, "}")], "*")
	}
	return strings.Join(tokens, ".")
}

// Routes returns the routes of all messages of the program that have bus options, by message name.
func Routes() []Route {
	var routes []Route
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(file.Package()), "entraflow.") {
			routes = appendRoutes(routes, file.Messages())
		}
		return true
	})
	slices.SortFunc(routes, func(a, b Route) int { return cmp.Compare(a.Message, b.Message) })
	return routes
}

func appendRoutes(routes []Route, messages protoreflect.MessageDescriptors) []Route {
	for i := range messages.Len() {
		message := messages.Get(i)
		routes = appendRoutes(routes, message.Messages())
		options, ok := message.Options().(*descriptorpb.MessageOptions)
		if !ok || !proto.HasExtension(options, busv1.E_Stream) {
			continue
		}
		stream, _ := proto.GetExtension(options, busv1.E_Stream).(string)
		template, _ := proto.GetExtension(options, busv1.E_Subject).(string)
		routes = append(routes, Route{Message: message.FullName(), Stream: stream, Template: template})
	}
	return routes
}

// subjectsOf returns what a stream listens to.
func subjectsOf(stream string) []string {
	var subjects []string
	for _, route := range Routes() {
		if route.Stream == stream {
			subjects = append(subjects, route.Subjects())
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(subjects)))
}
