package tenant

import "net/netip"

// target is what an audited activity was done to.
type target struct {
	kind string // "User", "Group", "Application", "ServicePrincipal", "Role", "Device", "Other"
	id   guid
	name string
	who  *user // of a user: instead of name
	app  *appRef
	// properties are what was modified.
	properties []property
}

// property is a modified property. The values are JSON text, escaped for being inside a string; empty is null.
type property struct{ name, old, new string }

// audit is a directory audit before it is written.
type audit struct {
	id          string
	at          ticks
	activity    string
	category    string
	service     string
	operation   string
	result      string
	reason      string
	by          *user
	byApp       *appRef
	address     netip.Addr
	targets     []target
	detail      property // one of additionalDetails: name and new
	correlation guid
}

const (
	coreDirectory = "Core Directory"
	authMethods   = "Authentication Methods"
	success       = "success"
)

// auditKind is an ordinary activity and how often it happens among auditTotal.
type auditKind struct {
	weight                                 int
	activity, category, service, operation string
	target                                 string
	self                                   bool // users do it to themselves, else administrators
	reason                                 string
	property                               property
}

// auditKinds are ordinary activities. None is what a check looks for.
var auditKinds = [...]auditKind{
	{200, "Update user", "UserManagement", coreDirectory, "Update", "User", false, "", property{"Department", `[\"Sales\"]`, `[\"Support\"]`}},
	{150, "Add member to group", "GroupManagement", coreDirectory, "Assign", "User", false, "", property{"Group.DisplayName", "", `\"Project team\"`}},
	{100, "Remove member from group", "GroupManagement", coreDirectory, "Unassign", "User", false, "", property{"Group.DisplayName", `\"Project team\"`, ""}},
	{90, "Change user password", "UserManagement", coreDirectory, "Update", "User", true, "", property{}},
	{60, "Reset password (self-service)", "UserManagement", "Self-service Password Management", "Update", "User", true, "Successfully completed reset.", property{}},
	{120, "Update device", "Device", coreDirectory, "Update", "Device", true, "", property{"DeviceOSVersion", `[\"10.0.26100.1\"]`, `[\"10.0.26100.2\"]`}},
	{60, "Register device", "Device", "Device Registration Service", "Add", "Device", true, "", property{}},
	{50, "User registered security info", "UserManagement", authMethods, "Add", "User", true, "User registered Authenticator App with Notification and Code", property{}},
	{40, "Invite external user", "UserManagement", "Invited Users", "Add", "User", false, "", property{}},
	{30, "Redeem external user invite", "UserManagement", "Invited Users", "Update", "User", true, "", property{}},
	{50, "Add user", "UserManagement", coreDirectory, "Add", "User", false, "", property{"AccountEnabled", "[]", "[true]"}},
	{30, "Delete user", "UserManagement", coreDirectory, "Delete", "User", false, "", property{}},
	{20, "Change user license", "UserManagement", coreDirectory, "Update", "User", false, "", property{"AssignedLicense", "[]", `[\"SPE_E5\"]`}},
}

const auditTotal = 1000

// auditOf returns a directory audit.
func (t *Tenant) auditOf(slot int64, h head) audit {
	if h.index < 0 {
		a := *t.series[logAudit].woven[-1-h.index].audit
		a.id, a.at = t.recordID(logAudit, slot, h), h.at
		return a
	}
	r := rng{hash(t.cfg.Seed, logAudit, uint64(slot), uint64(h.index))}
	n, i := r.below(auditTotal), 0
	for n >= auditKinds[i].weight {
		n -= auditKinds[i].weight
		i++
	}
	k := &auditKinds[i]
	subject := t.someUser(&r, h.at)
	by := subject
	if !k.self {
		by = t.population.user(t.population.reserved + r.below(min(adminUsers, t.population.ordinary())))
	}
	a := audit{
		id: t.recordID(logAudit, slot, h), at: h.at, activity: k.activity, category: k.category, service: k.service,
		operation: k.operation, result: success, reason: k.reason, by: &by, address: homeAddress(by.home, by.h),
		correlation: t.ids.seal(classCorrelation, uint64(slot), uint64(logAudit)<<32|uint64(h.index)),
	}
	const failures = 200
	if r.chance(failures) {
		a.result, a.reason = "failure", "Microsoft.Online.DirectoryServices.DirectoryValueExistsException"
	}
	to := target{kind: k.target, id: t.userID(subject.index), who: &subject}
	if k.target == "Device" {
		to = target{kind: k.target, id: t.ids.seal(classDevice, 0, uint64(subject.index)), name: "DEV"}
	}
	if k.property.name != "" {
		to.properties = []property{k.property}
	}
	a.targets = []target{to}
	return a
}

// audit writes a directoryAudit, or the properties of a hub's record.
func (w *writer) audit(a audit) {
	w.text(`{"id":"`, a.id)
	w.text(`,"category":"`, a.category)
	w.guid(`,"correlationId":"`, a.correlation)
	w.text(`,"result":"`, a.result)
	w.text(`,"resultReason":"`, a.reason)
	w.text(`,"activityDisplayName":"`, a.activity)
	w.time(`,"activityDateTime":"`, a.at)
	w.text(`,"loggedByService":"`, a.service)
	w.text(`,"operationType":"`, a.operation)
	w.null(`,"userAgent":`)
	w.initiator(&a)
	w.raw(`,"targetResources":[`)
	for i := range a.targets {
		if i > 0 {
			w.raw(",")
		}
		w.target(&a.targets[i])
	}
	w.raw(`],"additionalDetails":[`)
	if a.detail.name != "" {
		w.text(`{"key":"`, a.detail.name)
		w.text(`,"value":"`, a.detail.new)
		w.raw("}")
	}
	w.raw("]}")
}

func (w *writer) initiator(a *audit) {
	w.raw(`,"initiatedBy":{`)
	if a.byApp != nil {
		w.raw(`"app":{`)
		w.appID(`"appId":"`, a.byApp)
		w.appName(`,"displayName":"`, a.byApp)
		w.optionalGUID(`,"servicePrincipalId":"`, a.byApp.object)
		w.null(`,"servicePrincipalName":`)
		w.raw("}")
		w.null(`,"user":`)
		w.raw("}")
		return
	}
	w.guid(`"user":{"id":"`, w.t.userID(a.by.index))
	w.null(`,"displayName":`)
	w.userPrincipalName(`,"userPrincipalName":"`, a.by)
	w.raw(`,"ipAddress":"`)
	if a.address.IsValid() {
		w.b = a.address.AppendTo(w.b)
	}
	w.raw(`"}`)
	w.null(`,"app":`)
	w.raw("}")
}

func (w *writer) target(t *target) {
	w.optionalGUID(`{"id":"`, t.id)
	switch {
	case t.who != nil:
		w.userName(`,"displayName":"`, t.who)
		w.userPrincipalName(`,"userPrincipalName":"`, t.who)
	case t.app != nil:
		w.appName(`,"displayName":"`, t.app)
		w.null(`,"userPrincipalName":`)
	default:
		w.optional(`,"displayName":`, t.name)
		w.null(`,"userPrincipalName":`)
	}
	w.text(`,"type":"`, t.kind)
	w.null(`,"groupType":`)
	w.raw(`,"modifiedProperties":[`)
	for i, p := range t.properties {
		if i > 0 {
			w.raw(",")
		}
		w.text(`{"displayName":"`, p.name)
		w.optional(`,"oldValue":`, p.old)
		w.optional(`,"newValue":`, p.new)
		w.raw("}")
	}
	w.raw("]}")
}
