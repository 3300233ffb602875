package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// fileSuffix after the key of a Secret makes the key of the file the secret stands in.
const fileSuffix = "_file"

// field is a key of a struct with the value it sets.
type field struct {
	key       string
	value     reflect.Value
	omitEmpty bool
}

// fieldsOf returns the fields of a struct in their order, inlined ones in place.
func fieldsOf(v reflect.Value) []field {
	var fields []field
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		key, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			fields = append(fields, fieldsOf(v.Field(i))...)
		case key == "-" || !sf.IsExported():
		default:
			fields = append(fields, field{key, v.Field(i), options == "omitempty"})
		}
	}
	return fields
}

// target is something a key path sets: a value, or a Secret by way of a file.
type target struct {
	path  string
	value reflect.Value
	file  bool
}

// appendTargets adds what can be set inside v: every leaf, every list and mapping as a whole,
// and the elements lists have now.
func appendTargets(all []target, path string, v reflect.Value) []target {
	switch {
	case isStruct(v.Type()):
		for _, f := range fieldsOf(v) {
			all = appendTargets(all, path+"."+f.key, f.value)
		}
		return all
	case isSecret(v.Type()):
		all = append(all, target{path: path + fileSuffix, value: v, file: true})
	case v.Kind() == reflect.Slice && isComposite(v.Type()):
		for i := range v.Len() {
			all = appendTargets(all, path+"."+strconv.Itoa(i), v.Index(i))
		}
	}
	return append(all, target{path: path, value: v})
}

// isText reports whether a value of the type is one scalar that reads itself.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func isSecret(t reflect.Type) bool { return t == reflect.TypeFor[Secret]() }

func isStruct(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// isComposite reports whether a value of the type is more than one scalar.
func isComposite(t reflect.Type) bool {
	kind := t.Kind()
	return !isText(t) && (kind == reflect.Struct || kind == reflect.Slice || kind == reflect.Map)
}

// setText sets a scalar. The errors do not repeat the text: it may be a secret.
func setText(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := ParseDuration(text)
		v.SetInt(int64(d))
		return err
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	return setBasic(v, text)
}

func setBasic(v reflect.Value, text string) error {
	bits := 0
	if v.CanInt() || v.CanUint() || v.CanFloat() {
		bits = v.Type().Bits()
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("must be true or false")
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, bits)
		v.SetInt(n)
		return numberError(err, v)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, bits)
		v.SetUint(n)
		return numberError(err, v)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, bits)
		v.SetFloat(n)
		return numberError(err, v)
	default:
		return fmt.Errorf("cannot be set: %s", v.Type())
	}
	return nil
}

func numberError(err error, v reflect.Value) error {
	if err != nil {
		return fmt.Errorf("must be a number that fits %s", v.Type())
	}
	return nil
}
