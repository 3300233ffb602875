// Package expression filters events by expressions in CEL that clients write.
//
// It turns a text into a Filter, and a Filter and an event into yes, no or an error: it reads and writes nothing.
// What a text can cost is bounded before it runs and again while it does; see the limits of Compiler.
package expression

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Limits of a filter.
const (
	// MaxLength is how many characters an expression may have: what the rule of SubscribeRequest.filter says.
	MaxLength = 4096
	// maxNesting is how deep an expression may be nested, maxNodes how many parts it may have.
	maxNesting = 50
	maxNodes   = 5000
	// maxLoops is how many loops (exists, all, map, filter) may be inside each other.
	maxLoops = 2
	// maxPattern bounds what a regular expression becomes: CEL's are RE2's, so that they take linear time.
	maxPattern = 2000
	// MaxCost is what evaluating an expression for one event may cost, in CEL's units: a field, a comparison, or
	// ten characters read are one. It is some milliseconds at most.
	MaxCost = 10_000
	// Strings and lists of an event are taken to be no longer when a cost is estimated. Longer ones may
	// make an evaluation fail.
	longString, longList = 256, 16
	// zoneCost is what it costs to look up a time zone by its name.
	zoneCost = 500
	// Counting costs takes longer than most evaluations. It is left out for events of at most smallEvent bytes
	// where the estimate for the largest of these is within MaxCost: a string of such an event has no more
	// characters, and an element of a list takes two bytes at least.
	smallEvent, smallList = 4096, smallEvent / 2
	variable              = "event"
)

var errNotBool = errors.New("evaluating filter: not true or false")

func eventType() *types.Type { return types.NewObjectType("entraflow.event.v1.Event") }

// Compiler makes filters. It is safe for concurrent use and does not change.
type Compiler struct{ env *cel.Env }

// NewCompiler returns a compiler for expressions over the variable event, an entraflow.event.v1.Event. They have CEL's
// standard library and its extensions for strings and network addresses.
func NewCompiler() (*Compiler, error) {
	env, err := cel.NewCustomEnv(
		cel.StdLib(), ext.Strings(ext.StringsVersion(5)), ext.Network(), //nolint:mnd // the version with costs
		cel.Types(&eventv1.Event{}), cel.Container("entraflow.event.v1"), cel.Variable(variable, eventType()),
		cel.ParserRecursionLimit(maxNesting), cel.ParserExpressionSizeLimit(MaxLength), cel.ExpressionNodeLimit(maxNodes),
		cel.ParserErrorRecoveryLimit(1), cel.DefaultUTCTimeZone(true), cel.RegexProgramSizeLimit(maxPattern),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(maxLoops), rules{},
		),
		cel.CostEstimatorOptions(zoneEstimates()...),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing filters: %w", err)
	}
	return &Compiler{env}, nil
}

// Compile returns the filter that the text says. The error is an *InvalidError.
func (c *Compiler) Compile(text string) (*Filter, error) {
	checked, issues := c.env.Compile(text)
	if issues.Err() != nil {
		return nil, invalid(issues)
	}
	if !checked.OutputType().IsExactType(types.BoolType) {
		return nil, &InvalidError{fmt.Sprintf("must be true or false for an event, and is a %s: compare it with something",
			cel.FormatCELType(checked.OutputType()))}
	}
	cost, err := c.env.EstimateCost(checked, sizes{text: longString, list: longList})
	if err != nil {
		return nil, &InvalidError{"cannot be estimated: say it in a simpler way"}
	}
	if cost.Max > MaxCost {
		return nil, &InvalidError{fmt.Sprintf("may cost %d for one event, and at most %d is allowed: "+
			"loop over fewer lists, or match fewer or shorter texts", cost.Max, MaxCost)}
	}
	filter := &Filter{}
	filter.counted, err = c.env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost), cel.CostTrackerOptions(zoneCosts()...))
	if err != nil {
		return nil, &InvalidError{"cannot be evaluated: " + clean(err.Error())}
	}
	cost, err = c.env.EstimateCost(checked, sizes{text: smallEvent, list: smallList, strict: true})
	if err == nil && cost.Max <= MaxCost {
		filter.quick, err = c.env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	}
	if err != nil {
		return nil, &InvalidError{"cannot be evaluated: " + clean(err.Error())}
	}
	return filter, nil
}

