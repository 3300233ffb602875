// Package records reads files of log records as people keep them (NDJSON, or JSON with one record, an array or a
// "records" array) and puts records together into messages as Azure's diagnostic settings do. It reads the files it
// is given, keeps each record's bytes as they are, and writes nothing.
package records

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// maxLineBytes bounds one line; Event Hubs carries 20 MiB at most.
	maxLineBytes = 32 << 20
	// maxDocumentBytes is the size up to which a .json file is taken as one document; above, it is read by lines.
	maxDocumentBytes = 64 << 20
)

// ErrNoFiles says that a folder holds no record file.
var ErrNoFiles = errors.New("no .json, .ndjson or .jsonl file")

// Record is one record, or a line that is not JSON.
type Record struct {
	// Data is valid until the callback returns.
	Data []byte
	// Raw tells that Data is not JSON.
	Raw bool
}

// Files returns path itself if it is a file, else the record files in the folder, by name. It returns ErrNoFiles.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("finding record files: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("finding record files: %w", err)
	}
	var files []string
	for _, e := range entries {
		extension := strings.ToLower(filepath.Ext(e.Name()))
		if !e.IsDir() && slices.Contains([]string{".json", ".ndjson", ".jsonl"}, extension) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrNoFiles)
	}
	return files, nil
}

// EachOfFile calls yield for each record of a file, in order, and stops at its first error. A .json file may be one
// document; others are read by lines, of which empty ones are no records.
func EachOfFile(file string, yield func(Record) error) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening record file: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	if strings.EqualFold(filepath.Ext(file), ".json") {
		return EachOfDocument(f, yield)
	}
	return eachLine(f, yield)
}

// EachOfDocument calls yield for each record of a JSON document or, if the text is none, of its lines.
func EachOfDocument(f io.Reader, yield func(Record) error) error {
	data, err := io.ReadAll(io.LimitReader(f, maxDocumentBytes+1))
	if err != nil {
		return fmt.Errorf("reading record file: %w", err)
	}
	if len(data) <= maxDocumentBytes && json.Valid(data) {
		return split(bytes.TrimSpace(data), yield)
	}
	return eachLine(io.MultiReader(bytes.NewReader(data), f), yield)
}

func eachLine(r io.Reader, yield func(Record) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		var err error
		switch {
		case len(line) == 0:
		case json.Valid(line):
			err = split(line, yield)
		default:
			err = yield(Record{Data: line, Raw: true})
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading record file by lines: %w", err)
	}
	return nil
}

// split yields the elements of an array or of an object's "records", else the document itself.
func split(document []byte, yield func(Record) error) error {
	var elements []json.RawMessage
	switch {
	case document[0] == '[':
		if err := json.Unmarshal(document, &elements); err != nil {
			return fmt.Errorf("reading array of records: %w", err)
		}
	case envelope(document):
		var e struct {
			Records []json.RawMessage `json:"records"`
		}
		if err := json.Unmarshal(document, &e); err != nil || e.Records == nil {
			return yield(Record{Data: document})
		}
		elements = e.Records
	default:
		return yield(Record{Data: document})
	}
	for _, element := range elements {
		if err := yield(Record{Data: element}); err != nil {
			return err
		}
	}
	return nil
}

// envelope tells cheaply whether a valid JSON text is an object whose first key is "records".
func envelope(document []byte) bool {
	rest, isObject := bytes.CutPrefix(document, []byte("{"))
	return isObject && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"records"`))
}
