package tenant

// provisioned is a provisioning record before it is written.
type provisioned struct {
	id, change guid
	at         ticks
	who        user
	app        int // index of galleryApps
	action     string
	failed     bool
	cycle      guid
	duration   int
}

// provisioningOf returns a provisioning record.
func (t *Tenant) provisioningOf(slot int64, h head) provisioned {
	r := rng{hash(t.cfg.Seed, logProvisioning, uint64(slot), uint64(h.index))}
	const failures = 300
	return provisioned{
		id: t.recordGUID(logProvisioning, slot, h), at: h.at, who: t.someUser(&r, h.at),
		app: r.below(len(galleryApps)), action: [...]string{"create", "update", "update", "disable"}[r.below(4)],
		failed: r.chance(failures), duration: 100 + r.below(2000),
		cycle:  t.ids.seal(classJob, 1, uint64(slot)),
		change: t.ids.seal(classCorrelation, uint64(slot), uint64(logProvisioning)<<32|uint64(h.index)),
	}
}

// provisioning writes a provisioningObjectSummary, or the properties of a hub's record.
func (w *writer) provisioning(p provisioned) {
	// What Graph writes as displayName is Name in hubs, and so on.
	id, name, kind := `"id":"`, `,"displayName":"`, `,"initiatorType":"`
	if w.f.hub {
		id, name, kind = `"Id":"`, `,"Name":"`, `,"Type":"`
	}
	status := success
	if p.failed {
		status = "failure"
	}
	w.guid(`{"id":"`, p.id)
	w.time(`,"activityDateTime":"`, p.at)
	w.text(`,"tenantId":"`, w.t.cfg.ID)
	w.guid(`,"jobId":"scim.`, w.t.ids.seal(classJob, 0, uint64(p.app)))
	w.guid(`,"cycleId":"`, p.cycle)
	w.guid(`,"changeId":"`, p.change)
	w.text(`,"provisioningAction":"`, p.action)
	w.number(`,"durationInMilliseconds":`, p.duration)
	w.guid(`,"servicePrincipal":{`+id, w.t.galleryPrincipal(p.app))
	w.text(name, galleryApps[p.app])
	w.raw("}")
	w.guid(`,"sourceSystem":{"details":{},`+id, w.t.ids.seal(classOther, 2, 0))
	w.text(name, "Azure Active Directory")
	w.raw("}")
	w.guid(`,"targetSystem":{"details":{},`+id, w.t.ids.seal(classOther, 3, uint64(p.app)))
	w.text(name, galleryApps[p.app])
	w.text(`},"initiatedBy":{`+id, "")
	w.text(name, "Azure AD Provisioning Service")
	w.text(kind, "system")
	w.guid(`},"sourceIdentity":{"identityType":"User","details":{},`+id, w.t.userID(p.who.index))
	w.userName(name, &p.who)
	w.text(`},"targetIdentity":{"identityType":"User","details":{},`+id, "")
	w.userName(name, &p.who)
	w.text(`},"provisioningStatusInfo":{"status":"`, status)
	if p.failed {
		w.raw(`,"errorInformation":{"errorCode":"SystemForCrossDomainIdentityManagementServiceIncompatible",` +
			`"errorCategory":"nonServiceFailure","reason":"The target refused the entry.","recommendedAction":"Check the attribute mappings."}`)
	} else {
		w.null(`,"errorInformation":`)
	}
	w.raw(`},"provisioningSteps":[`)
	w.provisioningStep("EntryImport", "import", "0", "Received the user from Azure Active Directory", success)
	w.raw(",")
	w.provisioningStep("EntryExport", "export", "5", "Sent the user to the application", status)
	w.raw(`],"modifiedProperties":[{"displayName":"active"`)
	w.null(`,"oldValue":`)
	w.raw(`,"newValue":"True"}]}`)
}

// provisioningStep writes a step; hubs write numbers for its type and status.
func (w *writer) provisioningStep(name, kind, number, description, status string) {
	w.text(`{"name":"`, name)
	w.text(`,"description":"`, description)
	if !w.f.hub {
		w.text(`,"provisioningStepType":"`, kind)
		w.text(`,"status":"`, status)
		w.raw(`,"details":{}}`)
		return
	}
	w.raw(`,"provisioningStepType":`)
	w.raw(number)
	if status == success {
		w.raw(`,"status":0}`)
	} else {
		w.raw(`,"status":1}`)
	}
}

// galleryPrincipal is the service principal of a gallery application.
func (t *Tenant) galleryPrincipal(app int) guid { return t.ids.seal(classPrincipal, 3, uint64(app)) }
