package decode_test

import (
	"strings"
)

// p are places among the properties.
func p(names ...string) []string {
	for i := range names {
		names[i] = "properties/" + names[i]
	}
	return names
}

func text(names ...string) rule { return rule{from: p(names...)} }

func keyValues(place, key, value string) rule {
	return rule{from: p(place), sub: rules{"key": {from: []string{key}}, "value": {from: []string{value}}}}
}

var locationRules = rules{
	"city":      {from: []string{"city"}},
	"state":     {from: []string{"state"}},
	"country":   {from: []string{"countryorregion"}, as: asCountry},
	"latitude":  {from: []string{"geocoordinates/latitude"}, as: asFloat},
	"longitude": {from: []string{"geocoordinates/longitude"}, as: asFloat},
}

var modifiedRules = rules{
	"name":      {from: []string{"displayname"}},
	"old_value": {from: []string{"oldvalue"}},
	"new_value": {from: []string{"newvalue"}},
}

// outcomes of the codes that occur in the corpora.
var outcomes = map[string]string{
	"0": "success", "50076": "interrupted", "50053": "failure", "50126": "failure", "7000215": "failure",
}

func wantErrorCode(record map[string]any) string {
	if code := at(record, "properties/status/errorcode"); code != nil {
		return asText(code)
	}
	if code := asText(at(record, "resulttype")); strings.Trim(code, "0123456789") == "" {
		return code
	}
	return ""
}

func wantOutcome(record map[string]any) string {
	if code := wantErrorCode(record); code != "" {
		outcome, ok := outcomes[code]
		if !ok {
			panic("give the outcome of code " + code)
		}
		return outcome
	}
	switch asLower(at(record, "resultsignature")) {
	case "success":
		return "success"
	case "failure":
		return "failure"
	}
	return ""
}

// wantCategory is the category of sign-ins, which the tests add to objects of Graph.
func wantType(record map[string]any) string {
	return map[string]string{
		"SignInLogs":                   "SIGN_IN_TYPE_INTERACTIVE",
		"NonInteractiveUserSignInLogs": "SIGN_IN_TYPE_NON_INTERACTIVE",
		"ServicePrincipalSignInLogs":   "SIGN_IN_TYPE_SERVICE_PRINCIPAL",
		"ManagedIdentitySignInLogs":    "SIGN_IN_TYPE_MANAGED_IDENTITY",
	}[asText(at(record, "category"))]
}

func wantEvents(record map[string]any) string {
	return map[string]string{
		"SignInLogs":                   "interactiveUser",
		"NonInteractiveUserSignInLogs": "nonInteractiveUser",
		"ServicePrincipalSignInLogs":   "servicePrincipal",
		"ManagedIdentitySignInLogs":    "managedIdentity",
	}[asText(at(record, "category"))]
}

// wantAudiences are the application ids of the audiences.
func wantAudiences(record map[string]any) string {
	var ids []string
	audiences, _ := at(record, "properties/conditionalaccessaudiences").([]any)
	for _, audience := range audiences {
		ids = append(ids, asText(at(audience, "applicationid")))
	}
	return strings.Join(ids, "|")
}

