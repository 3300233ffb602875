// Package demo holds a small set of synthetic records of a tenant that does not exist, one or two of
// each category, so that `make run` has something to show on a clone alone. Their times are relative
// to the time given. It reads and writes nothing.
package demo

import (
	"bytes"
	_ "embed"
	"fmt"
	"text/template"
	"time"
)

// Tenant is the directory id of the tenant that the records belong to.
const Tenant = "0b5d4e3c-0000-4000-8000-00000000de30"

//go:embed records.ndjson.tmpl
var records string

// Records returns the records as they would be in an Event Hub, one JSON object each, with times
// shortly before now and ids of their own for each millisecond of now: a record that came again with
// another time would be another fact under the same id.
func Records(now time.Time) ([][]byte, error) {
	at := func(layout string) func(string) (string, error) {
		return func(ago string) (string, error) {
			d, err := time.ParseDuration(ago)
			return now.UTC().Add(-d).Format(layout), err
		}
	}
	text, err := template.New("records").Funcs(template.FuncMap{
		"ago": at("2006-01-02T15:04:05.0000000Z"),
		// Service principal, ADFS and risk records come with times in this form.
		"us": at("1/2/2006 3:04:05 PM"),
	}).Parse(records)
	if err != nil {
		return nil, fmt.Errorf("parsing demo records: %w", err)
	}
	var out bytes.Buffer
	if err := text.Execute(&out, struct{ Tenant, Run string }{Tenant, fmt.Sprintf("%012x", now.UnixMilli())}); err != nil {
		return nil, fmt.Errorf("writing demo records: %w", err)
	}
	return bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")), nil
}
