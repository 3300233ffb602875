package odata

import (
	"slices"
	"strings"
	"time"
)

// Property says how a property can be filtered by.
type Property struct {
	Kind Kind
	Ops  []Op
	// Ignored comparisons are accepted and always true.
	Ignored []Op
}

// Schema is what a collection can be filtered by. Keys are paths; those of collections are written path/any, or
// path/any/member.
type Schema struct {
	// Type names the entity in errors: microsoft.graph.signIn.
	Type       string
	Properties map[string]Property
}

// Check refuses what the collection cannot be filtered by and times before oldest, with an *Error, and returns the
// filter with ignored comparisons taken out; nil then means everything. Property names are matched in their case.
func (s Schema) Check(e Expr, oldest time.Time) (Expr, error) { return s.check(e, "", oldest) }

func (s Schema) check(e Expr, collection string, oldest time.Time) (Expr, error) {
	switch e := e.(type) {
	case And:
		parts, err := s.parts(e, collection, oldest)
		parts = slices.DeleteFunc(parts, func(e Expr) bool { return e == nil })
		if err != nil || len(parts) == 0 {
			return nil, err
		}
		return And(parts), nil
	case Or:
		parts, err := s.parts(e, collection, oldest)
		if err != nil || slices.Contains(parts, nil) {
			return nil, err
		}
		return Or(parts), nil
	case Any:
		cond, err := s.check(e.Cond, e.Path, oldest)
		if err != nil || cond == nil {
			return nil, err
		}
		return Any{Path: e.Path, Cond: cond}, nil
	case Compare:
		return s.compare(e, collection, oldest)
	}
	return nil, syntaxError("empty")
}

func (s Schema) parts(all []Expr, collection string, oldest time.Time) ([]Expr, error) {
	parts := make([]Expr, len(all))
	for i, e := range all {
		part, err := s.check(e, collection, oldest)
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	return parts, nil
}

func (s Schema) compare(c Compare, collection string, oldest time.Time) (Expr, error) {
	key := c.Path
	if collection != "" {
		key = strings.TrimSuffix(collection+"/any/"+c.Path, "/")
	}
	property, ok := s.Properties[key]
	if !ok {
		name := strings.TrimSuffix(strings.Replace(key, "/any", "", 1), "/")
		return nil, syntaxError("Could not find a property named '%s' on type '%s'.", name, s.Type)
	}
	switch {
	case property.Kind == Time && c.Literal.Kind != Time,
		property.Kind != Time && c.Literal.Kind == Time,
		property.Kind == Number && c.Literal.Kind != Number,
		property.Kind == Bool && c.Literal.Kind != Bool,
		property.Kind == String && c.Literal.Kind != String && c.Literal.Kind != Null:
		return nil, &Error{Text: "Invalid filter clause"}
	case slices.Contains(property.Ignored, c.Op):
		return nil, nil
	case !slices.Contains(property.Ops, c.Op):
		return nil, syntaxError("The operator '%s' is not supported for the property '%s'.", c.Op, key)
	case property.Kind == Time && c.Literal.Time.Before(oldest):
		return nil, &Error{Text: "Invalid filter clause"}
	}
	return c, nil
}

// Window returns the smallest range of times of a property, both ends included, outside of which e cannot be true, and
// whether e says nothing but that range. A zero time is no bound. resolution is the distance between two times of the
// property, for gt and lt.
func Window(e Expr, path string, resolution time.Duration) (from, to time.Time, exact bool) {
	switch e := e.(type) {
	case And:
		exact = true
		for _, part := range e {
			f, t, whole := Window(part, path, resolution)
			exact = exact && whole
			from, to = later(from, f), earlier(to, t)
		}
		return from, to, exact
	case Or:
		for i, part := range e {
			f, t, _ := Window(part, path, resolution)
			if i == 0 {
				from, to = f, t
				continue
			}
			from, to = union(from, f, time.Time.Before), union(to, t, time.Time.After)
		}
		return from, to, false
	case Compare:
		return compareWindow(e, path, resolution)
	}
	return time.Time{}, time.Time{}, e == nil
}

func compareWindow(c Compare, path string, resolution time.Duration) (from, to time.Time, exact bool) {
	if c.Path != path || c.Literal.Kind != Time {
		return time.Time{}, time.Time{}, false
	}
	at := c.Literal.Time
	switch c.Op {
	case Eq:
		return at, at, true
	case Ge:
		return at, time.Time{}, true
	case Gt:
		return at.Add(resolution), time.Time{}, true
	case Le:
		return time.Time{}, at, true
	case Lt:
		return time.Time{}, at.Add(-resolution), true
	}
	return time.Time{}, time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if a.IsZero() || b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// union keeps the outer of two bounds; none at all is the outermost.
func union(a, b time.Time, outer func(time.Time, time.Time) bool) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if outer(b, a) {
		return b
	}
	return a
}
