package tables

import directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"

// deviceColumns are the columns of devices_current beside the object's.
func deviceColumns() []source[*directoryObject] {
	type device = directoryv1.Device
	d := partOf((*directoryObject).GetDevice)
	return []source[*directoryObject]{
		d.text("device_id", (*device).GetDeviceId),
		d.maybeBool("account_enabled", func(d *device) *bool { return d.AccountEnabled }),
		d.text("operating_system", (*device).GetOperatingSystem),
		d.text("operating_system_version", (*device).GetOperatingSystemVersion),
		d.text("trust_type", (*device).GetTrustType),
		d.maybeBool("is_compliant", func(d *device) *bool { return d.IsCompliant }),
		d.maybeBool("is_managed", func(d *device) *bool { return d.IsManaged }),
		d.maybeBool("is_rooted", func(d *device) *bool { return d.IsRooted }),
		d.text("management_type", (*device).GetManagementType),
		d.text("profile_type", (*device).GetProfileType),
		d.text("manufacturer", (*device).GetManufacturer),
		d.text("model", (*device).GetModel),
		d.text("device_ownership", (*device).GetDeviceOwnership),
		d.text("enrollment_type", (*device).GetEnrollmentType),
		d.maybeBool("on_premises_sync_enabled", func(d *device) *bool { return d.OnPremisesSyncEnabled }),
		d.maybeTime("registered_at", (*device).GetRegisteredAt),
		d.maybeTime("approximate_last_sign_in_at", (*device).GetApproximateLastSignInAt),
		d.maybeTime("compliance_expires_at", (*device).GetComplianceExpiresAt),
	}
}

// managedDeviceColumns are the columns of managed_devices_current beside the object's.
func managedDeviceColumns() []source[*directoryObject] {
	type device = directoryv1.ManagedDevice
	d := partOf((*directoryObject).GetManagedDevice)
	return []source[*directoryObject]{
		d.text("azure_ad_device_id", (*device).GetAzureAdDeviceId),
		d.text("device_name", (*device).GetDeviceName),
		d.text("user_id", (*device).GetUserId),
		d.text("user_principal_name", (*device).GetUserPrincipalName),
		d.text("operating_system", (*device).GetOperatingSystem),
		d.text("os_version", (*device).GetOsVersion),
		d.text("compliance_state", (*device).GetComplianceState),
		d.maybeTime("compliance_grace_period_expires_at", (*device).GetComplianceGracePeriodExpiresAt),
		d.text("management_agent", (*device).GetManagementAgent),
		d.text("owner_type", (*device).GetOwnerType),
		d.text("jail_broken", (*device).GetJailBroken),
		d.maybeBool("is_encrypted", func(d *device) *bool { return d.IsEncrypted }),
		d.maybeBool("is_supervised", func(d *device) *bool { return d.IsSupervised }),
		d.text("manufacturer", (*device).GetManufacturer),
		d.text("model", (*device).GetModel),
		d.text("serial_number", (*device).GetSerialNumber),
		d.maybeTime("enrolled_at", (*device).GetEnrolledAt),
		d.maybeTime("last_sync_at", (*device).GetLastSyncAt),
	}
}
