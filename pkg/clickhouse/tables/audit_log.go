package tables

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// NewAuditLog returns the table audit_log.
func NewAuditLog() *Table[*controlv1.AuditEntry] {
	return &Table[*controlv1.AuditEntry]{
		name: AuditLog, sources: auditLogColumns(),
		compare: func(a, b Row[*controlv1.AuditEntry]) int {
			return cmp.Or(
				cmp.Compare(unixMilli(a.Message.GetTime()), unixMilli(b.Message.GetTime())),
				strings.Compare(a.Message.GetId(), b.Message.GetId()),
			)
		},
	}
}

func auditLogColumns() []source[*controlv1.AuditEntry] {
	type entry = controlv1.AuditEntry
	e := partOf(func(e *entry) *entry { return e })
	return []source[*entry]{
		e.time("time", (*entry).GetTime),
		e.text("id", (*entry).GetId),
		scalar("stored_at", typeTime, func(r *Row[*entry]) int64 { return r.StoredAt.UnixMilli() }),
		scalar("stream_sequence", typeUint, func(r *Row[*entry]) uint64 { return r.Sequence }),
		e.text("action", (*entry).GetAction),
		e.text("actor", (*entry).GetActor),
		e.text("actor_display_name", (*entry).GetActorDisplayName),
		e.text("credential", func(e *entry) string { return enumText(e.GetCredential(), credentialPrefix) }),
		e.text("api_token", (*entry).GetApiToken),
		e.text("role", func(e *entry) string { return enumText(e.GetRole(), rolePrefix) }),
		e.text("tenant_id", (*entry).GetTenantId),
		e.texts("tenant_ids", (*entry).GetTenantIds),
		e.text("target", (*entry).GetTarget),
		e.texts("changed", (*entry).GetChanged),
		e.text("code", (*entry).GetCode),
		e.text("reason", (*entry).GetReason),
		e.address("ip", (*entry).GetAddress),
		e.text("address", (*entry).GetAddress),
		e.text("transport", (*entry).GetTransport),
		e.text("user_agent", (*entry).GetUserAgent),
		e.text("request_id", (*entry).GetRequestId),
	}
}

// AuditEntryColumns is the SELECT list that ScanAuditEntry reads, of audit_log.
const AuditEntryColumns = "toUnixTimestamp64Milli(time), id, action, actor, actor_display_name, credential, api_token, role," +
	" tenant_id, tenant_ids, target, changed, code, reason, address, transport, user_agent, request_id"

// ScanAuditEntry reads the columns of AuditEntryColumns: the entry as it was published, its time in whole milliseconds.
func ScanAuditEntry(rows driver.Rows) (*controlv1.AuditEntry, error) {
	var (
		e                = &controlv1.AuditEntry{}
		at               int64
		credential, role string
	)
	if err := rows.Scan(&at, &e.Id, &e.Action, &e.Actor, &e.ActorDisplayName, &credential, &e.ApiToken, &role,
		&e.TenantId, &e.TenantIds, &e.Target, &e.Changed, &e.Code, &e.Reason, &e.Address, &e.Transport, &e.UserAgent, &e.RequestId); err != nil {
		return nil, fmt.Errorf("reading audit entry: %w", err)
	}
	e.Time = timestamppb.New(time.UnixMilli(at))
	e.Credential = controlv1.CredentialKind(enumNumber(credential, credentialPrefix, controlv1.CredentialKind_value))
	e.Role = controlv1.Role(enumNumber(role, rolePrefix, controlv1.Role_value))
	return e, nil
}

const (
	credentialPrefix = "CREDENTIAL_KIND_"
	rolePrefix       = "ROLE_"
	unspecified      = "UNSPECIFIED"
)

// enumText is a value's name in lower case without the prefix, empty for the unspecified one. A value that this
// program does not know yet is its number.
func enumText(value fmt.Stringer, prefix string) string {
	name := strings.TrimPrefix(value.String(), prefix)
	if name == unspecified {
		return ""
	}
	return strings.ToLower(name)
}

// enumNumber is the value that enumText has the text of; the unspecified one for what is none.
func enumNumber(text, prefix string, values map[string]int32) int32 {
	if number, ok := values[prefix+strings.ToUpper(text)]; ok {
		return number
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int32(number)
}
