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
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/decode"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// ErrUnreadable is returned for what is no JSON object or has no id.
var ErrUnreadable = errors.New("no readable object")

// fields are a JSON object's members as they came, in order of name. What is absent, null or of another type than asked
// for reads as nothing: one strange property takes nothing from the others, and raw has it.
type fields []member

type member struct {
	name  string
	value json.RawMessage // of the text that was parsed
}

// parse cuts an object into its members. Of those with the same name the last counts.
func parse(raw []byte) (fields, error) {
	i := space(raw, 0)
	end, err := decode.SkipValue(raw, i)
	if err != nil || i >= len(raw) || raw[i] != '{' || space(raw, end) != len(raw) {
		return nil, fmt.Errorf("reading object: %w", ErrUnreadable)
	}
	const usual = 48
	f := make(fields, 0, usual)
	// From here on it is known to be sound.
	for i = space(raw, i+1); raw[i] != '}'; {
		nameEnd, _ := decode.SkipValue(raw, i)
		name := unquote(raw[i:nameEnd])
		i = space(raw, space(raw, nameEnd)+1)
		valueEnd, _ := decode.SkipValue(raw, i)
		f = append(f, member{name, raw[i:valueEnd:valueEnd]})
		if i = space(raw, valueEnd); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	slices.SortStableFunc(f, byName)
	last := f[:0]
	for k, m := range f {
		if k+1 < len(f) && f[k+1].name == m.name {
			continue
		}
		last = append(last, m)
	}
	return last, nil
}

func byName(a, b member) int { return strings.Compare(a.name, b.name) }

func space(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// unquote reads a sound JSON string.
func unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var text string
	_ = json.Unmarshal(quoted, &text)
	return text
}

// encode writes the members.
func (f fields) encode() []byte {
	size := len("{}")
	for _, m := range f {
		size += len(m.name) + len(m.value) + len(`"":,`)
	}
	text := append(make([]byte, 0, size), '{')
	for i, m := range f {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, quote(m.name)...)
		text = append(text, ':')
		text = append(text, m.value...)
	}
	return append(text, '}')
}

func quote(name string) []byte {
	quoted, _ := json.Marshal(name) // a string: it cannot fail
	return quoted
}

// merge returns the members of both; those of over count where both have one.
func (f fields) merge(over fields) fields {
	all := make(fields, 0, max(len(f), len(over)))
	for len(f) > 0 && len(over) > 0 {
		switch c := strings.Compare(f[0].name, over[0].name); {
		case c < 0:
			all, f = append(all, f[0]), f[1:]
		case c > 0:
			all, over = append(all, over[0]), over[1:]
		default:
			all, f, over = append(all, over[0]), f[1:], over[1:]
		}
	}
	return append(append(all, f...), over...)
}

// value returns a member's text; nil if there is none.
func (f fields) value(name string) json.RawMessage {
	i, ok := slices.BinarySearchFunc(f, name, func(m member, name string) int { return strings.Compare(m.name, name) })
	if !ok {
		return nil
	}
	return f[i].value
}

func (f fields) text(name string) string {
	value := f.value(name)
	if len(value) == 0 || value[0] != '"' {
		return ""
	}
	return unquote(value)
}

func (f fields) texts(name string) []string {
	value := f.value(name)
	var all []string
	if len(value) <= len("[]") || value[0] != '[' || json.Unmarshal(value, &all) != nil {
		return nil
	}
	return all
}

func (f fields) flag(name string) *bool {
	switch string(f.value(name)) {
	case "true":
		return new(true)
	case "false":
		return new(false)
	default:
		return nil
	}
}

// time reads an instant; the year 1 stands for none.
func (f fields) time(name string) *timestamppb.Timestamp {
	value := f.value(name)
	if len(value) == 0 || value[0] != '"' {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, string(value[1:len(value)-1]))
	if err != nil || at.Year() <= 1 {
		return nil
	}
	return timestamppb.New(at)
}

func (f fields) object(name string) fields {
	value := f.value(name)
	if len(value) == 0 || value[0] != '{' {
		return nil
	}
	inner, _ := parse(value)
	return inner
}

// objects returns the objects of an array, if it has nothing else.
func (f fields) objects(name string) []fields {
	value := f.value(name)
	if len(value) <= len("[]") || value[0] != '[' {
		return nil
	}
	var all []fields
	for i := space(value, 1); value[i] != ']'; {
		end, _ := decode.SkipValue(value, i)
		inner, err := parse(value[i:end])
		if err != nil {
			return nil
		}
		all = append(all, inner)
		if i = space(value, end); value[i] == ',' {
			i = space(value, i+1)
		}
	}
	return all
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
