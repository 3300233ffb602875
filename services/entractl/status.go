package entractl

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func newStatus(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "status", Short: "Say how the product is: what it depends on, and its streams",
		Long: "Says what the gateway depends on, how full the streams of the bus are, and how much of them each service has not read.\n" +
			"`entractl health` has an exit code for programs.",
		Example: "  entractl status\n  entractl status -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			return c.onSystem(func(s controlv1.SystemServiceClient) error {
				answer, err := call(cmd.Context(), c, s.GetStatus, &controlv1.GetStatusRequest{})
				switch {
				case err != nil:
					return err
				case f != formatTable:
					return writeMessage(c.Stdout, f, answer)
				}
				return c.style().status(c.Stdout, answer, time.Now())
			})
		},
	}
	addFormat(cmd, &output)
	return cmd
}

// status writes the whole of it; sections without rows are left out.
func (s style) status(to io.Writer, answer *controlv1.GetStatusResponse, now time.Time) error {
	var head pairs
	head.add("Gateway", answer.GetVersion())
	if start := answer.GetStartTime(); start != nil {
		head.add("Up for", span(now.Sub(start.AsTime())))
	}
	if _, err := io.WriteString(to, head.text()); err != nil {
		return err
	}
	for _, rows := range [][][]string{
		dependencyRows(answer.GetDependencies()), streamRows(answer.GetStreams()), readerRows(answer.GetStreams()),
	} {
		if len(rows) < 2 { // the heads alone
			continue
		}
		fmt.Fprintln(to)
		if err := s.table(to, rows); err != nil {
			return err
		}
	}
	return nil
}

func dependencyRows(all []*controlv1.Dependency) [][]string {
	rows := [][]string{{"NEEDS", "STATE", "PROBLEM"}}
	for _, d := range all {
		state := "down"
		if d.GetUp() {
			state = "ok"
		}
		rows = append(rows, []string{cell(d.GetName()), state, first(clean(d.GetProblem()), "-")})
	}
	return rows
}

func streamRows(all []*controlv1.StreamStatus) [][]string {
	rows := [][]string{{"STREAM", "FULL", "SIZE", "MESSAGES", "OLDEST", "NEWEST"}}
	for _, x := range all {
		full, size := "-", byteCount(x.GetBytes())
		if x.GetMaxBytes() > 0 {
			full = gauge(float64(x.GetBytes()) / float64(x.GetMaxBytes()))
			size += " of " + byteCount(x.GetMaxBytes())
		}
		rows = append(rows, []string{cell(x.GetName()), full, size, count(x.GetMessages()), moment(x.GetFirstTime()), moment(x.GetLastTime())})
	}
	return rows
}

func readerRows(all []*controlv1.StreamStatus) [][]string {
	rows := [][]string{{"STREAM", "READER", "UNREAD", "MESSAGES", "UNSETTLED"}}
	for _, x := range all {
		for _, r := range x.GetReaders() {
			share := 0.0
			if x.GetMessages() > 0 {
				share = float64(r.GetUnread()) / float64(x.GetMessages())
			}
			rows = append(rows, []string{cell(x.GetName()), cell(r.GetName()), gauge(share), count(r.GetUnread()), count(r.GetUnacknowledged())})
		}
	}
	return rows
}

// gauge is a share as a bar and a number. What is not nothing is not shown as nothing.
func gauge(share float64) string {
	const width = 20
	share = min(max(share, 0), 1)
	full := int(math.Round(share * width))
	if share > 0 {
		full = max(full, 1)
	}
	percent := fmt.Sprintf("%3.0f%%", share*100)
	if share > 0 && share < 0.01 {
		percent = " <1%"
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "] " + percent
}

// byteCount writes a size as people say it: 1.2 GiB.
func byteCount(n uint64) string {
	const step = 1024
	size, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for size >= step && unit < len(units)-1 {
		size /= step
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}
