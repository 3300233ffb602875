// Package catalogue is the table of what is read of a directory: where Graph has it, how it is read, and what
// kind of object comes of it.
//
// It is data. Sources: graph.md §3 and §4, entra-lists.md §9.
package catalogue

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Type is a row: a collection, or one object, of Graph.
type Type struct {
	// ID is the data type as people see it; Title says it in words.
	ID    entra.DataType
	Title string
	// Kind is the kind token of its objects.
	Kind string
	// Version is v1.0 or beta, Path what follows it. "{id}" in it stands for each object of the kind Parent.
	Version, Path, Parent string
	// Delta says that Graph tells what has changed; the others are read whole each time.
	Delta bool
	// Select are the properties that are read; empty is what Graph gives. Relations are read beside them.
	Select, Relations []string
	// Expand is $expand; empty if there is none.
	Expand string
	// Format is $format; empty if there is none.
	Format string
	// Top is the largest $top; 0 if the endpoint takes none, as no delta does.
	Top int
	// Single is the id of the only object, or ParentID if there is one for each parent; empty for collections.
	Single string
	// Key is the property that has the object's id; empty is "id".
	Key string
	// Permissions are sufficient each by itself, the least privileged first. DeltaPermissions are those of the delta if
	// they are others; the collection is read whole where they are missing.
	Permissions, DeltaPermissions []string
	Licence                       entra.Licence
	Workload                      budget.Workload
	// Units is what a request costs of Directory's ResourceUnits.
	Units int
	// OptIn says that it is read only if the configuration names it.
	OptIn bool
	// Daily says that it changes so seldom, or costs so much, that it is read once a day.
	Daily bool
}

// Types returns the table. The slice is the caller's.
func Types() []Type {
	return slices.Concat(people(), applications(), roles(), policies(), tenant(), reports(), intune())
}

// Find returns a row by its id.
func Find(id entra.DataType) (Type, bool) {
	all := Types()
	i := slices.IndexFunc(all, func(t Type) bool { return t.ID == id })
	if i < 0 {
		return Type{}, false
	}
	return all[i], true
}

// Request returns the first request of a round: of the delta from its beginning, or of the whole collection. parent
// stands in for "{id}" of the path. Set Class yourself.
func (t Type) Request(delta bool, parent string) entra.Request {
	r := entra.Request{
		Path: "/" + t.Version + strings.ReplaceAll(t.Path, ParentID, url.PathEscape(parent)), Query: url.Values{},
		Workload: t.Workload, Units: max(t.Units, 1), Header: http.Header{}, Permission: slices.Clone(t.Permissions),
	}
	selected := t.Select
	if delta {
		r.Path += "/delta"
		selected = slices.Concat(selected, t.Relations)
		if t.DeltaPermissions != nil {
			r.Permission = slices.Clone(t.DeltaPermissions)
		}
	}
	if len(selected) > 0 {
		r.Query.Set("$select", strings.Join(selected, ","))
		r.Units = max(r.Units-1, 1) // graph.md §3.5
	}
	if t.Expand != "" {
		r.Query.Set("$expand", t.Expand)
		r.Units++
	}
	if t.Format != "" {
		r.Query.Set("$format", t.Format)
	}
	if t.Top > 0 && !delta {
		r.Query.Set("$top", strconv.Itoa(t.Top))
	}
	return r
}

// Gathers reports whether an object may come in many pages, each with a slice of its links.
func (t Type) Gathers() bool { return slices.Contains(t.Relations, "members") }

// Fingerprint changes whenever the same token would no longer bring what is read now.
func (t Type) Fingerprint() string {
	return t.Version + t.Path + "?" + strings.Join(slices.Concat(t.Select, t.Relations), ",") + "&" + t.Expand
}

// ParentID stands for the parent's id.
const ParentID = "{id}"

const (
	topDirectory = 999
	topReport    = 1000
	topActivity  = 500 // graph.md §3.2

	readDirectory  = "Directory.Read.All"
	writeDirectory = "Directory.ReadWrite.All"
	readPolicy     = "Policy.Read.All"
	readAudit      = "AuditLog.Read.All"
	readApps       = "Application.Read.All"
	readRoles      = "RoleManagement.Read.Directory"
)
