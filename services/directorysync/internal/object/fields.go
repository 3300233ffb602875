// Package object turns what Graph says of an object of the directory into the messages of DIRECTORY, and decides what
// of it is new.
//
// It is pure: values in, values out. It reads no stream and no clock.
package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// ErrUnreadable is returned for what is no JSON object or has no id.
var ErrUnreadable = errors.New("no readable object")

// fields are a JSON object's members as they came. What is absent, null or of another type than asked for reads as
// nothing: one strange property takes nothing from the others, and raw has it.
type fields map[string]json.RawMessage

func parse(raw []byte) (fields, error) {
	var f fields
	if err := json.Unmarshal(raw, &f); err != nil || f == nil {
		return nil, fmt.Errorf("reading object: %w", ErrUnreadable) // the parser's words may quote the object
	}
	return f, nil
}

// encode writes the members in order of name.
func (f fields) encode() []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(f) // of what was parsed: it cannot fail
	return bytes.TrimRight(text.Bytes(), "\n")
}

func get[T any](f fields, name string) (value T, ok bool) {
	text, ok := f[name]
	if !ok || bytes.Equal(text, []byte("null")) || json.Unmarshal(text, &value) != nil {
		var zero T
		return zero, false
	}
	return value, true
}

func (f fields) text(name string) string {
	value, _ := get[string](f, name)
	return value
}

func (f fields) texts(name string) []string {
	value, _ := get[[]string](f, name)
	return value
}

func (f fields) flag(name string) *bool {
	value, ok := get[bool](f, name)
	if !ok {
		return nil
	}
	return &value
}

// time reads an instant; the year 1 stands for none.
func (f fields) time(name string) *timestamppb.Timestamp {
	at, err := time.Parse(time.RFC3339Nano, f.text(name))
	if err != nil || at.Year() <= 1 {
		return nil
	}
	return timestamppb.New(at)
}

func (f fields) object(name string) fields {
	value, _ := get[fields](f, name)
	return value
}

func (f fields) objects(name string) []fields {
	value, _ := get[[]fields](f, name)
	return value
}

// list reads a property of each object of an array.
func (f fields) list(name, property string) []string {
	var values []string
	for _, o := range f.objects(name) {
		if v := o.text(property); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// words cuts a text at a separator.
func words(text, separator string) []string {
	var all []string
	for word := range strings.SplitSeq(text, separator) {
		if word = strings.TrimSpace(word); word != "" {
			all = append(all, word)
		}
	}
	return all
}

// memberKinds are the derived types that a reference names.
var memberKinds = map[string]string{
	"#microsoft.graph.user": "user", "#microsoft.graph.group": "group", "#microsoft.graph.device": "device",
	"#microsoft.graph.servicePrincipal": "service_principal", "#microsoft.graph.orgContact": "contact",
}

// Member reads a reference to an object.
func (f fields) member() *directoryv1.Member {
	kind, known := memberKinds[f.text("@odata.type")]
	if !known {
		kind = "other"
	}
	return &directoryv1.Member{Id: f.text("id"), Kind: kind}
}

// sortMembers puts references in order of id.
func sortMembers(all []*directoryv1.Member) []*directoryv1.Member {
	slices.SortFunc(all, func(a, b *directoryv1.Member) int { return strings.Compare(a.GetId(), b.GetId()) })
	return all
}
