package decode

import (
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// status takes error code and texts; it returns whether there is a status with anything in it.
func (r *record) status(s *eventv1.SignIn) bool {
	s.ErrorCode, s.FailureReason, s.AdditionalDetails = nil, "", ""
	r.object(func(key []byte) {
		switch string(key) {
		case "errorcode":
			s.ErrorCode = r.integer()
		case "failurereason":
			s.FailureReason = r.str()
		case "additionaldetails":
			s.AdditionalDetails = r.str()
		default:
			r.skip()
		}
	})
	return s.ErrorCode != nil || s.GetFailureReason() != ""
}

// device returns the client's device, nil if nothing is known of it.
func (r *record) device() *eventv1.Device {
	d := &eventv1.Device{}
	known := false
	r.object(func(key []byte) {
		switch string(key) {
		case "deviceid":
			d.Id = r.str()
		case "displayname":
			d.DisplayName = r.str()
		case "operatingsystem":
			d.OperatingSystem = r.str()
		case "browser":
			d.Browser = r.str()
		case "iscompliant":
			d.IsCompliant = onlyTrue(r.boolean())
		case "ismanaged":
			d.IsManaged = onlyTrue(r.boolean())
		case "trusttype":
			d.TrustType = r.str()
		default:
			r.skip()
		}
	})
	for _, text := range [...]string{
		d.GetId(), d.GetDisplayName(), d.GetOperatingSystem(), d.GetBrowser(), d.GetTrustType(),
	} {
		known = known || text != ""
	}
	if !known && d.IsCompliant == nil && d.IsManaged == nil {
		return nil
	}
	return d
}

// onlyTrue keeps true: hubs leave false out, so a false cannot be told from a value that is not known.
func onlyTrue(b *bool) *bool {
	if b != nil && *b {
		return b
	}
	return nil
}

// location fills where an address is. A bare text is a country.
func (r *record) location(l *eventv1.Location) {
	*l = eventv1.Location{}
	if r.peek() == '"' {
		start := r.i
		if text := r.str(); text == "" || text[0] != '{' {
			l.Country = countryCode(text)
			return
		}
		r.i = start
	}
	r.object(func(key []byte) {
		switch string(key) {
		case "city":
			l.City = r.str()
		case "state":
			l.State = r.str()
		case "countryorregion":
			l.Country = countryCode(r.str())
		case "geocoordinates":
			r.coordinates(l)
		default:
			r.skip()
		}
	})
}

func (r *record) coordinates(l *eventv1.Location) {
	l.Latitude, l.Longitude = nil, nil
	r.object(func(key []byte) {
		switch string(key) {
		case "latitude":
			l.Latitude = r.number()
		case "longitude":
			l.Longitude = r.number()
		default:
			r.skip()
		}
	})
	if l.GetLatitude() == 0 && l.GetLongitude() == 0 {
		l.Latitude, l.Longitude = nil, nil
	}
}

// countryCode writes two-letter codes in upper case and leaves names as they are.
func countryCode(text string) string {
	const codeLen = 2
	if len(text) == codeLen {
		return strings.ToUpper(text)
	}
	return text
}

// knownLocation returns nil for a location of which nothing is known.
func knownLocation(l *eventv1.Location) *eventv1.Location {
	if l.GetCity() == "" && l.GetState() == "" && l.GetCountry() == "" && l.Latitude == nil && l.Longitude == nil {
		return nil
	}
	return l
}

// twoTexts takes two members of an object as text.
func (r *record) twoTexts(first, second string) (a, b string) {
	r.object(func(key []byte) {
		switch string(key) {
		case first:
			a = r.str()
		case second:
			b = r.str()
		default:
			r.skip()
		}
	})
	return a, b
}

func (r *record) managedIdentity(s *eventv1.SignIn) {
	r.object(func(key []byte) {
		switch string(key) {
		case "msitype":
			s.ManagedIdentityType = r.str()
		case "associatedresourceid":
			s.ManagedIdentityAssociatedResourceId = r.str()
		case "federatedtokenid":
			s.ManagedIdentityFederatedTokenId = r.str()
		case "federatedtokenissuer":
			s.ManagedIdentityFederatedTokenIssuer = r.str()
		default:
			r.skip()
		}
	})
}

func (r *record) tokenProtection(s *eventv1.SignIn) {
	s.TokenProtectionStatus, s.TokenProtectionStatusCode = "", nil
	r.object(func(key []byte) {
		switch string(key) {
		case "signinsessionstatus":
			s.TokenProtectionStatus = r.str()
		case "signinsessionstatuscode":
			s.TokenProtectionStatusCode = r.integer()
		default:
			r.skip()
		}
	})
}

func (r *record) agent(s *eventv1.SignIn) {
	s.AgentType, s.AgentSubjectType, s.AgentParentAppId = "", "", ""
	r.object(func(key []byte) {
		switch string(key) {
		case "agenttype":
			s.AgentType = r.str()
		case "agentsubjecttype":
			s.AgentSubjectType = r.str()
		case "parentappid":
			s.AgentParentAppId = r.str()
		default:
			r.skip()
		}
	})
}

func (r *record) networkLocations() []*eventv1.NetworkLocation {
	var list []*eventv1.NetworkLocation
	r.array(func() {
		l := &eventv1.NetworkLocation{}
		if r.object(func(key []byte) {
			switch string(key) {
			case "networktype":
				l.Type = r.str()
			case "networknames":
				l.Names = r.list()
			default:
				r.skip()
			}
		}) {
			list = append(list, l)
		}
	})
	return list
}

func (r *record) authenticationSteps() []*eventv1.AuthenticationStep {
	var list []*eventv1.AuthenticationStep
	var made slab[eventv1.AuthenticationStep]
	r.array(func() {
		step := made.make()
		if r.object(func(key []byte) {
			switch string(key) {
			case "authenticationstepdatetime":
				step.OccurredAt = r.instant().timestamp()
			case "authenticationmethod":
				step.Method = r.str()
			case "authenticationmethoddetail":
				step.MethodDetail = r.str()
			case "succeeded":
				step.Succeeded = r.boolean()
			case "authenticationstepresultdetail":
				step.ResultDetail = r.str()
			case "authenticationsteprequirement":
				step.Requirement = r.str()
			default:
				r.skip()
			}
		}) {
			list = append(list, step)
		}
	})
	return list
}
