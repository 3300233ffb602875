package entractl

import (
	"io"
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// pagedTable writes events in columns, which a later page may widen but never narrows.
type pagedTable struct {
	to      io.Writer
	columns columns
	heads   []string
	row     func(*eventv1.Event) []string // of clean cells
	headed  bool                          // the heads were written
}

func (p *pagedTable) print(events []*eventv1.Event) error {
	var rows [][]string
	head := !p.headed
	if head {
		rows = append(rows, p.heads)
	}
	for _, e := range events {
		rows = append(rows, p.row(e))
	}
	p.headed = true
	return p.columns.write(p.to, rows, head)
}

func (p *pagedTable) close() error { return nil }

// newSignInTable writes sign-ins.
func newSignInTable(to io.Writer, style style) *pagedTable {
	return &pagedTable{
		to: to, columns: columns{style: style},
		heads: []string{"TIME", "TYPE", "USER", "APP", "IP", "COUNTRY", "OUTCOME", "ERROR"},
		row: func(e *eventv1.Event) []string {
			s := e.GetSignIn()
			return []string{
				formatTime(e.GetOccurredAt()), typeName(s.GetType()), cell(who(s)), cell(app(s)), cell(s.GetIpAddress()),
				cell(s.GetLocation().GetCountry()), cell(s.GetOutcome()), errorCode(s),
			}
		},
	}
}

// eventColumn is a column of a table of events.
type eventColumn struct {
	head string
	of   func(*eventv1.Event) string
}

// newEventTable writes events of one kind.
func newEventTable(to io.Writer, style style, kind string) *pagedTable {
	all := eventColumns(kind)
	heads := []string{"TIME"}
	for _, c := range all {
		heads = append(heads, c.head)
	}
	return &pagedTable{
		to: to, columns: columns{style: style}, heads: heads,
		row: func(e *eventv1.Event) []string {
			row := []string{formatTime(e.GetOccurredAt())}
			for _, c := range all {
				row = append(row, cell(c.of(e)))
			}
			return row
		},
	}
}

// eventColumns are what a person wants to know first of the events of a kind.
func eventColumns(kind string) []eventColumn {
	switch kind {
	case "audit":
		return []eventColumn{
			{"ACTIVITY", func(e *eventv1.Event) string { return e.GetAudit().GetActivity() }},
			{"RESULT", func(e *eventv1.Event) string { return e.GetAudit().GetResult() }},
			{"BY", func(e *eventv1.Event) string { return auditor(e.GetAudit().GetInitiator()) }},
			{"TARGETS", func(e *eventv1.Event) string { return targets(e.GetAudit()) }},
		}
	case "risk_detection":
		return []eventColumn{
			{"TYPE", func(e *eventv1.Event) string { return e.GetRiskDetection().GetRiskEventType() }},
			{"LEVEL", func(e *eventv1.Event) string { return e.GetRiskDetection().GetRiskLevel() }},
			{"STATE", func(e *eventv1.Event) string { return e.GetRiskDetection().GetRiskState() }},
			{"USER", func(e *eventv1.Event) string {
				return first(e.GetRiskDetection().GetUserPrincipalName(), e.GetRiskDetection().GetUserId())
			}},
			{"IP", func(e *eventv1.Event) string { return e.GetRiskDetection().GetIpAddress() }},
		}
	case "risky_user":
		return []eventColumn{
			{"USER", func(e *eventv1.Event) string {
				return first(e.GetRiskyUser().GetUserPrincipalName(), e.GetRiskyUser().GetUserId())
			}},
			{"LEVEL", func(e *eventv1.Event) string { return e.GetRiskyUser().GetRiskLevel() }},
			{"STATE", func(e *eventv1.Event) string { return e.GetRiskyUser().GetRiskState() }},
		}
	case "provisioning":
		return []eventColumn{
			{"ACTION", func(e *eventv1.Event) string { return e.GetProvisioning().GetAction() }},
			{"STATUS", func(e *eventv1.Event) string { return e.GetProvisioning().GetStatus() }},
			{"SOURCE", func(e *eventv1.Event) string { return identity(e.GetProvisioning().GetSourceIdentity()) }},
			{"TARGET", func(e *eventv1.Event) string { return identity(e.GetProvisioning().GetTargetIdentity()) }},
		}
	default:
		return []eventColumn{
			{"CATEGORY", (*eventv1.Event).GetCategory},
			{"OPERATION", func(e *eventv1.Event) string { return e.GetOther().GetOperation() }},
			{"RESULT", func(e *eventv1.Event) string { return e.GetOther().GetResult() }},
		}
	}
}

func auditor(i *eventv1.AuditInitiator) string {
	return first(i.GetUserPrincipalName(), i.GetUserDisplayName(), i.GetUserId(), i.GetAppDisplayName(), i.GetAppId(), i.GetServicePrincipalId())
}

func targets(a *eventv1.Audit) string {
	var names []string
	for _, target := range a.GetTargets() {
		names = append(names, first(target.GetUserPrincipalName(), target.GetDisplayName(), target.GetId()))
	}
	return strings.Join(names, ", ")
}

func identity(i *eventv1.ProvisionedIdentity) string { return first(i.GetDisplayName(), i.GetId()) }
