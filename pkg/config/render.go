package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// hashLength is the number of hex digits of a Hash: enough to tell configs apart in a log.
const hashLength = 12

// Render returns the sections as the YAML that Load reads, complete, secrets redacted.
func Render(sections ...Section) (string, error) { return marshal(tree(sections)) }

// RenderDiff returns the keys of the sections that differ from those of the same place in
// defaults, secrets redacted.
func RenderDiff(defaults, sections []Section) (string, error) {
	return marshal(subtract(tree(sections), tree(defaults)))
}

// Hash names a rendered config. Secrets have no part in it, so it betrays nothing of them.
func Hash(rendered string) string {
	sum := sha256.Sum256([]byte(rendered))
	return hex.EncodeToString(sum[:])[:hashLength]
}

func marshal(m yaml.MapSlice) (string, error) {
	text, err := yaml.MarshalWithOptions(m, yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("rendering config: %w", err)
	}
	return string(text), nil
}

func tree(sections []Section) yaml.MapSlice {
	var m yaml.MapSlice
	for _, s := range sections {
		m = append(m, yaml.MapItem{Key: s.Name, Value: plain(reflect.ValueOf(s.Config).Elem())})
	}
	return m
}

// plain turns a config value into what YAML writes as Load reads it.
func plain(v reflect.Value) any {
	if d, ok := reflect.TypeAssert[time.Duration](v); ok {
		return FormatDuration(d)
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		return plainText(m)
	}
	switch {
	case isStruct(v.Type()):
		m := yaml.MapSlice{}
		for _, f := range fieldsOf(v) {
			if f.omitEmpty && f.value.IsZero() {
				continue
			}
			m = append(m, yaml.MapItem{Key: f.key, Value: plain(f.value)})
		}
		return m
	case v.Kind() == reflect.Map:
		return plainMap(v)
	case v.Kind() == reflect.Slice:
		list := make([]any, 0, v.Len())
		for i := range v.Len() {
			list = append(list, plain(v.Index(i)))
		}
		return list
	default:
		return v.Interface()
	}
}

// plainText keeps a value that cannot be written visible instead of failing the whole.
func plainText(m encoding.TextMarshaler) string {
	text, err := m.MarshalText()
	if err != nil {
		return fmt.Sprintf("[%v]", err)
	}
	return string(text)
}

func plainMap(v reflect.Value) yaml.MapSlice {
	m := yaml.MapSlice{}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, key := range keys {
		m = append(m, yaml.MapItem{Key: key.String(), Value: plain(v.MapIndex(key))})
	}
	return m
}

// subtract returns what in m is not the same in other.
func subtract(m, other yaml.MapSlice) yaml.MapSlice {
	was := map[any]any{}
	for _, item := range other {
		was[item.Key] = item.Value
	}
	rest := yaml.MapSlice{}
	for _, item := range m {
		if reflect.DeepEqual(item.Value, was[item.Key]) {
			continue
		}
		part, isMap := item.Value.(yaml.MapSlice)
		before, wasMap := was[item.Key].(yaml.MapSlice)
		if isMap && wasMap {
			item.Value = subtract(part, before)
		}
		rest = append(rest, item)
	}
	return rest
}
