package graph

import (
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// objectResources are the objects that can be changed, and what they lead to. Sources: graph.md §3.1 to §3.3, §3.5, §4.1.
var objectResources = []resource{
	{
		path: "organization", typeName: "organization", collection: tenant.Organizations, bucket: throttle.BucketDirectory, units: 1,
		permissions: []string{"Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "User.ReadWrite.All"},
		defaultTop:  100, maxTop: 999, strictTop: true,
	},
	{
		path: "subscribedSkus", typeName: "subscribedSku", collection: tenant.SubscribedSkus, bucket: throttle.BucketDirectory, units: 3,
		permissions: []string{"LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"},
		defaultTop:  100, maxTop: 999, strictTop: true,
	},
	{
		path: "applications", typeName: "application", collection: tenant.Applications, bucket: throttle.BucketDirectory, units: 2,
		permissions: readApplications, deltaPermissions: readApplications, expands: []tenant.Relation{tenant.Owners},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: applicationFilters,
	},
	{
		path: "servicePrincipals", typeName: "servicePrincipal", collection: tenant.ServicePrincipals, bucket: throttle.BucketDirectory, units: 1,
		permissions: readApplications, deltaPermissions: readApplications, expands: []tenant.Relation{tenant.Owners},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: applicationFilters,
	},
	{
		path: "users", typeName: "user", collection: tenant.Users, bucket: throttle.BucketDirectory, units: 2,
		permissions: readUsers, deltaPermissions: readUsers, expands: []tenant.Relation{tenant.Manager},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: userFilters, defaults: userDefaults,
	},
	{
		path: "groups", typeName: "group", collection: tenant.Groups, bucket: throttle.BucketDirectory, units: 1,
		permissions: readGroups, deltaPermissions: readGroups, expands: []tenant.Relation{tenant.Members, tenant.Owners},
		deltaLinks: []tenant.Relation{tenant.Members},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: groupFilters,
	},
	links("groups/{id}/members", tenant.Groups, tenant.Members, 3, readMembers),
	links("groups/{id}/members/{cast}", tenant.Groups, tenant.Members, 3, readMembers),
	transitive(links("groups/{id}/transitiveMembers", tenant.Groups, tenant.Members, 5, readMembers)),
	transitive(links("groups/{id}/transitiveMembers/{cast}", tenant.Groups, tenant.Members, 5, readMembers)),
	links("groups/{id}/owners", tenant.Groups, tenant.Owners, 1, readMembers),
	reverse(links("groups/{id}/memberOf", tenant.Groups, tenant.Members, 1, readMembers)),
	reverse(links("users/{id}/memberOf", tenant.Users, tenant.Members, 2, readUsers)),
	transitive(reverse(links("users/{id}/transitiveMemberOf", tenant.Users, tenant.Members, 2, readUsers))),
	{
		path: "devices", typeName: "device", collection: tenant.Devices, bucket: throttle.BucketDirectory, units: 1,
		permissions: readDevices, expands: []tenant.Relation{tenant.RegisteredOwners},
		// Directory.Read.All is not enough here (graph.md §3.1).
		deltaPermissions: []string{"Device.Read.All", "Device.ReadWrite.All"},
		defaultTop:       100, maxTop: 999, strictTop: true, filters: deviceFilters,
	},
	links("devices/{id}/registeredOwners", tenant.Devices, tenant.RegisteredOwners, 1, readDevices),
	links("devices/{id}/registeredUsers", tenant.Devices, tenant.RegisteredOwners, 1, readDevices),
	reverse(links("users/{id}/registeredDevices", tenant.Users, tenant.RegisteredOwners, 1, readUsers)),
	reverse(links("users/{id}/ownedDevices", tenant.Users, tenant.RegisteredOwners, 1, readUsers)),
	links("applications/{id}/owners", tenant.Applications, tenant.Owners, 1, readApplications),
	links("servicePrincipals/{id}/owners", tenant.ServicePrincipals, tenant.Owners, 1, readApplications),
}

// The permissions of which one is needed, the least first (graph.md §4.1).
var (
	readUsers   = []string{"User.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "User.ReadWrite.All"}
	readDevices = []string{"Device.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Device.ReadWrite.All"}
	readGroups  = []string{
		"Group.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Group.ReadWrite.All",
	}
	readMembers = []string{
		"GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Group.ReadWrite.All",
	}
	readApplications = []string{"Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Application.ReadWrite.All"}
)

// links is the resource of a relation of one object.
func links(path string, parent tenant.Collection, relation tenant.Relation, units int, permissions []string) resource {
	return resource{
		path: path, parent: parent, typeName: "directoryObject", relation: relation, bucket: throttle.BucketDirectory, units: units,
		permissions: permissions, defaultTop: 100, maxTop: 999, strictTop: true,
	}
}

func transitive(r resource) resource {
	r.transitive = true
	return r
}

func reverse(r resource) resource {
	r.reverse = true
	return r
}
