package entractl

import (
	"fmt"
	"io"
	"slices"
	"strings"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// report writes the result of a test for a person. off are the data types that the person turned off.
func (s style) report(to io.Writer, r *controlv1.ConnectionReport, off []string) error {
	var b strings.Builder
	headline, colour := clean(r.GetHeadline()), green
	if !r.GetConnected() {
		colour = red
		headline = first(headline, "Not connected")
	}
	b.WriteString(s.paint(colour, first(headline, "Connected!")))
	if tenant := tenantText(r); tenant != "" {
		b.WriteString("  " + tenant)
	}
	b.WriteByte('\n')
	if p := r.GetProblem(); p != nil {
		b.WriteString(problemLines(p))
	}
	for _, list := range []struct {
		title string
		items []string
	}{{"Licences seen: ", r.GetLicences()}, {"Permissions in the token: ", r.GetPermissions()}} {
		if len(list.items) > 0 {
			for _, line := range fold(list.title+clean(strings.Join(list.items, ", ")), lineWidth) {
				b.WriteString(line + "\n")
			}
		}
	}
	if _, err := io.WriteString(to, b.String()); err != nil {
		return err
	}
	if err := s.dataTypeReports(to, r.GetDataTypes(), off); err != nil {
		return err
	}
	return s.actionReports(to, r.GetActions())
}

func tenantText(r *controlv1.ConnectionReport) string {
	name, domain := clean(r.GetTenantDisplayName()), clean(r.GetTenantDomain())
	if name != "" && domain != "" {
		return name + " (" + domain + ")"
	}
	return first(name, domain)
}

// problemLines says a problem with all there is to it.
func problemLines(p *controlv1.Problem) string {
	text := problemText(p) + "\n"
	if remedy := clean(p.GetRemedy()); remedy != "" {
		text += "What helps: " + remedy + "\n"
	}
	if id := clean(p.GetRequestId()); id != "" {
		text += "Microsoft's request id: " + id + "\n"
	}
	return text
}

// dataTypeReports writes what will be collected and what not and why.
func (s style) dataTypeReports(to io.Writer, all []*controlv1.DataTypeReport, off []string) error {
	if len(all) == 0 {
		return nil
	}
	var help remedies
	rows := [][]string{{"DATA TYPE", "COLLECTED", "WHAT IT IS", "WHY NOT"}}
	for _, d := range all {
		id, why := d.GetDataType(), availabilityText(d)
		collected := d.GetEnabled() && !slices.Contains(off, id)
		switch {
		case collected && why != "":
			why = "you confirmed what the test did not see: " + why
		case collected:
		case slices.Contains(off, id):
			why = "turned off"
		case why == "":
			why = "turned off"
		}
		if why != "" && why != "turned off" {
			help.add(id, d.GetProblem())
		}
		rows = append(rows, []string{cell(id), yesNo(collected), cell(d.GetTitle()), why})
	}
	if _, err := io.WriteString(to, "\n"); err != nil {
		return err
	}
	if err := s.table(to, rows); err != nil {
		return err
	}
	_, err := io.WriteString(to, help.text())
	return err
}

// actionReports writes which remediations the consent allows.
func (s style) actionReports(to io.Writer, all []*controlv1.ActionReport) error {
	if len(all) == 0 {
		return nil
	}
	rows := [][]string{{"ACTION", "ALLOWED", "MISSING"}}
	for _, a := range all {
		missing := slices.Clone(a.GetMissingPermissions())
		if licence := a.GetMissingLicence(); licence != "" {
			missing = append(missing, "licence "+licence)
		}
		rows = append(rows, []string{cell(a.GetAction()), yesNo(a.GetAllowed()), clean(strings.Join(missing, ", "))})
	}
	if _, err := io.WriteString(to, "\n"); err != nil {
		return err
	}
	return s.table(to, rows)
}

// unknownTypes are those of ids that the report does not list; none if it lists nothing.
func unknownTypes(ids []string, r *controlv1.ConnectionReport) error {
	if len(r.GetDataTypes()) == 0 {
		return nil
	}
	var known []string
	for _, d := range r.GetDataTypes() {
		known = append(known, clean(d.GetDataType()))
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return usageError{fmt.Errorf("there is no data type %q; there are %s", id, strings.Join(known, ", "))}
		}
	}
	return nil
}
