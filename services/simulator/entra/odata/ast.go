// Package odata reads the parts of OData's $filter that Microsoft Graph's log and directory collections accept, checks
// them against what a collection can filter by, and evaluates them on records. It is pure: text and bytes in, values
// out. The grammar is that of reference pages signin-list and directoryaudit-list, not the whole of OData.
package odata

import "time"

// Op is a comparison.
type Op string

// The comparisons of the grammar.
const (
	Eq Op = "eq"
	Ne Op = "ne"
	Gt Op = "gt"
	Ge Op = "ge"
	Lt Op = "lt"
	Le Op = "le"
	// StartsWith, EndsWith and Contains are functions in the text: startsWith(path,'x').
	StartsWith Op = "startswith"
	EndsWith   Op = "endswith"
	Contains   Op = "contains"
)

// Kind is the type of a literal or of a property.
type Kind int

// The kinds. A quoted date is a String: Graph refuses it where a Time is due.
const (
	String Kind = iota
	Number
	Bool
	Time
	Null
)

// Literal is a constant of a filter.
type Literal struct {
	Kind Kind
	// Text is the literal without its quotes.
	Text string
	// Time is set if Kind is Time.
	Time time.Time
}

// Expr is a node of a filter: And, Or, Compare or Any.
type Expr interface{ isExpr() }

// And is true if all of its parts are.
type And []Expr

// Or is true if one of its parts is.
type Or []Expr

// Compare compares a property with a literal. Path is the names between slashes; inside Any a path is
// that of the element, and empty for the element itself.
type Compare struct {
	Path    string
	Op      Op
	Literal Literal
}

// Any is true if its condition holds for one element of the collection at Path.
type Any struct {
	Path string
	Cond Expr
}

func (And) isExpr()     {}
func (Or) isExpr()      {}
func (Compare) isExpr() {}
func (Any) isExpr()     {}

// Comparisons calls yield for every comparison of e; prefix is the path of the collection for those inside Any.
func Comparisons(e Expr, yield func(collection string, c Compare)) { comparisons(e, "", yield) }

func comparisons(e Expr, collection string, yield func(string, Compare)) {
	switch e := e.(type) {
	case And:
		for _, part := range e {
			comparisons(part, collection, yield)
		}
	case Or:
		for _, part := range e {
			comparisons(part, collection, yield)
		}
	case Any:
		comparisons(e.Cond, e.Path, yield)
	case Compare:
		yield(collection, e)
	}
}
