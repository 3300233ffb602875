package config

import (
	"errors"
	"fmt"
	"reflect"
)

// ErrShape is the error of Load if a config cannot be set by keys: a fault of the program,
// not of its operator.
var ErrShape = errors.New("config has a wrong shape")

// checkSections finds mistakes a service would otherwise meet as a key that cannot be set.
func checkSections(sections []Section) error {
	for _, s := range sections {
		t := reflect.TypeOf(s.Config)
		if t == nil || t.Kind() != reflect.Pointer || !isStruct(t.Elem()) {
			return fmt.Errorf("%w: %s must point to a struct", ErrShape, s.Name)
		}
		if err := checkType(s.Name, t.Elem()); err != nil {
			return err
		}
	}
	l := loader{sections: sections}
	paths := map[string]string{}
	for _, t := range l.targets() {
		name := envOf(t.path)
		if other, ok := paths[name]; ok {
			return fmt.Errorf("%w: %s and %s share %s", ErrShape, other, t.path, name)
		}
		paths[name] = t.path
	}
	return nil
}

func checkType(path string, t reflect.Type) error {
	if isText(t) {
		return nil
	}
	switch kind := t.Kind(); {
	case kind == reflect.Struct:
		return checkStruct(path, t)
	case kind == reflect.Map && t.Key().Kind() != reflect.String:
		return fmt.Errorf("%w: %s must have string keys", ErrShape, path)
	case kind == reflect.Map || kind == reflect.Slice:
		return checkType(path, t.Elem())
	case kind == reflect.String || kind >= reflect.Bool && kind <= reflect.Float64 && kind != reflect.Uintptr:
		return nil
	default:
		return fmt.Errorf("%w: %s cannot be a %s", ErrShape, path, t)
	}
}

func checkStruct(path string, t reflect.Type) error {
	for _, f := range fieldsOf(reflect.New(t).Elem()) {
		if f.key == "" {
			return fmt.Errorf("%w: a field of %s has no yaml tag", ErrShape, path)
		}
		if err := checkType(path+"."+f.key, f.value.Type()); err != nil {
			return err
		}
	}
	return nil
}