var signInRules = rules{
	"type":                                    {want: wantType},
	"event_types":                             {want: wantEvents},
	"is_interactive":                          text("isinteractive"),
	"user_id":                                 text("userid"),
	"user_principal_name":                     text("userprincipalname"),
	"user_display_name":                       text("userdisplayname"),
	"user_type":                               {from: p("usertype"), as: asLower},
	"sign_in_identifier":                      text("signinidentifier"),
	"sign_in_identifier_type":                 text("signinidentifiertype"),
	"alternate_sign_in_name":                  text("alternatesigninname"),
	"service_principal_id":                    text("serviceprincipalid"),
	"service_principal_name":                  text("serviceprincipalname"),
	"service_principal_credential_key_id":     text("serviceprincipalcredentialkeyid"),
	"service_principal_credential_thumbprint": text("serviceprincipalcredentialthumbprint"),
	"client_credential_type":                  text("clientcredentialtype"),
	"federated_credential_id":                 text("federatedcredentialid"),
	"managed_identity_type":                   text("managedserviceidentity/msitype", "managedidentitytype"),
	"managed_identity_associated_resource_id": text("managedserviceidentity/associatedresourceid"),
	"managed_identity_federated_token_id":     text("managedserviceidentity/federatedtokenid"),
	"managed_identity_federated_token_issuer": text("managedserviceidentity/federatedtokenissuer"),
	"app_id":                        text("appid"),
	"app_display_name":              text("appdisplayname"),
	"app_owner_tenant_id":           text("appownertenantid"),
	"app_service_principal_id":      text("appserviceprincipalid"),
	"source_app_client_id":          text("sourceappclientid"),
	"resource_id":                   text("resourceid"),
	"resource_display_name":         text("resourcedisplayname"),
	"resource_tenant_id":            text("resourcetenantid"),
	"resource_owner_tenant_id":      text("resourceownertenantid"),
	"resource_service_principal_id": text("resourceserviceprincipalid"),
	"client_app_used":               text("clientappused"),
	"authentication_protocol":       text("authenticationprotocol"),
	"original_transfer_method":      text("originaltransfermethod"),
	"user_agent":                    text("useragent"),
	"redirect_url":                  text("redirecturl"),
	"device": {from: p("devicedetail"), sub: rules{
		"id":               {from: []string{"deviceid"}},
		"display_name":     {from: []string{"displayname"}},
		"operating_system": {from: []string{"operatingsystem"}},
		"browser":          {from: []string{"browser"}},
		"is_compliant":     {from: []string{"iscompliant"}, as: asTrue},
		"is_managed":       {from: []string{"ismanaged"}, as: asTrue},
		"trust_type":       {from: []string{"trusttype"}},
	}},
	"ip_address":                        {from: append(p("ipaddress"), "calleripaddress"), as: asAddress},
	"ip_address_from_resource_provider": {from: p("ipaddressfromresourceprovider"), as: asAddress},
	"autonomous_system_number":          text("autonomoussystemnumber"),
	// A country's code in the envelope is all that some records tell.
	"location": {from: append(p("location"), "countryonly"), sub: locationRules},
	"network_locations": {from: p("networklocationdetails"), sub: rules{
		"type":  {from: []string{"networktype"}},
		"names": {from: []string{"networknames"}},
	}},
	"global_secure_access_ip_address": {from: p("globalsecureaccessipaddress"), as: asAddress},
	"is_through_global_secure_access": text("isthroughglobalsecureaccess"),
	"private_link_resource_id":        text("privatelinkdetails/resourceid"),
	"error_code":                      {want: wantErrorCode},
	"failure_reason":                  text("status/failurereason"),
	"additional_details":              text("status/additionaldetails"),
	"outcome":                         {want: wantOutcome},
	"conditional_access_status":       text("conditionalaccessstatus"),
	"applied_conditional_access_policies": {from: p("appliedconditionalaccesspolicies"), sub: rules{
		"id":                        {from: []string{"id"}},
		"display_name":              {from: []string{"displayname"}},
		"result":                    {from: []string{"result"}},
		"enforced_grant_controls":   {from: []string{"enforcedgrantcontrols"}},
		"enforced_session_controls": {from: []string{"enforcedsessioncontrols"}},
		"conditions_satisfied":      {from: []string{"conditionssatisfied"}},
		"conditions_not_satisfied":  {from: []string{"conditionsnotsatisfied"}},
	}},
	"conditional_access_audiences":            {want: wantAudiences},
	"authentication_context_class_references": keyValues("authenticationcontextclassreferences", "id", "detail"),
	"authentication_requirement":              text("authenticationrequirement"),
	"authentication_requirement_policies":     keyValues("authenticationrequirementpolicies", "requirementprovider", "detail"),
	"authentication_details": {from: p("authenticationdetails"), sub: rules{
		"occurred_at":   {from: []string{"authenticationstepdatetime"}, as: asInstant},
		"method":        {from: []string{"authenticationmethod"}},
		"method_detail": {from: []string{"authenticationmethoddetail"}},
		"succeeded":     {from: []string{"succeeded"}},
		"result_detail": {from: []string{"authenticationstepresultdetail"}},
		"requirement":   {from: []string{"authenticationsteprequirement"}},
	}},
	"authentication_methods_used":       text("authenticationmethodsused"),
	"authentication_processing_details": keyValues("authenticationprocessingdetails", "key", "value"),
	"mfa_auth_method":                   text("mfadetail/authmethod"),
	"mfa_auth_detail":                   text("mfadetail/authdetail"),
	"session_lifetime_policies":         keyValues("sessionlifetimepolicies", "expirationrequirement", "detail"),
	"risk_detail":                       text("riskdetail"),
	"risk_level_aggregated":             text("risklevelaggregated"),
	"risk_level_during_sign_in":         text("risklevelduringsignin"),
	"risk_state":                        text("riskstate"),
	"risk_event_types":                  text("riskeventtypes_v2", "riskeventtypes"),
	"flagged_for_review":                text("flaggedforreview"),
	"correlation_id":                    {from: append(p("correlationid"), "correlationid")},
	"original_request_id":               text("originalrequestid"),
	"unique_token_identifier":           text("uniquetokenidentifier"),
	"session_id":                        text("sessionid"),
	"incoming_token_type":               {from: p("incomingtokentype"), as: asTokenType},
	"token_issuer_name":                 text("tokenissuername"),
	"token_issuer_type":                 text("tokenissuertype"),
	"sign_in_token_protection_status":   text("signintokenprotectionstatus"),
	"token_protection_status":           text("tokenprotectionstatusdetails/signinsessionstatus"),
	"token_protection_status_code":      text("tokenprotectionstatusdetails/signinsessionstatuscode"),
	"processing_time_ms":                text("processingtimeinmilliseconds"),
	"cross_tenant_access_type":          text("crosstenantaccesstype"),
	"home_tenant_id":                    text("hometenantid"),
	"home_tenant_name":                  text("hometenantname"),
	"is_tenant_restricted":              text("istenantrestricted"),
	"agent_type":                        text("agent/agenttype"),
	"agent_subject_type":                text("agent/agentsubjecttype"),
	"agent_parent_app_id":               text("agent/parentappid"),
}

