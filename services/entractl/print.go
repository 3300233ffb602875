package entractl

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// maxCell is the longest text in a table, in characters.
const maxCell = 40

// clean makes a text from outside safe to print: no control characters, which a terminal would obey.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

func cell(text string) string {
	text = clean(text)
	if text == "" {
		return "-"
	}
	if runes := []rune(text); len(runes) > maxCell {
		return string(runes[:maxCell-1]) + "…"
	}
	return text
}

func formatTime(t *timestamppb.Timestamp) string {
	return t.AsTime().Format("2006-01-02T15:04:05.000Z")
}

// eventJSON is the event in the JSON of protobuf, with the names of the proto files, on one line. raw
// is the record itself and not its base64.
func eventJSON(e *eventv1.Event) ([]byte, error) {
	raw := e.GetRaw()
	bare := proto.CloneOf(e)
	bare.Raw = nil
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(bare)
	if err != nil {
		return nil, fmt.Errorf("encoding event %s: %w", e.GetId(), err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return nil, fmt.Errorf("encoding event %s: %w", e.GetId(), err)
	}
	if len(raw) == 0 {
		return line.Bytes(), nil
	}
	line.Truncate(line.Len() - 1)
	if line.Len() > 1 {
		line.WriteByte(',')
	}
	line.WriteString(`"raw":`)
	before := line.Len()
	if err := json.Compact(&line, raw); err != nil {
		line.Truncate(before)
		line.WriteString(strconv.Quote(base64.StdEncoding.EncodeToString(raw)))
	}
	line.WriteByte('}')
	return line.Bytes(), nil
}

// printer writes events in one of the output formats. Close ends the output.
type printer interface {
	print(events []*eventv1.Event) error
	close() error
}

// lineJSON writes an event a line.
type lineJSON struct{ to io.Writer }

func (p lineJSON) print(events []*eventv1.Event) error {
	for _, e := range events {
		line, err := eventJSON(e)
		if err != nil {
			return err
		}
		if _, err := p.to.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func (p lineJSON) close() error { return nil }

// arrayJSON writes one indented array.
type arrayJSON struct {
	to    io.Writer
	count int
}

func (p *arrayJSON) print(events []*eventv1.Event) error {
	for _, e := range events {
		line, err := eventJSON(e)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		out.WriteString(map[bool]string{true: "[\n  ", false: ",\n  "}[p.count == 0])
		if err := json.Indent(&out, line, "  ", "  "); err != nil {
			return fmt.Errorf("encoding event %s: %w", e.GetId(), err)
		}
		p.count++
		if _, err := out.WriteTo(p.to); err != nil {
			return err
		}
	}
	return nil
}

func (p *arrayJSON) close() error {
	end := "\n]\n"
	if p.count == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(p.to, end)
	return err
}

// listYAML writes one list, or with documents set each event as a document of its own.
type listYAML struct {
	to        io.Writer
	documents bool
	count     int
}

func (p *listYAML) print(events []*eventv1.Event) error {
	for _, e := range events {
		text, err := eventJSON(e)
		if err != nil {
			return err
		}
		if !p.documents {
			text = slices.Concat([]byte{'['}, text, []byte{']'})
		} else if p.count > 0 {
			if _, err := io.WriteString(p.to, "---\n"); err != nil {
				return err
			}
		}
		p.count++
		if err := writeJSON(p.to, formatYAML, text); err != nil {
			return fmt.Errorf("encoding event %s: %w", e.GetId(), err)
		}
	}
	return nil
}

func (p *listYAML) close() error {
	if p.count > 0 || p.documents {
		return nil
	}
	_, err := io.WriteString(p.to, "[]\n")
	return err
}

func who(s *eventv1.SignIn) string {
	return first(s.GetUserPrincipalName(), s.GetUserDisplayName(), s.GetUserId(), s.GetServicePrincipalName(), s.GetServicePrincipalId())
}

func app(s *eventv1.SignIn) string {
	return first(s.GetAppDisplayName(), s.GetAppId())
}

func errorCode(s *eventv1.SignIn) string {
	if s.ErrorCode == nil || s.GetErrorCode() == 0 {
		return "-"
	}
	return strconv.FormatInt(s.GetErrorCode(), 10)
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
