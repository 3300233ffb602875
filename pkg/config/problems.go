package config

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is one fault of a config.
type Problem struct {
	// Key is the path of the key at fault, separated by dots.
	Key string
	// Text says what is wrong with it. It never holds a Secret.
	Text string
	// Origin is where the value was set, if it was: a file and line, a variable or --set.
	Origin string
}

// InvalidError is the error of a config with at least one fault.
type InvalidError struct{ Problems []Problem }

// Error has a line for each problem.
func (e *InvalidError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, problem := range e.Problems {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// Problems collects the faults of a config, so that the operator sees them all at once. The
// zero value has none. It is not safe for concurrent use.
type Problems struct{ list []Problem }

// Add notes that the key is wrong.
func (p *Problems) Add(key, format string, args ...any) {
	p.list = append(p.list, Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

// Check notes that the key is wrong unless ok.
func (p *Problems) Check(ok bool, key, format string, args ...any) {
	if !ok {
		p.Add(key, format, args...)
	}
}

// Under notes what the Validate of a part returned, with the part's key before each path.
func (p *Problems) Under(key string, err error) {
	if err == nil {
		return
	}
	invalid, ok := errors.AsType[*InvalidError](err)
	if !ok {
		p.Add(key, "%v", err)
		return
	}
	for _, problem := range invalid.Problems {
		problem.Key = strings.TrimSuffix(key+"."+problem.Key, ".")
		p.list = append(p.list, problem)
	}
}

// Err returns an *InvalidError if there is a problem, else nil.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &InvalidError{Problems: p.list}
}

func (p Problem) String() string {
	line := p.Text
	if p.Key != "" {
		line = p.Key + ": " + line
	}
	if p.Origin != "" {
		line = p.Origin + ": " + line
	}
	return line
}

// located is Err with the place where each key, or the nearest one above it, was set.
func (p *Problems) located(origins map[string]string) error {
	for i := range p.list {
		for key := p.list[i].Key; key != "" && p.list[i].Origin == ""; {
			p.list[i].Origin = origins[key]
			key = key[:max(strings.LastIndexByte(key, '.'), 0)]
		}
	}
	return p.Err()
}