// wantAuditCategory is the audit's own category; some pipelines wrote it over the diagnostic one.
func wantAuditCategory(record map[string]any) string {
	if own := at(record, "properties/category"); own != nil {
		return asText(own)
	}
	if outer := asText(at(record, "category")); outer != "AuditLogs" {
		return outer
	}
	return ""
}

// wantUserAgent is the user agent, or the additional detail that holds it.
func wantUserAgent(record map[string]any) string {
	if agent := asText(at(record, "properties/useragent")); agent != "" {
		return agent
	}
	details, _ := at(record, "properties/additionaldetails").([]any)
	for _, detail := range details {
		if asText(at(detail, "key")) == "User-Agent" {
			return asText(at(detail, "value"))
		}
	}
	return ""
}

// wantTargetType is the target's type, or the end of its OData type.
func wantTargetType(target map[string]any) string {
	if own := asText(target["type"]); own != "" {
		return own
	}
	odata := asText(target["@odata.type"])
	return odata[min(len(odata), len("#microsoft.graph.targetResource")):]
}

var auditRules = rules{
	"activity":          {from: append(p("activitydisplayname"), "operationname")},
	"category":          {want: wantAuditCategory},
	"operation_type":    text("operationtype"),
	"result":            {from: append(p("result"), "result"), as: asLower},
	"result_reason":     {from: append(p("resultreason"), "resultdescription")},
	"logged_by_service": text("loggedbyservice"),
	"correlation_id":    {from: append(p("correlationid"), "correlationid")},
	"initiator": {from: p("initiatedby"), sub: rules{
		"user_id":              {from: []string{"user/id"}},
		"user_principal_name":  {from: []string{"user/userprincipalname"}},
		"user_display_name":    {from: []string{"user/displayname"}},
		"ip_address":           {from: []string{"user/ipaddress"}, as: asAddress},
		"app_id":               {from: []string{"app/appid"}},
		"service_principal_id": {from: []string{"app/serviceprincipalid"}},
		"app_display_name":     {from: []string{"app/displayname"}},
	}},
	"targets": {from: p("targetresources", "targetresource"), sub: rules{
		"id":                  {from: []string{"id"}},
		"display_name":        {from: []string{"displayname"}},
		"type":                {want: wantTargetType},
		"user_principal_name": {from: []string{"userprincipalname"}},
		"group_type":          {from: []string{"grouptype"}},
		"modified_properties": {from: []string{"modifiedproperties"}, sub: modifiedRules},
	}},
	"additional_details": keyValues("additionaldetails", "key", "value"),
	"user_agent":         {want: wantUserAgent},
}

var riskDetectionRules = rules{
	"risk_event_type":                text("riskeventtype", "risktype"),
	"risk_level":                     text("risklevel"),
	"risk_state":                     text("riskstate"),
	"risk_detail":                    text("riskdetail"),
	"detection_timing":               text("detectiontimingtype"),
	"activity":                       text("activity"),
	"detector":                       text("source"),
	"token_issuer_type":              text("tokenissuertype"),
	"user_id":                        text("userid"),
	"user_principal_name":            text("userprincipalname"),
	"user_display_name":              text("userdisplayname"),
	"service_principal_id":           text("serviceprincipalid"),
	"service_principal_display_name": text("serviceprincipaldisplayname"),
	"app_id":                         text("appid"),
	"ip_address":                     {from: p("ipaddress"), as: asAddress},
	"location":                       {from: p("location"), sub: locationRules},
	"request_id":                     text("requestid"),
	"correlation_id":                 text("correlationid"),
	"activity_at":                    {from: p("activitydatetime"), as: asInstant},
	"detected_at":                    {from: p("detecteddatetime"), as: asInstant},
	"last_updated_at":                {from: p("lastupdateddatetime"), as: asInstant},
	"additional_info":                text("additionalinfo"),
	"key_ids":                        text("keyids"),
}

var riskyUserRules = rules{
	"user_id":              text("userid", "id"),
	"user_principal_name":  text("userprincipalname"),
	"user_display_name":    text("userdisplayname"),
	"risk_level":           text("risklevel"),
	"risk_state":           text("riskstate"),
	"risk_detail":          text("riskdetail"),
	"risk_last_updated_at": {from: p("risklastupdateddatetime"), as: asInstant},
	"is_deleted":           text("isdeleted"),
	"is_processing":        text("isprocessing"),
}
