package odata

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Match evaluates a checked filter on a JSON object. nil is true. A property that is absent compares as null. Texts are
// compared without regard to case, as Graph does. What is no JSON object matches nothing.
func Match(e Expr, object []byte) bool {
	if e == nil {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return false
	}
	return match(e, v)
}

func match(e Expr, v any) bool {
	switch e := e.(type) {
	case And:
		for _, part := range e {
			if !match(part, v) {
				return false
			}
		}
		return true
	case Or:
		for _, part := range e {
			if match(part, v) {
				return true
			}
		}
		return false
	case Any:
		elements, _ := at(v, e.Path).([]any)
		for _, element := range elements {
			if match(e.Cond, element) {
				return true
			}
		}
		return false
	case Compare:
		return compare(at(v, e.Path), e.Op, e.Literal)
	}
	return false
}

// at follows a path; "" is the value itself.
func at(v any, path string) any {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

func compare(v any, op Op, l Literal) bool {
	if v == nil || l.Kind == Null {
		equal := v == nil && l.Kind == Null
		return op == Eq && equal || op == Ne && !equal
	}
	switch v := v.(type) {
	case bool:
		return holds(cmp.Compare(strconv.FormatBool(v), l.Text), op)
	case json.Number:
		a, _ := v.Float64()
		b, err := strconv.ParseFloat(l.Text, 64)
		return err == nil && holds(cmp.Compare(a, b), op)
	case string:
		return compareText(v, op, l)
	}
	return false
}

func compareText(v string, op Op, l Literal) bool {
	if l.Kind == Time {
		at, err := time.Parse(time.RFC3339Nano, v)
		return err == nil && holds(at.Compare(l.Time), op)
	}
	v, text := strings.ToLower(v), strings.ToLower(l.Text)
	switch op {
	case StartsWith:
		return strings.HasPrefix(v, text)
	case EndsWith:
		return strings.HasSuffix(v, text)
	case Contains:
		return strings.Contains(v, text)
	}
	return holds(cmp.Compare(v, text), op)
}

func holds(order int, op Op) bool {
	switch op {
	case Eq:
		return order == 0
	case Ne:
		return order != 0
	case Gt:
		return order > 0
	case Ge:
		return order >= 0
	case Lt:
		return order < 0
	case Le:
		return order <= 0
	}
	return false
}
