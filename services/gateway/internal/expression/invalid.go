package expression

import (
	"fmt"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
)

const (
	// shownErrors and shownLength bound what a client reads of what is wrong.
	shownErrors = 3
	shownLength = 500
)

// InvalidError is the error of a text that is no filter. Error says where and why, and goes on after the
// field's name.
type InvalidError struct{ description string }

func (e *InvalidError) Error() string { return e.description }

func invalid(issues *cel.Issues) *InvalidError {
	var texts []string
	for _, e := range issues.Errors() {
		if len(texts) == shownErrors {
			break
		}
		text := clean(strings.ReplaceAll(e.Message, " (in container 'entraflow.event.v1')", ""))
		if e.Location.Line() > 0 {
			text = fmt.Sprintf("line %d, column %d: %s", e.Location.Line(), max(e.Location.Column()+1, 1), text)
		}
		texts = append(texts, text)
	}
	return &InvalidError{"is no CEL expression over event (cel.dev): " + strings.Join(texts, "; ")}
}

// clean makes one line of a text, of bounded length.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	runes := []rune(strings.TrimSpace(text))
	if len(runes) > shownLength {
		return string(runes[:shownLength]) + "…"
	}
	return string(runes)
}
