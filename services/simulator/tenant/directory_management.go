package tenant

// The collections of Microsoft Intune. A tenant without it has none of their objects.
const (
	ManagedDevices       Collection = "deviceManagement/managedDevices"
	DeviceConfigurations Collection = "deviceManagement/deviceConfigurations"
	CompliancePolicies   Collection = "deviceManagement/deviceCompliancePolicies"
	MobileApps           Collection = "deviceAppManagement/mobileApps"
	DetectedApps         Collection = "deviceManagement/detectedApps"
)

// managementKind is kindOf for Intune.
func managementKind(c Collection) (k kind, ok bool) {
	few := func(of uint64, n int, write func(*writer, int)) (kind, bool) {
		count := func(t *Tenant) int { return t.managedCount(n) }
		return kind{count, write, func(t *Tenant, id string) int { return t.findPosture(id, of, count(t)) }}, true
	}
	const configurations, compliance, apps, detected = 4, 3, 6, 8
	switch c {
	case ManagedDevices:
		return kind{func(t *Tenant) int { return t.managedCount(t.devices()) }, (*writer).managedDevice, (*Tenant).findManaged}, true
	case DeviceConfigurations:
		return few(postureConfiguration, configurations, (*writer).deviceConfiguration)
	case CompliancePolicies:
		return few(postureCompliance, compliance, (*writer).compliancePolicy)
	case MobileApps:
		return few(postureMobileApp, apps, (*writer).mobileApp)
	case DetectedApps:
		return few(postureDetectedApp, detected, (*writer).detectedApp)
	default:
		return kind{}, false
	}
}

// managedCount is n, or 0 without Intune.
func (t *Tenant) managedCount(n int) int {
	if !t.cfg.Intune {
		return 0
	}
	return n
}

// isManaged reports whether device i is enrolled.
func (t *Tenant) isManaged(i int) bool {
	if !t.cfg.Intune || !t.hasDevice(i) {
		return false
	}
	u := t.population.user(t.deviceUser(i))
	return deviceKinds[u.deviceOf(i%t.cfg.DevicesPerUser)].managed
}

func (t *Tenant) findManaged(id string) int {
	i := t.findPosture(id, postureDevice, t.managedCount(t.devices()))
	if i >= 0 && !t.isManaged(i) {
		return -1
	}
	return i
}

func (w *writer) managedDevice(i int) {
	if !w.t.isManaged(i) {
		w.b = nil
		return
	}
	user, n := w.t.deviceUser(i), i%w.t.cfg.DevicesPerUser
	u := w.t.population.user(user)
	system, version := deviceKinds[u.deviceOf(n)].platform()
	h := hash(u.h, 0xdece, uint64(n)) // as directoryDevice has it
	compliance := "compliant"
	if h>>44%20 == 0 {
		compliance = "noncompliant"
	}
	w.guid(`{"id":"`, w.t.postureID(postureDevice, i))
	w.guid(`,"azureADDeviceId":"`, w.t.ids.seal(classDevice, uint64(n), uint64(user)))
	w.guid(`,"userId":"`, w.t.userID(user))
	w.userPrincipalName(`,"userPrincipalName":"`, &u)
	w.userName(`,"userDisplayName":"`, &u)
	w.userPrincipalName(`,"emailAddress":"`, &u)
	w.raw(`,"deviceName":"`)
	w.b = append(u.appendLocal(w.b), '-', byte('0'+n))
	w.text(`","operatingSystem":"`, system)
	w.text(`,"osVersion":"`, version)
	w.text(`,"complianceState":"`, compliance)
	w.boolean(`,"managedDeviceOwnerType":"company","managementAgent":"mdm","deviceRegistrationState":"registered","deviceEnrollmentType":"userEnrollment","azureADRegistered":true,"isSupervised":false,"jailBroken":"False","isEncrypted":`, h>>50%10 != 0)
	w.time(`,"enrolledDateTime":"`, w.t.end-ticks(30+h%700)*perDay)
	w.time(`,"lastSyncDateTime":"`, w.t.end-ticks(h>>10%20)*perDay)
	w.number(`,"serialNumber":"SN`, 1_000_000+i)
	w.raw(`","manufacturer":"Contoso","model":"Model 1","deviceCategoryDisplayName":null,"partnerReportedThreatState":"unknown"}`)
}

func (w *writer) deviceConfiguration(i int) {
	kinds := [...]string{"windows10GeneralConfiguration", "windows10EndpointProtectionConfiguration", "macOSGeneralDeviceConfiguration", "iosGeneralDeviceConfiguration"}
	w.policyOf(kinds[i], postureConfiguration, i)
}

func (w *writer) compliancePolicy(i int) {
	kinds := [...]string{"windows10CompliancePolicy", "macOSCompliancePolicy", "iosCompliancePolicy"}
	w.policyOf(kinds[i], postureCompliance, i)
}

// policyOf writes what all configurations and policies have, and a few settings of checks' interest.
func (w *writer) policyOf(kind string, of uint64, i int) {
	w.text(`{"@odata.type":"#microsoft.graph.`, kind)
	w.guid(`,"id":"`, w.t.postureID(of, i))
	w.text(`,"displayName":"`, kind)
	w.time(`,"description":null,"createdDateTime":"`, w.t.end-300*perDay)
	w.time(`,"lastModifiedDateTime":"`, w.t.end-30*perDay)
	w.raw(`,"version":1,"passwordRequired":true,"passwordMinimumLength":6,"storageRequireEncryption":true}`)
}

func (w *writer) mobileApp(i int) {
	names := [...]string{"Company Portal", "Microsoft Teams", "Outlook", "Edge", "Defender", "Old Viewer"}
	kinds := [...]string{"winGetApp", "win32LobApp", "iosStoreApp", "androidManagedStoreApp", "iosVppApp", "win32LobApp"}
	w.text(`{"@odata.type":"#microsoft.graph.`, kinds[i])
	w.guid(`,"id":"`, w.t.postureID(postureMobileApp, i))
	w.text(`,"displayName":"`, names[i])
	w.time(`,"publisher":"Contoso","description":null,"createdDateTime":"`, w.t.end-300*perDay)
	w.time(`,"lastModifiedDateTime":"`, w.t.end-30*perDay)
	w.raw(`,"isFeatured":false,"privacyInformationUrl":null,"informationUrl":null,"owner":"","developer":"","notes":"","publishingState":"published"}`)
}

func (w *writer) detectedApp(i int) {
	names := [...]string{"7-Zip", "Chrome", "Firefox", "Notepad++", "TeamViewer", "Java 8", "Zoom", "Old Reader"}
	w.guid(`{"id":"`, w.t.postureID(postureDetectedApp, i))
	w.text(`,"displayName":"`, names[i])
	w.number(`,"version":"1.`, i)
	w.number(`","sizeInByte":0,"publisher":null,"platform":"windows","deviceCount":`, w.t.population.users/(i+2))
	w.raw("}")
}
