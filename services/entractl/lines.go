package entractl

import (
	"fmt"
	"io"
	"slices"
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// eventLines writes an event a line, for people.
type eventLines struct {
	to    io.Writer
	style style
}

func (p eventLines) print(events []*eventv1.Event) error {
	for _, e := range events {
		_, err := fmt.Fprintf(p.to, "%s  %-14s  %s  %s\n",
			formatTime(e.GetOccurredAt()), clean(e.GetKind()), clean(e.GetTenantId()), p.style.summary(e))
		if err != nil {
			return err
		}
	}
	return nil
}

func (p eventLines) close() error { return nil }

// summary is what a person wants to know of an event first.
func (s style) summary(e *eventv1.Event) string {
	parts := summary(e)
	for i, part := range parts {
		part = clean(part)
		parts[i] = s.paint(tints[part], part)
	}
	return strings.Join(parts, "  ")
}

func summary(e *eventv1.Event) []string {
	var parts []string
	switch p := e.GetPayload().(type) {
	case *eventv1.Event_SignIn:
		s := p.SignIn
		parts = []string{typeName(s.GetType()), who(s), app(s), s.GetIpAddress(), s.GetLocation().GetCountry(), s.GetOutcome()}
		if s.GetErrorCode() != 0 {
			parts = append(parts, errorCode(s))
		}
	case *eventv1.Event_Audit:
		a := p.Audit
		parts = []string{a.GetActivity(), a.GetResult(), first(a.GetInitiator().GetUserPrincipalName(), a.GetInitiator().GetAppDisplayName())}
		for _, target := range a.GetTargets() {
			parts = append(parts, first(target.GetUserPrincipalName(), target.GetDisplayName(), target.GetId()))
		}
	case *eventv1.Event_RiskDetection:
		r := p.RiskDetection
		parts = []string{r.GetRiskEventType(), r.GetRiskLevel(), r.GetRiskState(), r.GetUserPrincipalName(), r.GetIpAddress()}
	case *eventv1.Event_RiskyUser:
		r := p.RiskyUser
		parts = []string{first(r.GetUserPrincipalName(), r.GetUserId()), r.GetRiskLevel(), r.GetRiskState()}
	case *eventv1.Event_Provisioning:
		parts = []string{p.Provisioning.GetAction(), p.Provisioning.GetStatus()}
	case *eventv1.Event_Other:
		parts = []string{e.GetCategory(), p.Other.GetOperation(), p.Other.GetResult()}
	}
	return slices.DeleteFunc(parts, func(text string) bool { return text == "" })
}
