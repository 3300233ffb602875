package subscribe

import (
	"slices"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/proto/subject"
)

// maxSubjects bounds the filter subjects of a consumer: the server compares each message with all.
const maxSubjects = 250

// selection chooses events by kind and tenant; an empty list chooses all.
type selection struct {
	kinds, tenants []string
	// kindTokens and tenantTokens are the same as subjects have them.
	kindTokens, tenantTokens []string
}

func newSelection(kinds, tenants []string) selection {
	kinds, tenants = slices.Clone(kinds), slices.Clone(tenants)
	slices.Sort(kinds)
	slices.Sort(tenants)
	s := selection{kinds: slices.Compact(kinds), tenants: slices.Compact(tenants)}
	s.kindTokens, s.tenantTokens = tokens(s.kinds), tokens(s.tenants)
	return s
}

func tokens(values []string) []string {
	escaped := make([]string, 0, len(values))
	for _, value := range values {
		escaped = append(escaped, subject.Escape(value))
	}
	slices.Sort(escaped)
	return escaped
}

// mayInclude tells by the subject, before anybody reads the message.
func (s selection) mayInclude(e *entry) bool {
	return includes(s.kindTokens, e.kind) && includes(s.tenantTokens, e.tenant)
}

// subjects returns what a consumer filters by. It lets through all that is chosen, and where the
// combinations are too many, more: events go through includes too.
func (s selection) subjects() []string {
	kinds, tenants := s.kinds, s.tenants
	if len(kinds)*len(tenants) > maxSubjects {
		if len(kinds) < len(tenants) {
			tenants = nil
		} else {
			kinds = nil
		}
	}
	if len(kinds) == 0 {
		kinds = []string{""}
	}
	if len(tenants) == 0 {
		tenants = []string{""}
	}
	subjects := make([]string, 0, len(kinds)*len(tenants))
	for _, kind := range kinds {
		for _, tenant := range tenants {
			subjects = append(subjects, eventv1.EventFilter(kind, tenant))
		}
	}
	return subjects
}

func (s selection) includes(e *eventv1.Event) bool {
	return includes(s.kinds, e.GetKind()) && includes(s.tenants, e.GetTenantId())
}

func includes(chosen []string, value string) bool {
	if len(chosen) == 0 {
		return true
	}
	_, found := slices.BinarySearch(chosen, value)
	return found
}
