package entra

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the finest instant of Graph's timestamps, which have seven digits.
const tick = 100 * time.Nanosecond

// instantLayout is how a filter writes an instant: unquoted, in UTC.
const instantLayout = "2006-01-02T15:04:05.0000000Z"

// Window returns the request for the closed window from ≤ t ≤ to, cut to 100 ns, in the order of the server:
// newest first. Set Class yourself. Only logs have windows; for others it is All.
func (d DataTypeInfo) Window(from, to time.Time) Request {
	r := d.All()
	if !d.Log {
		return r
	}
	from, to = from.UTC().Truncate(tick), to.UTC().Truncate(tick)
	// Some logs know only gt and lt: one tick further out is the same window.
	if d.LowerOp == "gt" {
		from = from.Add(-tick)
	}
	if d.UpperOp == "lt" {
		to = to.Add(tick)
	}
	filter := d.Cursor + " " + d.LowerOp + " " + from.Format(instantLayout) +
		" and " + d.Cursor + " " + d.UpperOp + " " + to.Format(instantLayout)
	if d.Filter != "" {
		filter += " and " + d.Filter
	}
	r.Query.Set("$filter", filter)
	r.Timeout = LogTimeout
	return r
}

// All returns the request for the whole collection, in the largest pages. Set Class yourself.
func (d DataTypeInfo) All() Request {
	r := Request{
		Path: "/" + d.Version + d.Path, Query: url.Values{}, Workload: d.Workload, Units: d.Units,
		Header: http.Header{}, Permission: slices.Clone(d.Permissions),
	}
	if d.PageSize > 0 {
		r.Query.Set("$top", strconv.Itoa(d.PageSize))
	}
	if d.Filter != "" {
		r.Query.Set("$filter", d.Filter)
	}
	if d.Prefer != "" {
		r.Header.Set("Prefer", d.Prefer)
	}
	return r
}

// Sample returns the request for one element at most: of the hour before now if it is a log.
func (d DataTypeInfo) Sample(now time.Time) Request {
	r := d.Window(now.Add(-time.Hour), now)
	if d.PageSize > 0 {
		r.Query.Set("$top", "1")
	}
	r.Timeout = 0
	return r
}

// Fallback returns the data type as FallbackVersion has it. ok is false if it has none.
func (d DataTypeInfo) Fallback() (_ DataTypeInfo, ok bool) {
	if d.FallbackVersion == "" {
		return d, false
	}
	d.Version, d.FallbackVersion = d.FallbackVersion, ""
	return d, true
}

// InCloud reports whether the cloud of that name has it.
func (d DataTypeInfo) InCloud(cloud string) bool {
	return !slices.ContainsFunc(d.MissingClouds, func(missing string) bool { return strings.EqualFold(missing, cloud) })
}
