package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
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
// hold and its deadline ends before the method begins.
func (f *front) checked(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		pattern, _ := runtime.HTTPPattern(r.Context())
		rt, ok := findRoute(f.routes, r.Method, pattern)
		if !ok {
			f.fail(w, r, errNoRoute)
			return
		}
		exchangeOf(r.Context()).route = rt.template
		if err := f.check(w, r, rt, params); err != nil {
			f.fail(w, r, err)
			return
		}
		r.URL.RawQuery = withMasks(r.URL.Query(), rt)
		// ReadTimeout was for the request. What is read from now on only tells that the client is gone.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not every test's writer can
		next(w, r, params)
	}
}

func (f *front) check(w http.ResponseWriter, r *http.Request, rt route, params map[string]string) error {
	if err := checkPath(params); err != nil {
		return err
	}
	if err := checkQuery(r.URL, rt); err != nil {
		return err
	}
	return f.takeBody(w, r, rt)
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

// takeBody reads the body into memory, or refuses it.
func (f *front) takeBody(w http.ResponseWriter, r *http.Request, rt route) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(f.cfg.MaxBody)))
	switch tooLarge := (*http.MaxBytesError)(nil); {
	case errors.As(err, &tooLarge):
		return errBodyTooLarge
	case err != nil:
		return errBodyCut
	case len(body) > 0 && rt.body == "":
		return errBodyUnexpected
	case len(body) > 0 && !isJSON(r.Header.Values("Content-Type")):
		return errContentType
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func isJSON(contentTypes []string) bool {
	if len(contentTypes) != 1 {
		return false
	}
	media, _, err := mime.ParseMediaType(contentTypes[0])
	return err == nil && media == "application/json"
}