// Filter is a compiled expression. It is safe for concurrent use.
type Filter struct {
	counted cel.Program
	quick   cel.Program // nil: costs always have to be counted
}

// Matches reports whether the expression is true for the event, whose encoding has size bytes or fewer. It fails if the
// expression does: for a missing key, a division by zero, or a cost beyond MaxCost. It does not change the
// event, whose raw bytes are not for filters: Compile refuses expressions that name them.
func (f *Filter) Matches(event *eventv1.Event, size int) (bool, error) {
	program := f.counted
	if f.quick != nil && size <= smallEvent {
		program = f.quick
	}
	value, _, err := program.Eval(activation{event})
	if err != nil {
		return false, fmt.Errorf("evaluating filter: %w", err)
	}
	yes, ok := value.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(yes), nil
}

// activation gives the event to a program without a map.
type activation struct{ event *eventv1.Event }

func (a activation) ResolveName(name string) (any, bool) { return a.event, name == variable }

func (activation) Parent() interpreter.Activation { return nil }

// sizes estimates what an event holds: at most text characters in a string, and list elements in a list. Of what
// an expression makes it says the same, unless strict: then it does not know.
type sizes struct {
	text, list uint64
	strict     bool
}

func (s sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if s.strict && len(node.Path()) == 0 {
		return nil
	}
	switch node.Type().Kind() {
	case types.ListKind, types.MapKind:
		return &checker.SizeEstimate{Max: s.list}
	default:
		return &checker.SizeEstimate{Max: s.text}
	}
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// zoned are the functions that take the name of a time zone, which CEL would count as one: Go reads files for it.
func zoned() []string {
	return []string{
		overloads.TimestampToYearWithTz, overloads.TimestampToMonthWithTz, overloads.TimestampToDayOfYearWithTz,
		overloads.TimestampToDayOfMonthZeroBasedWithTz, overloads.TimestampToDayOfMonthOneBasedWithTz,
		overloads.TimestampToDayOfWeekWithTz, overloads.TimestampToHoursWithTz, overloads.TimestampToMinutesWithTz,
		overloads.TimestampToSecondsWithTz, overloads.TimestampToMillisecondsWithTz,
	}
}

func zoneEstimates() []checker.CostOption {
	var options []checker.CostOption
	for _, overload := range zoned() {
		options = append(options, checker.OverloadCostEstimate(overload,
			func(checker.CostEstimator, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
				return &checker.CallEstimate{CostEstimate: checker.FixedCostEstimate(zoneCost)}
			}))
	}
	return options
}

func zoneCosts() []interpreter.CostTrackerOption {
	var options []interpreter.CostTrackerOption
	for _, overload := range zoned() {
		options = append(options, interpreter.OverloadCostTracker(overload, func([]ref.Val, ref.Val) *uint64 {
			return new(uint64(zoneCost))
		}))
	}
	return options
}

// rules are ours beyond CEL's.
type rules struct{}

// Name implements cel.ASTValidator.
func (rules) Name() string { return "entraflow.filter" }

// Validate implements cel.ASTValidator.
func (rules) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	for _, e := range ast.MatchDescendants(ast.NavigateAST(a), ast.AllMatcher()) {
		switch e.Kind() {
		case ast.SelectKind:
			field := e.AsSelect().FieldName()
			if (field == "raw" || field == "raw_blob") && a.GetType(e.AsSelect().Operand().ID()).IsExactType(eventType()) {
				issues.ReportErrorAtID(e.ID(), "event.%s is not there for filters: use the other fields of the event", field)
			}
		case ast.CallKind:
			call := e.AsCall()
			// A pattern that is not there yet would be compiled for each event.
			if call.FunctionName() == overloads.Matches && call.Args()[len(call.Args())-1].Kind() != ast.LiteralKind {
				issues.ReportErrorAtID(e.ID(), "the pattern of matches must be written out")
			}
		default:
		}
	}
}
