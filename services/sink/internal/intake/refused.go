package intake

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
)

// ReasonRowRefused is the reason of a message whose row ClickHouse will never take.
const ReasonRowRefused = "row_refused"

// maxDetail bounds the text of a dead letter in bytes.
const maxDetail = 1024

// quoted are the values in a message of ClickHouse.
var quoted = regexp.MustCompile(`'(?:[^'\\]|\\.)*'`)

// detail is what a person may know of an error: no part of the record.
func detail(err error) string {
	text := "a value does not fit its column"
	if exception, ok := errors.AsType[*ch.Exception](err); ok {
		message, _, _ := strings.Cut(exception.Message, "Column values:")
		message = quoted.ReplaceAllString(message, "'…'")
		text = fmt.Sprintf("code %d: %s", exception.Code, strings.TrimSpace(message))
	}
	text = "ClickHouse refuses the row (" + text + "). Replay it once the table takes it."
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "")
	}
	return text
}
