package rest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	gen "github.com/entraflow/entraflow/services/gateway/internal/rest/gen"
)

// registrations are the generated handlers, a line for each service.
func registrations() []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error {
	return []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		gen.RegisterApiTokenServiceHandler,
		gen.RegisterAuditServiceHandler,
		gen.RegisterDirectoryServiceHandler,
		gen.RegisterEventServiceHandler,
		gen.RegisterIntegrationServiceHandler,
		gen.RegisterSignInServiceHandler,
		gen.RegisterSystemServiceHandler,
	}
}

// route is one way to call a method over HTTP.
type route struct {
	verb     string // GET
	template string // /v1/{name=integrations/*}:collectNow
	method   protoreflect.MethodDescriptor
	// body is the field that the body is, "*" for the whole request, or empty: there is no body.
	body string
	// inPath are the fields that the path has, as the template names them.
	inPath []string
	path   *regexp.Regexp
}

// fullMethod is the method as gRPC names it.
func (r route) fullMethod() string {
	return fmt.Sprintf("/%s/%s", r.method.Parent().FullName(), r.method.Name())
}

// listRoutes returns the routes of every method of the API, as its proto files bind them.
func listRoutes() []route {
	var routes []route
	api := controlv1.File_entraflow_control_v1_event_service_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(api, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				routes = append(routes, routesOf(methods.Get(j))...)
			}
		}
		return true
	})
	return routes
}

func routesOf(method protoreflect.MethodDescriptor) []route {
	rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	var routes []route
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		verb, template := verbOf(binding)
		r := route{verb: verb, template: template, method: method, body: binding.GetBody()}
		r.path, r.inPath = compile(template)
		routes = append(routes, r)
	}
	return routes
}

func verbOf(rule *annotations.HttpRule) (verb, template string) {
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", pattern.Get
	case *annotations.HttpRule_Post:
		return "POST", pattern.Post
	case *annotations.HttpRule_Put:
		return "PUT", pattern.Put
	case *annotations.HttpRule_Patch:
		return "PATCH", pattern.Patch
	case *annotations.HttpRule_Delete:
		return "DELETE", pattern.Delete
	default:
		return "", ""
	}
}

var variable = regexp.MustCompile(`\{([^=}]+)(?:=([^}]*))?\}`)

// compile returns an expression for the paths of a template, and the fields that it takes from them.
func compile(template string) (*regexp.Regexp, []string) {
	var fields []string
	var expression strings.Builder
	rest := 0
	for _, found := range variable.FindAllStringSubmatchIndex(template, -1) {
		expression.WriteString(regexp.QuoteMeta(template[rest:found[0]]))
		fields = append(fields, template[found[2]:found[3]])
		segments := "*"
		if found[4] >= 0 {
			segments = template[found[4]:found[5]]
		}
		expression.WriteString(strings.ReplaceAll(regexp.QuoteMeta(segments), `\*`, "[^/]+"))
		rest = found[1]
	}
	expression.WriteString(regexp.QuoteMeta(template[rest:]))
	return regexp.MustCompile("^" + expression.String() + "$"), fields
}

// allowed returns the verbs that a path is served for.
func allowed(routes []route, path string) []string {
	var verbs []string
	for _, r := range routes {
		if r.path.MatchString(path) {
			verbs = append(verbs, r.verb)
		}
	}
	slices.Sort(verbs)
	return slices.Compact(verbs)
}

// findRoute returns the route of a pattern that the mux has matched.
func findRoute(routes []route, verb string, pattern runtime.Pattern) (route, bool) {
	for _, r := range routes {
		if r.verb == verb && pattern.String() == normal(r.template) {
			return r, true
		}
	}
	return route{}, false
}

// normal writes a template as patterns are written: {user} is {user=*}.
func normal(template string) string {
	return variable.ReplaceAllStringFunc(template, func(v string) string {
		if strings.Contains(v, "=") {
			return v
		}
		return strings.TrimSuffix(v, "}") + "=*}"
	})
}
