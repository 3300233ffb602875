package tablestest

import (
	"fmt"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// Objects are kinds of objects of the directory: each that has a payload of its own once, and one that has none.
func Objects() []string {
	return []string{
		"user", "user_activity", "authentication_registration", "mailbox", "group", "group_members", "device",
		"managed_device", "application", "service_principal", "service_principal_activity", "application_owners",
		"app_role_assignment", "oauth2_grant", "role_definition", "role_assignment", "policy", "domain",
	}
}

// FilledObject returns an object of a kind with every field set but deleted, as Filled does an event.
func FilledObject(object string) *directoryv1.Object {
	o := &directoryv1.Object{}
	m := o.ProtoReflect()
	// Payloads have the names of the kinds.
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		if field.ContainingOneof() != nil && string(field.Name()) == payloadName(object) {
			m.Set(field, m.NewField(field))
		}
	}
	fill(m, "", new(int64))
	o.Object, o.Deleted = object, false
	o.Id = fmt.Sprintf("%032x", len(object))
	o.TenantId = "11111111-2222-3333-4444-555555555555"
	o.Raw = []byte(`{"object":"` + object + `"}`)
	return o
}

// Tombstone returns what is left of an object of a kind when it is gone.
func Tombstone(object string) *directoryv1.Object {
	o := FilledObject(object)
	o.Change, o.Deleted = directoryv1.Change_CHANGE_VANISHED, true
	o.Payload, o.Raw, o.Changed = nil, nil, nil
	return o
}

// payloadName is the field of the payload of a kind.
func payloadName(object string) string {
	switch object {
	case "role_schedule", "role_eligibility":
		return "role_assignment"
	case "application_owners", "service_principal_owners":
		return "owners"
	case "mailbox_rules":
		return "mailbox"
	case "directory_role":
		return "role_definition"
	case "conditional_access_policy", "named_location", "authentication_strength", "cross_tenant_partner":
		return "policy"
	default:
		return object
	}
}
