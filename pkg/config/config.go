// Package config loads what the operator sets: one YAML file with a section for each service,
// over it ENTRAFLOW_ environment variables, over them --set flags.
//
// It reads the file, the environment given to it and the files that secrets stand in. It is
// strict: what it does not know is an error with its place and key path, never ignored. It
// writes nothing, and never shows a Secret.
package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// envPrefix begins the name of every environment variable that Load reads.
const envPrefix = "ENTRAFLOW_"

// setFlag is the origin of what a flag sets.
const setFlag = "--set"

// Section is a top-level mapping of the file and where it is decoded to.
type Section struct {
	// Name is the section's key, snake_case.
	Name string
	// Config points to a struct that holds the defaults. Every exported field has a tag
	// `yaml:"key"`, `yaml:",inline"` or `yaml:"-"`; fields are structs, slices, maps with
	// string keys, encoding.TextUnmarshalers, time.Durations and basic types.
	// If it is a Validator it is validated once everything is set.
	Config any
}

// Validator is a config that can judge itself. Validate returns the error of a Problems that
// names every fault by its key, relative to the config.
type Validator interface{ Validate() error }

// Defaulter is an element of a slice or map in a config that has defaults of its own. The
// method has a pointer receiver and is called before the element is decoded.
type Defaulter interface{ SetDefaults() }

// Source is where settings come from, in ascending precedence.
type Source struct {
	// File is the path of the YAML file; none if empty.
	File string
	// Env has the form of os.Environ. ENTRAFLOW_<SECTION>_<KEY>_<KEY> sets a key, where the
	// keys are in upper case; a number picks an element of a list that exists.
	Env []string
	// Set has entries of the form section.key.key=value. The value of a list or mapping is
	// YAML in flow style.
	Set []string
	// Exclusive makes a section of the file that was not asked for an error. Without it the
	// file may hold the sections of other services.
	Exclusive bool
}

// Report is what Load found remarkable, but no fault.
type Report struct {
	// UnknownEnv are the variables that begin like one of a section and name no key of it.
	// They are no error: Kubernetes sets ENTRAFLOW_<SERVICE>_PORT and others by itself.
	UnknownEnv []string
}

// Load fills the sections from src and validates them. The error holds every fault found:
// it is an *InvalidError, unless the file could not be read or a config has a wrong shape,
// ErrShape.
func Load(src Source, sections ...Section) (Report, error) {
	if err := checkSections(sections); err != nil {
		return Report{}, err
	}
	l := loader{sections: sections, origins: map[string]string{}}
	if src.File != "" {
		if err := l.readFile(src.File, src.Exclusive); err != nil {
			return Report{}, err
		}
	}
	report := Report{UnknownEnv: l.readEnv(src.Env)}
	l.readSet(src.Set)
	if l.problems.Err() == nil {
		l.validate()
	}
	return report, l.problems.located(l.origins)
}

// loader gathers the faults of one Load and where each value came from.
type loader struct {
	sections []Section
	problems Problems
	origins  map[string]string // key path → "file.yaml:12", setFlag or a variable's name
}

func (l *loader) readFile(path string, exclusive bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading config: %w", err)
	}
	d := decoder{loader: l, place: path, lines: true}
	d.document(text, exclusive)
	return nil
}

// readEnv applies the variables in the order of their names, so that a list is set before
// its elements, and returns those it does not know.
func (l *loader) readEnv(env []string) []string {
	var unknown []string
	for _, entry := range slices.Sorted(slices.Values(env)) {
		name, value, _ := strings.Cut(entry, "=")
		if !l.hasSection(name) {
			continue
		}
		if t, ok := l.findEnv(name); ok {
			l.set(t, value, name)
		} else {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func (l *loader) readSet(entries []string) {
	for _, entry := range entries {
		path, value, ok := strings.Cut(entry, "=")
		if !ok {
			l.fault(entry, setFlag, "needs the form key.path=value")
			continue
		}
		all := l.targets()
		i := slices.IndexFunc(all, func(t target) bool { return t.path == path })
		if i < 0 {
			l.fault(path, setFlag, "unknown key")
			continue
		}
		l.set(all[i], value, setFlag)
	}
}

func (l *loader) set(t target, text, origin string) {
	l.origins[t.path] = origin
	if t.file {
		l.origins[strings.TrimSuffix(t.path, fileSuffix)] = origin
		l.readSecret(t, text, origin)
		return
	}
	if isComposite(t.value.Type()) {
		d := decoder{loader: l, place: origin}
		d.text(text, t.path, t.value)
		return
	}
	if err := setText(t.value, text); err != nil {
		l.fault(t.path, origin, "%v", err)
	}
}

func (l *loader) fault(path, origin, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.problems.list = append(l.problems.list, Problem{Key: path, Text: text, Origin: origin})
}

func (l *loader) validate() {
	for _, s := range l.sections {
		if v, ok := s.Config.(Validator); ok {
			l.problems.Under(s.Name, v.Validate())
		}
	}
}

func (l *loader) hasSection(envName string) bool {
	return slices.ContainsFunc(l.sections, func(s Section) bool {
		return strings.HasPrefix(envName, envOf(s.Name)+"_")
	})
}

func (l *loader) findEnv(name string) (target, bool) {
	for _, t := range l.targets() {
		if envOf(t.path) == name {
			return t, true
		}
	}
	return target{}, false
}

// envOf returns the name of the variable that sets the key at path.
func envOf(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// targets lists what can be set by a key path, as the configs are now.
func (l *loader) targets() []target {
	var all []target
	for _, s := range l.sections {
		all = appendTargets(all, s.Name, reflect.ValueOf(s.Config).Elem())
	}
	return all
}

func (l *loader) readSecret(t target, path, origin string) {
	secret, err := ReadSecret(path)
	if err != nil {
		l.fault(t.path, origin, "%v", err)
		return
	}
	t.value.Set(reflect.ValueOf(secret))
}
