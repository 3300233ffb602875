package decode

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

func (r *record) riskDetection(e *eventv1.Event) {
	d := &eventv1.RiskDetection{}
	e.Payload = &eventv1.Event_RiskDetection{RiskDetection: d}
	riskType := ""
	r.object(func(key []byte) {
		if field := riskDetectionText(d, key); field != nil {
			*field = r.str()
			return
		}
		switch string(key) {
		case "id":
			r.id = r.str()
		case "risktype":
			riskType = r.str()
		case "ipaddress":
			d.IpAddress = r.address()
		case "location":
			location := &eventv1.Location{}
			r.location(location)
			d.Location = knownLocation(location)
		case "activitydatetime":
			r.activity = r.instant()
			d.ActivityAt = r.activity.timestamp()
		case "detecteddatetime":
			r.detected = r.instant()
			d.DetectedAt = r.detected.timestamp()
		case "lastupdateddatetime":
			d.LastUpdatedAt = r.instant().timestamp()
		case "keyids":
			d.KeyIds = r.list()
		default:
			r.skip()
		}
	})
	if d.GetRiskEventType() == "" {
		// The name before 2020.
		d.RiskEventType = riskType
	}
	if d.GetIpAddress() == "" && r.source == eventv1.Source_SOURCE_EVENT_HUB {
		d.IpAddress = r.callerAddress()
	}
	r.withheld = anyHidden(d.GetRiskLevel(), d.GetRiskDetail(), d.GetRiskState())
}

// riskDetectionText returns the field that takes a member as text.
func riskDetectionText(d *eventv1.RiskDetection, key []byte) *string {
	switch string(key) {
	case "riskeventtype":
		return &d.RiskEventType
	case "risklevel":
		return &d.RiskLevel
	case "riskstate":
		return &d.RiskState
	case "riskdetail":
		return &d.RiskDetail
	case "detectiontimingtype":
		return &d.DetectionTiming
	case "activity":
		return &d.Activity
	case "source":
		return &d.Detector
	case "tokenissuertype":
		return &d.TokenIssuerType
	case "userid":
		return &d.UserId
	case "userprincipalname":
		return &d.UserPrincipalName
	case "userdisplayname":
		return &d.UserDisplayName
	case "serviceprincipalid":
		return &d.ServicePrincipalId
	case "serviceprincipaldisplayname":
		return &d.ServicePrincipalDisplayName
	case "appid":
		return &d.AppId
	case "requestid":
		return &d.RequestId
	case "correlationid":
		return &d.CorrelationId
	case "additionalinfo":
		return &d.AdditionalInfo
	default:
		return nil
	}
}

func (r *record) riskyUser(e *eventv1.Event) {
	u := &eventv1.RiskyUser{}
	e.Payload = &eventv1.Event_RiskyUser{RiskyUser: u}
	userID := ""
	r.object(func(key []byte) {
		switch string(key) {
		case "id":
			r.id = r.str()
		case "userid":
			userID = r.str()
		case "userprincipalname":
			u.UserPrincipalName = r.str()
		case "userdisplayname":
			u.UserDisplayName = r.str()
		case "risklevel":
			u.RiskLevel = r.str()
		case "riskstate":
			u.RiskState = r.str()
		case "riskdetail":
			u.RiskDetail = r.str()
		case "risklastupdateddatetime":
			r.riskUpdated = r.instant()
			u.RiskLastUpdatedAt = r.riskUpdated.timestamp()
		case "isdeleted":
			u.IsDeleted = r.boolean()
		case "isprocessing":
			u.IsProcessing = r.boolean()
		default:
			r.skip()
		}
	})
	if userID != "" {
		// An entry of a risky user's history names the user here; its id is the user's with digits behind.
		r.id = userID
	}
	u.UserId = r.id
	r.withheld = anyHidden(u.GetRiskLevel(), u.GetRiskDetail(), u.GetRiskState())
}
