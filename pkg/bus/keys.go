package bus

import (
	"strings"

	"github.com/entraflow/entraflow/proto/subject"
)

// InboxPrefix is where answers to the user's requests go. Each user has its own and may subscribe
// to no other.
func InboxPrefix(user string) string { return "_INBOX_" + user }

// Key makes the key of a KV bucket from parts, one token each, so that keys can be watched by
// prefix. Each part is escaped: an Event Hubs consumer group named $Default is no valid key.
func Key(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		escaped[i] = subject.Escape(part)
	}
	return strings.Join(escaped, ".")
}

// ParseKey is the inverse of Key; ok is false for what Key never makes.
func ParseKey(key string) (parts []string, ok bool) {
	parts = strings.Split(key, ".")
	for i, part := range parts {
		if parts[i], ok = subject.Unescape(part); !ok {
			return nil, false
		}
	}
	return parts, true
}
