package entractl

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// style writes with colours or without.
type style struct{ colours bool }

// Colours, as a terminal is told them.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// tints are the words that tables and lines show in a colour: outcomes, states and severities.
var tints = map[string]string{
	"yes": green, "ok": green, "OK": green, "succeeded": green, "success": green, "serving": green,
	"no": yellow, "stalled": yellow, "partly succeeded": yellow, "disabled": yellow, "interrupted": yellow, "medium": yellow,
	"failed": red, "cancelled": red, "problem": red, "expired": red, "failure": red, "high": red, "revoked": red,
	"down": red, "not serving": red, "PERMISSION_DENIED": red, "UNAUTHENTICATED": red,
}

func (s style) paint(colour, text string) string {
	if !s.colours || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// table writes rows in columns, the first row as their heads. Its cells are clean and without line ends.
func (s style) table(to io.Writer, rows [][]string) error {
	return (&columns{style: s}).write(to, rows, true)
}

// columns writes rows as they come. A column is as wide as its widest cell so far.
type columns struct {
	style  style
	widths []int
}

// write writes rows; head says that the first has the heads.
func (c *columns) write(to io.Writer, rows [][]string, head bool) error {
	const gap = 2
	for _, row := range rows {
		for i, text := range row {
			if i == len(c.widths) {
				c.widths = append(c.widths, 0)
			}
			c.widths[i] = max(c.widths[i], utf8.RuneCountInString(text))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		var line strings.Builder
		pad := 0
		for i, text := range row {
			line.WriteString(strings.Repeat(" ", pad))
			colour := tints[text]
			if n == 0 && head {
				colour = bold
			}
			line.WriteString(c.style.paint(colour, text))
			pad = c.widths[i] - utf8.RuneCountInString(text) + gap
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// moment is a time in a table; "-" if it is absent.
func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Format("2006-01-02 15:04Z")
}

// count writes 1234567 as 1,234,567.
func count(n uint64) string {
	const group = 3
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%group == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plural is "1 row", "2 rows".
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// span writes a duration as people say it: 45s, 3m, 2h05m, 3d4h.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(n time.Duration) string {
		if n < 10 {
			return "0" + strconv.Itoa(int(n))
		}
		return strconv.Itoa(int(n))
	}
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(max(d, 0)/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m" + two(d%time.Minute/time.Second) + "s"
	case d < day:
		return strconv.Itoa(int(d/time.Hour)) + "h" + two(d%time.Hour/time.Minute) + "m"
	default:
		return strconv.Itoa(int(d/day)) + "d" + strconv.Itoa(int(d%day/time.Hour)) + "h"
	}
}
