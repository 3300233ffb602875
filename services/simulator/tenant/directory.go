package tenant

import "time"

// Collection is a collection of directory objects, by its name in Graph's paths.
type Collection string

// The collections that exist.
const (
	Users             Collection = "users"
	OrganizationInfo  Collection = "organization"
	SubscribedSkus    Collection = "subscribedSkus"
	Applications      Collection = "applications"
	ServicePrincipals Collection = "servicePrincipals"
)

// Count returns how many objects the collection has: 0 if it does not exist.
func (t *Tenant) Count(c Collection) int { return 0 }

// Object returns object i of the collection, 0 to Count-1, as Graph beta's JSON in one line with
// all properties that this package knows (signInActivity of users too: remove what was not
// selected). At is the time of the read. Nil if there is no such object.
func (t *Tenant) Object(c Collection, i int, at time.Time) []byte { return nil }

// Find returns the index of the object with this id, or -1. Users are found by user principal
// name too, applications by appId too, service principals by appId too.
func (t *Tenant) Find(c Collection, id string) int { return -1 }
