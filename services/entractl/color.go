package entractl

import "fmt"

// Values of --color.
const (
	colorAuto   = "auto" // on a terminal, unless NO_COLOR is set (https://no-color.org)
	colorAlways = "always"
	colorNever  = "never"
)

func checkColor(value string) error {
	switch value {
	case colorAuto, colorAlways, colorNever:
		return nil
	default:
		return usageError{fmt.Errorf("--color %q must be %s, %s or %s", value, colorAuto, colorAlways, colorNever)}
	}
}

// style is how Stdout is written.
func (c *caller) style() style {
	switch c.target.color {
	case colorAlways:
		return style{colours: true}
	case colorNever:
		return style{}
	default:
		return style{colours: c.fancy() && c.getenv("NO_COLOR") == ""}
	}
}
