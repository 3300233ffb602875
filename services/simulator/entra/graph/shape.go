package graph

import (
	"bytes"
	"slices"

	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
)

// shape says what of an object's members is sent. The zero shape sends all as they are.
type shape struct {
	// keep are the members sent, nil for all; drop those that are not.
	keep, drop []string
	// future are values that are sent as unknownFutureValue.
	future []futureValues
	// replace are JSON values to send in place of the object's.
	replace map[string]string
}

const unknownFutureValue = `"unknownFutureValue"`

// append writes an object in this shape. What is no JSON object is written as it is.
func (s *shape) append(to *bytes.Buffer, object []byte) {
	if s.keep == nil && s.drop == nil && len(s.replace) == 0 {
		s.copy(to, object)
		return
	}
	to.WriteByte('{')
	written := 0
	jsonwalk.Members(object, func(key, value []byte) {
		if s.keep != nil && !contains(s.keep, key) || contains(s.drop, key) {
			return
		}
		if written > 0 {
			to.WriteByte(',')
		}
		written++
		to.WriteByte('"')
		to.Write(key)
		to.WriteString(`":`)
		to.Write(s.value(key, value))
	})
	to.WriteByte('}')
}

// span is where a value begins and ends.
type span struct{ begin, end int }

// copy writes an object with nothing but its future values changed. It looks for the few members that have such
// values instead of walking through all, which takes twice as long as making the record.
func (s *shape) copy(to *bytes.Buffer, object []byte) {
	var found [8]span
	spans := found[:0]
	for _, f := range s.future {
		if i := bytes.Index(object, f.prefix); i >= 0 {
			begin := i + len(f.prefix) - 1
			end := jsonwalk.TextEnd(object, begin)
			if slices.Contains(f.values, string(object[begin:end])) {
				spans = append(spans, span{begin, end})
			}
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.begin - b.begin })
	at := 0
	for _, one := range spans {
		to.Write(object[at:one.begin])
		to.WriteString(unknownFutureValue)
		at = one.end
	}
	to.Write(object[at:])
}

func (s *shape) value(key, value []byte) []byte {
	if replaced, ok := s.replace[string(key)]; ok {
		return []byte(replaced)
	}
	for _, f := range s.future {
		if f.key == string(key) && slices.Contains(f.values, string(value)) {
			return []byte(unknownFutureValue)
		}
	}
	return value
}

func contains(names []string, key []byte) bool {
	return slices.Contains(names, string(key))
}
