package subject_test

import (
	"strings"
	"testing"

	"github.com/entraflow/entraflow/proto/subject"
)

func TestEscape(t *testing.T) {
	// Golden: subjects are stored in streams and permission files; these never change.
	for value, want := range map[string]string{
		"":                                     "_",
		"_":                                    "=5F",
		"__":                                   "__",
		"signin":                               "signin",
		"75243ab2-44f8-435c-a7a6-b479385df6d4": "75243ab2-44f8-435c-a7a6-b479385df6d4",
		"$Default":                             "=24Default",
		"a.b":                                  "a=2Eb",
		"a*b>c d":                              "a=2Ab=3Ec=20d",
		"=":                                    "=3D",
		"é":                                    "=C3=A9",
	} {
		if got := subject.Escape(value); got != want {
			t.Errorf("Escape(%q) = %q, want %q", value, got, want)
		}
		if back, ok := subject.Unescape(want); !ok || back != value {
			t.Errorf("Unescape(%q) = %q, %t, want %q", want, back, ok, value)
		}
	}
	for _, token := range []string{"", "=", "=5", "=zz", "=5f", "a.b", "=61"} {
		if value, ok := subject.Unescape(token); ok {
			t.Errorf("Unescape(%q) = %q, want it refused", token, value)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("tenant-1")
	f.Add("a.b*c>")
	f.Fuzz(func(t *testing.T, value string) {
		token := subject.Escape(value)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n/$") {
			t.Fatalf("Escape(%q) = %q is no single token", value, token)
		}
		if back, ok := subject.Unescape(token); !ok || back != value {
			t.Fatalf("Unescape(%q) = %q, %t, want %q", token, back, ok, value)
		}
	})
}
