package decode_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The reference says what every typed field of an event must be, in another way than the decoder: by a
// table from field to places in the record, over encoding/json's maps. Values are compared as text.

// rule says where a field comes from: the first place that has a value, passed through as.
type rule struct {
	from []string
	as   func(any) string
	// sub are the rules of a message field; the places are looked for inside the value.
	sub rules
	// want overrides all of it.
	want func(record map[string]any) string
}

type rules map[protoreflect.Name]rule

// at follows a path of names.
func at(value any, path string) any {
	if path == "" {
		return value
	}
	for name := range strings.SplitSeq(path, "/") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// isEmpty says whether a value counts as absent.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	default:
		return false
	}
}

func (r rule) value(record any) any {
	for _, path := range r.from {
		if value := at(record, path); !isEmpty(value) {
			return value
		}
	}
	return nil
}

// asText is how a value reads; an absent one is empty.
func asText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		panic(fmt.Sprintf("no text: %T", value))
	}
}

func asLower(value any) string { return strings.ToLower(asText(value)) }

func asFloat(value any) string {
	if value == nil {
		return ""
	}
	f, err := strconv.ParseFloat(asText(value), 64)
	if err != nil {
		return ""
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// asTrue is a device's flag: hubs leave false out.
func asTrue(value any) string {
	if asText(value) == "true" {
		return "true"
	}
	return ""
}

func asAddress(value any) string {
	if a, err := netip.ParseAddr(asText(value)); err == nil {
		return a.String()
	}
	return ""
}

func asCountry(value any) string {
	if text := asText(value); len(text) == 2 {
		return strings.ToUpper(text)
	}
	return asText(value)
}

func asTokenType(value any) string {
	if asText(value) == "Primary Refresh Token" {
		return "primaryRefreshToken"
	}
	return asText(value)
}

// asInstant is a time to the nanosecond in UTC.
func asInstant(value any) string {
	text := asText(value)
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "1/2/2006 3:04:05 PM", "1/2/2006 15:04:05",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Format(time.RFC3339Nano)
		}
	}
	return ""
}

// check compares every field of a message with its rule. A field without a rule fails: nothing may be
// forgotten when the model grows.
func (rs rules) check(tb testing.TB, where string, m protoreflect.Message, record map[string]any) {
	tb.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		place := where + "." + string(field.Name())
		r, ok := rs[field.Name()]
		require.True(tb, ok, "%s has no rule", place)
		switch {
		case r.want != nil:
			require.Equal(tb, r.want(record), fieldText(m, field), place)
		case r.sub != nil && field.IsList():
			r.checkList(tb, place, m.Get(field).List(), r.value(record))
		case r.sub != nil:
			r.checkMessage(tb, place, m, field, r.value(record))
		case field.IsList():
			var want []string
			elements, _ := r.value(record).([]any)
			for _, element := range elements {
				want = append(want, asText(element))
			}
			require.Equal(tb, strings.Join(want, "|"), fieldText(m, field), place)
		case r.as != nil:
			require.Equal(tb, r.as(r.value(record)), fieldText(m, field), place)
		default:
			require.Equal(tb, asText(r.value(record)), fieldText(m, field), place)
		}
	}
}

func (r rule) checkList(tb testing.TB, place string, got protoreflect.List, value any) {
	tb.Helper()
	elements, _ := value.([]any)
	require.Equal(tb, len(elements), got.Len(), place)
	for i, element := range elements {
		object, ok := element.(map[string]any)
		require.True(tb, ok, place)
		r.sub.check(tb, fmt.Sprintf("%s[%d]", place, i), got.Get(i).Message(), object)
	}
}

// checkMessage compares a message of which the record may say nothing; then it must be absent.
func (r rule) checkMessage(tb testing.TB, place string, m protoreflect.Message, field protoreflect.FieldDescriptor, value any) {
	tb.Helper()
	object, _ := value.(map[string]any)
	said := false
	for _, sub := range r.sub {
		text := ""
		switch inner := sub.value(object); {
		case sub.want != nil:
			text = sub.want(object)
		case sub.as != nil:
			text = sub.as(inner)
		case inner != nil:
			text = asText(inner)
		}
		said = said || text != ""
	}
	require.Equal(tb, said, m.Has(field), "%s: present", place)
	if said {
		r.sub.check(tb, place, m.Get(field).Message(), object)
	}
}

// fieldText is how a field reads; an absent one is empty.
func fieldText(m protoreflect.Message, field protoreflect.FieldDescriptor) string {
	if !m.Has(field) {
		return ""
	}
	value := m.Get(field)
	switch {
	case field.IsList():
		var list []string
		for i := range value.List().Len() {
			list = append(list, value.List().Get(i).String())
		}
		return strings.Join(list, "|")
	case field.Kind() == protoreflect.EnumKind:
		return string(field.Enum().Values().ByNumber(value.Enum()).Name())
	case field.Kind() == protoreflect.DoubleKind:
		return strconv.FormatFloat(value.Float(), 'g', -1, 64)
	case field.Kind() == protoreflect.MessageKind:
		if t, ok := value.Message().Interface().(*timestamppb.Timestamp); ok {
			return t.AsTime().Format(time.RFC3339Nano)
		}
	}
	return value.String()
}
