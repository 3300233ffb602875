package entractl

import (
	"fmt"
	"strings"
)

// pairs are lines of a title and a text each, in two columns.
type pairs struct{ all [][2]string }

// add adds a line, which is left out if its text is empty.
func (p *pairs) add(title, text string) {
	if text = clean(text); text != "" {
		p.all = append(p.all, [2]string{title, text})
	}
}

func (p *pairs) text() string {
	width := 0
	for _, line := range p.all {
		width = max(width, len(line[0]))
	}
	var b strings.Builder
	for _, line := range p.all {
		fmt.Fprintf(&b, "%-*s  %s\n", width, line[0], line[1])
	}
	return b.String()
}
