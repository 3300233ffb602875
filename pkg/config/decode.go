package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decoder puts the nodes of one text into configs and notes the faults in its loader. It works
// on the syntax tree, because the library's own strict mode stops at the first fault and does
// not say its key path.
type decoder struct {
	loader *loader
	place  string // a file, "--set" or the name of a variable
	lines  bool   // whether the place has lines worth naming
}

// document decodes a whole file. Where sections are there but none is ours, the likely reason
// is a misspelled name.
func (d *decoder) document(text []byte, exclusive bool) {
	root := d.parse(text, "")
	if root == nil {
		return
	}
	var found bool
	var others []*ast.MappingValueNode
	for _, entry := range d.entries(root, "") {
		section := d.section(keyOf(entry))
		if section == nil {
			others = append(others, entry)
			continue
		}
		found = true
		d.node(entry.Value, section.Name, reflect.ValueOf(section.Config).Elem())
	}
	if !exclusive && (found || len(others) == 0) {
		return
	}
	for _, entry := range others {
		d.fault(entry, keyOf(entry), "unknown section; known are %s", d.sectionNames())
	}
}

// text decodes YAML that stands in a variable or flag.
func (d *decoder) text(text, path string, v reflect.Value) {
	if root := d.parse([]byte(text), path); root != nil {
		d.node(root, path, v)
	}
}

// parse returns nil if there is nothing to decode. It drops the library's excerpt of the
// source from an error: a secret may stand there.
func (d *decoder) parse(text []byte, path string) ast.Node {
	file, err := parser.ParseBytes(text, 0)
	var syntax yaml.Error
	switch {
	case errors.As(err, &syntax):
		line := syntax.GetToken().Position.Line
		d.loader.fault(path, d.origin(line), "is no YAML: %s", syntax.GetMessage())
	case err != nil:
		d.loader.fault(path, d.place, "is no YAML")
	case len(file.Docs) > 1:
		d.loader.fault(path, d.place, "must hold one YAML document")
	case len(file.Docs) == 1 && file.Docs[0].Body != nil:
		return file.Docs[0].Body
	}
	return nil
}

func (d *decoder) node(n ast.Node, path string, v reflect.Value) {
	d.loader.origins[path] = d.originOf(n)
	if n.Type() == ast.NullType {
		d.null(n, path, v)
		return
	}
	switch {
	case isStruct(v.Type()):
		d.structure(n, path, v)
	case isComposite(v.Type()) && v.Kind() == reflect.Map:
		d.mapping(n, path, v)
	case isComposite(v.Type()):
		d.sequence(n, path, v)
	default:
		d.scalar(n, path, v)
	}
}

// null is a key without a value: a section without keys, an empty list, else a slip.
func (d *decoder) null(n ast.Node, path string, v reflect.Value) {
	if !isComposite(v.Type()) {
		d.fault(n, path, "has no value")
		return
	}
	if !isStruct(v.Type()) {
		v.SetZero()
	}
}

func (d *decoder) structure(n ast.Node, path string, v reflect.Value) {
	fields := map[string]reflect.Value{}
	var known []string
	for _, f := range fieldsOf(v) {
		fields[f.key] = f.value
		known = append(known, f.key)
	}
	set := map[string]bool{}
	for _, entry := range d.entries(n, path) {
		key := keyOf(entry)
		at := path + "." + key
		name, isFile := fieldOf(fields, key)
		switch {
		case name == "":
			d.fault(entry, at, "unknown key; known are %s", strings.Join(known, ", "))
		case set[name]:
			d.fault(entry, at, "must not be set together with its file")
		case isFile:
			d.secretFile(entry.Value, at, fields[name])
		default:
			d.node(entry.Value, at, fields[name])
		}
		set[name] = true
	}
}

// fieldOf returns the name of the field the key sets, and whether by way of a file.
func fieldOf(fields map[string]reflect.Value, key string) (name string, isFile bool) {
	if fields[key].IsValid() {
		return key, false
	}
	base := strings.TrimSuffix(key, fileSuffix)
	if v := fields[base]; v.IsValid() && isSecret(v.Type()) {
		return base, true
	}
	return "", false
}

func (d *decoder) secretFile(n ast.Node, path string, v reflect.Value) {
	text, ok := scalarText(n)
	if !ok {
		d.fault(n, path, "must be the path of a file")
		return
	}
	d.loader.set(target{path: path, value: v, file: true}, text, d.originOf(n))
}

func (d *decoder) mapping(n ast.Node, path string, v reflect.Value) {
	made := reflect.MakeMap(v.Type())
	for _, entry := range d.entries(n, path) {
		element := newElement(v.Type())
		d.node(entry.Value, path+"."+keyOf(entry), element)
		made.SetMapIndex(reflect.ValueOf(keyOf(entry)).Convert(v.Type().Key()), element)
	}
	v.Set(made)
}

func (d *decoder) sequence(n ast.Node, path string, v reflect.Value) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fault(n, path, "must be a list")
		return
	}
	made := reflect.MakeSlice(v.Type(), 0, len(list.Values))
	for i, value := range list.Values {
		element := newElement(v.Type())
		d.node(value, fmt.Sprintf("%s.%d", path, i), element)
		made = reflect.Append(made, element)
	}
	v.Set(made)
}

func newElement(container reflect.Type) reflect.Value {
	element := reflect.New(container.Elem())
	if d, ok := reflect.TypeAssert[Defaulter](element); ok {
		d.SetDefaults()
	}
	return element.Elem()
}

func (d *decoder) scalar(n ast.Node, path string, v reflect.Value) {
	text, ok := scalarText(n)
	if !ok {
		d.fault(n, path, "must be a single value")
		return
	}
	if err := setText(v, text); err != nil {
		d.fault(n, path, "%v", err)
	}
}

// scalarText returns a scalar as it is written: 007 stays 007 for a string.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// entries returns the pairs of a mapping; anchors, aliases and merge keys are no part of our
// files, so they are faults like every other node that is no mapping.
func (d *decoder) entries(n ast.Node, path string) []*ast.MappingValueNode {
	mapping, ok := n.(ast.MapNode)
	if !ok || n.Type() == ast.AliasType {
		d.fault(n, path, "must be a mapping of keys to values")
		return nil
	}
	var entries []*ast.MappingValueNode
	for iter := mapping.MapRange(); iter.Next(); {
		entries = append(entries, iter.KeyValue())
	}
	return entries
}

func keyOf(entry *ast.MappingValueNode) string { return entry.Key.GetToken().Value }

func (d *decoder) section(name string) *Section {
	for i, s := range d.loader.sections {
		if s.Name == name {
			return &d.loader.sections[i]
		}
	}
	return nil
}

func (d *decoder) sectionNames() string {
	var names []string
	for _, s := range d.loader.sections {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

func (d *decoder) fault(n ast.Node, path, format string, args ...any) {
	d.loader.fault(path, d.originOf(n), format, args...)
}

func (d *decoder) originOf(n ast.Node) string { return d.origin(n.GetToken().Position.Line) }

func (d *decoder) origin(line int) string {
	if !d.lines {
		return d.place
	}
	return fmt.Sprintf("%s:%d", d.place, line)
}
