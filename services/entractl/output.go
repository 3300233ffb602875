package entractl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// format is how a result is written: formatTable, formatJSON or formatYAML, and events also as formatLines.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
	formatLines format = "ndjson"
)

// addFormat gives a command the flag -o.
func addFormat(cmd *cobra.Command, f *string) {
	cmd.Flags().StringVarP(f, "output", "o", string(formatTable), "table, json or yaml")
	complete(cmd, "output", string(formatTable), string(formatJSON), string(formatYAML))
}

// addEventFormat gives a command that writes events the flag -o.
func addEventFormat(cmd *cobra.Command, f *string) {
	cmd.Flags().StringVarP(f, "output", "o", string(formatTable), "table, json, yaml or ndjson: an object a line")
	complete(cmd, "output", string(formatTable), string(formatJSON), string(formatYAML), string(formatLines))
}

func errEventFormat(text string) error {
	return usageError{fmt.Errorf("-o %q must be table, json, yaml or ndjson", text)}
}

func parseFormat(text string) (format, error) {
	switch f := format(text); f {
	case formatTable, formatJSON, formatYAML:
		return f, nil
	default:
		return "", usageError{fmt.Errorf("-o %q must be table, json or yaml", text)}
	}
}

// writeMessage writes a message in the JSON of protobuf, with the names of the proto files, or the same as YAML.
func writeMessage(to io.Writer, f format, m proto.Message) error {
	text, err := messageJSON(m)
	if err != nil {
		return err
	}
	return writeJSON(to, f, text)
}

// writeMessages writes messages as one list.
func writeMessages[M proto.Message](to io.Writer, f format, all []M) error {
	var list bytes.Buffer
	list.WriteByte('[')
	for i, m := range all {
		if i > 0 {
			list.WriteByte(',')
		}
		text, err := messageJSON(m)
		if err != nil {
			return err
		}
		list.Write(text)
	}
	list.WriteByte(']')
	return writeJSON(to, f, list.Bytes())
}

// writeValue writes what is no message of the API; its texts are clean.
func writeValue(to io.Writer, f format, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %T: %w", value, err)
	}
	return writeJSON(to, f, text)
}

func messageJSON(m proto.Message) ([]byte, error) {
	m = proto.Clone(m)
	cleanMessage(m.ProtoReflect())
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return text, nil
}

func writeJSON(to io.Writer, f format, text []byte) error {
	var out bytes.Buffer
	if f == formatYAML {
		lines, err := yaml.JSONToYAML(text)
		if err != nil {
			return fmt.Errorf("encoding YAML: %w", err)
		}
		out.Write(lines)
	} else {
		if err := json.Indent(&out, text, "", "  "); err != nil {
			return fmt.Errorf("encoding JSON: %w", err)
		}
		out.WriteByte('\n')
	}
	_, err := out.WriteTo(to)
	return err
}

// cleanMessage makes each text of a message safe to print: neither JSON nor YAML escapes all that a terminal obeys.
func cleanMessage(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			// No message that is printed has one.
		case field.IsList():
			list := value.List()
			for i := range list.Len() {
				if cleaned, ok := cleanValue(field, list.Get(i)); ok {
					list.Set(i, cleaned)
				}
			}
		default:
			if cleaned, ok := cleanValue(field, value); ok {
				m.Set(field, cleaned)
			}
		}
		return true
	})
}

// cleanValue returns the clean text of a text; it cleans a message in place and returns false.
func cleanValue(field protoreflect.FieldDescriptor, value protoreflect.Value) (protoreflect.Value, bool) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(clean(value.String())), true
	case protoreflect.MessageKind:
		cleanMessage(value.Message())
	}
	return value, false
}
