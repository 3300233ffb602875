package odata

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of a filter; Graph's own are not published.
const (
	maxTokens = 1000
	maxDepth  = 50
)

// Error is a filter that cannot be used. Its text is what Graph shows to the client.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

func syntaxError(format string, args ...any) error {
	return &Error{Text: "Invalid filter clause: " + fmt.Sprintf(format, args...)}
}

// Parse reads the value of $filter, percent-decoding done. Its errors are *Error.
func Parse(text string) (Expr, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	e, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, syntaxError("Syntax error at '%s'", p.tokens[p.at].text)
	}
	return e, nil
}

type parser struct {
	tokens []token
	at     int
	// variable is that of the lambda around, "" outside.
	variable string
}

func (p *parser) peek() token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return token{}
}

func (p *parser) next() token {
	t := p.peek()
	p.at++
	return t
}

// accept takes the next token if it is text, in whatever case.
func (p *parser) accept(text string) bool {
	t := p.peek()
	if t.quoted || !strings.EqualFold(t.text, text) || t.text == "" {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(text string) error {
	if !p.accept(text) {
		return syntaxError("'%s' expected at '%s'", text, p.peek().text)
	}
	return nil
}

func (p *parser) or(depth int) (Expr, error) {
	return p.list(depth, "or", p.and, func(parts []Expr) Expr { return Or(parts) })
}

func (p *parser) and(depth int) (Expr, error) {
	return p.list(depth, "and", p.primary, func(parts []Expr) Expr { return And(parts) })
}

// list reads parts with a word between; a single part stands for itself.
func (p *parser) list(depth int, between string, part func(int) (Expr, error), join func([]Expr) Expr) (Expr, error) {
	if depth > maxDepth {
		return nil, syntaxError("The filter is nested more than %d deep", maxDepth)
	}
	var parts []Expr
	for {
		e, err := part(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
		if !p.accept(between) {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return join(parts), nil
}

func (p *parser) primary(depth int) (Expr, error) {
	if p.accept("(") {
		e, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	}
	t := p.next()
	if t.quoted || t.text == "" || !isName(t.text) {
		return nil, syntaxError("A property is expected at '%s'", t.text)
	}
	if p.peek().text != "(" || p.peek().quoted {
		return p.compare(t.text)
	}
	p.at++
	if collection, ok := strings.CutSuffix(t.text, "/any"); ok {
		return p.any(collection, depth)
	}
	return p.call(t.text)
}

func (p *parser) compare(path string) (Expr, error) {
	path, err := p.resolve(path)
	if err != nil {
		return nil, err
	}
	op := Op(strings.ToLower(p.next().text))
	switch op {
	case Eq, Ne, Gt, Ge, Lt, Le:
	default:
		return nil, syntaxError("'%s' is no operator", op)
	}
	literal, err := p.literal()
	return Compare{Path: path, Op: op, Literal: literal}, err
}

func (p *parser) call(name string) (Expr, error) {
	op := Op(strings.ToLower(name))
	if op != StartsWith && op != EndsWith && op != Contains {
		return nil, syntaxError("An unknown function with name '%s' was found", name)
	}
	path, err := p.resolve(p.next().text)
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	literal, err := p.literal()
	if err != nil {
		return nil, err
	}
	if literal.Kind != String {
		return nil, syntaxError("The function '%s' needs a string", name)
	}
	return Compare{Path: path, Op: op, Literal: literal}, p.expect(")")
}

// any reads the rest of path/any(v: condition).
func (p *parser) any(collection string, depth int) (Expr, error) {
	if p.variable != "" {
		return nil, syntaxError("A lambda inside a lambda is not supported")
	}
	variable := p.next()
	if variable.quoted || !isName(variable.text) || strings.Contains(variable.text, "/") {
		return nil, syntaxError("A lambda's variable is expected at '%s'", variable.text)
	}
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	p.variable = variable.text
	cond, err := p.or(depth + 1)
	p.variable = ""
	if err != nil {
		return nil, err
	}
	return Any{Path: collection, Cond: cond}, p.expect(")")
}

// resolve makes a path inside a lambda relative to its element.
func (p *parser) resolve(path string) (string, error) {
	if !isName(path) {
		return "", syntaxError("A property is expected at '%s'", path)
	}
	if p.variable == "" {
		return path, nil
	}
	if path == p.variable {
		return "", nil
	}
	inner, ok := strings.CutPrefix(path, p.variable+"/")
	if !ok {
		return "", syntaxError("'%s' is not the lambda's variable '%s'", path, p.variable)
	}
	return inner, nil
}

func (p *parser) literal() (Literal, error) {
	t := p.next()
	switch {
	case t.quoted:
		return Literal{Kind: String, Text: t.text}, nil
	case t.text == "true" || t.text == "false":
		return Literal{Kind: Bool, Text: t.text}, nil
	case t.text == "null":
		return Literal{Kind: Null}, nil
	}
	if _, err := strconv.ParseFloat(t.text, 64); err == nil && t.text[0] != '+' {
		return Literal{Kind: Number, Text: t.text}, nil
	}
	if at, ok := ParseTime(t.text); ok {
		return Literal{Kind: Time, Text: t.text, Time: at}, nil
	}
	if isGUID(t.text) {
		return Literal{Kind: String, Text: t.text}, nil
	}
	return Literal{}, syntaxError("Syntax error at '%s'", t.text)
}

// ParseTime reads an Edm.DateTimeOffset as Graph does: a date, or a date and time with Z or an offset, the seconds and
// up to seven digits of their fraction optional.
func ParseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '@'
		other := c >= '0' && c <= '9' || c == '/' || c == '.'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return s != ""
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
			return false
		}
	}
	return true
}
