package rest

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// checked is a middleware that refuses what the generated code would pass over in silence: fields in the query that
// the request does not have, a body where none is read, bytes that are no UTF-8. It reads the body, so that its bounds
// hold and its deadline ends before the method begins; but not that of a request without a token, which the gRPC server
// refuses, and notes, whatever it asks for: no method of the API is public.
func (f *front) checked(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		pattern, _ := runtime.HTTPPattern(r.Context())
		rt, ok := findRoute(f.routes, r.Method, pattern)
		if !ok {
			f.fail(w, r, errNoRoute)
			return
		}
		exchangeOf(r.Context()).route = rt.template
		if err := errors.Join(checkPath(params), checkQuery(r.URL, rt)); err != nil {
			f.fail(w, r, err)
			return
		}
		r.URL.RawQuery = withMasks(r.URL.Query(), rt)
		if !hasToken(r) {
			leaveBody(w, r)
			next(w, r, params)
			return
		}
		release, err := f.takeBody(w, r, rt)
		if err != nil {
			f.fail(w, r, err)
			return
		}
		if rt.method.IsStreamingServer() {
			release() // it may go on for days; the streams are bounded elsewhere
		} else {
			defer release()
		}
		// ReadTimeout was for the request. What is read from now on only tells that the client is gone.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not every test's writer can
		next(w, r, params)
	}
}

func checkPath(params map[string]string) error {
	for _, value := range params {
		if !utf8.ValidString(value) {
			return errPath
		}
	}
	return nil
}

func checkQuery(u *url.URL, rt route) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errQuery
	}
	for key, values := range query {
		for _, text := range append(values, key) {
			if !utf8.ValidString(text) {
				return errQuery
			}
		}
		field := fieldOf(rt.method.Input(), key)
		switch {
		case field == "":
			return errUnknownField(key)
		case rt.body == "*", slices.Contains(rt.inPath, field), rt.body != "" && isWithin(field, rt.body):
			return errFieldElsewhere(key)
		}
	}
	return nil
}

// withMasks returns the query with field masks as proto files name fields: the generated code reads the names of JSON in
// a body, but not here.
func withMasks(query url.Values, rt route) string {
	for key, values := range query {
		field := rt.method.Input().Fields().ByJSONName(key)
		if field == nil {
			field = rt.method.Input().Fields().ByTextName(key)
		}
		if field == nil || field.Message() == nil || field.Message().FullName() != "google.protobuf.FieldMask" {
			continue
		}
		for i := range values {
			values[i] = upperCase.ReplaceAllStringFunc(values[i], func(c string) string { return "_" + strings.ToLower(c) })
		}
	}
	return query.Encode()
}

var upperCase = regexp.MustCompile("[A-Z]")

// isWithin reports whether a field is another one, or one of its own.
func isWithin(field, other string) bool { return field == other || strings.HasPrefix(field, other+".") }

// fieldOf returns the path of the field that a query names, by proto or JSON names, in proto names; empty if there is
// none.
func fieldOf(message protoreflect.MessageDescriptor, key string) string {
	var path []string
	for name := range strings.SplitSeq(key, ".") {
		if message == nil {
			return ""
		}
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			return ""
		}
		path = append(path, string(field.Name()))
		message = field.Message()
	}
	return strings.Join(path, ".")
}
