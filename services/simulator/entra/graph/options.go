package graph

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// options are the query options of a request, checked.
type options struct {
	top       int
	ascending bool
	// filter is what Window does not say alone; nil is everything.
	filter   odata.Expr
	from, to time.Time
	logs     []string
	selected []string
	// token is that of $skiptoken, "" on the first page.
	token string
	// expand are the relations to write into each object, with what to select of their ends.
	expand []expansion
	// delta is for changes.
	delta deltaOptions
}

var errTop = errors.New("$top is no number")

func topOf(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errTop
	}
	return n, nil
}

// readOptions checks the query options in the resource's grammar.
func (c *call) readOptions() *apiError {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return badRequest("The query string is malformed.")
	}
	for name := range q {
		if err := c.checkName(name); err != nil {
			return err
		}
	}
	if err := c.readTop(q); err != nil {
		return err
	}
	if err := c.readOrder(q.Get("$orderby")); err != nil {
		return err
	}
	if err := c.readFilter(q); err != nil {
		return err
	}
	c.opts.selected = splitList(q.Get("$select"))
	if err := c.readExpand(q.Get("$expand")); err != nil {
		return err
	}
	return c.readToken(q)
}

func (c *call) checkName(name string) *apiError {
	known := []string{"$filter", "$top", "$select", "$skiptoken", "$orderby"}
	if c.resource.logs == nil {
		known = append(known, "$count", "$expand", "$format")
	}
	switch {
	case !strings.HasPrefix(name, "$") || slices.Contains(known, name):
		return nil
	case name == "$skip" && c.resource.logs == nil:
		return fail(http.StatusBadRequest, "Request_UnsupportedQuery", "'$skip' is not supported by the service.")
	case name == "$skip" || name == "$count" || name == "$expand" || name == "$search":
		option := strings.ToUpper(name[1:2]) + name[2:]
		return badRequest("Query option '" + option + "' is not allowed. To allow it, set the 'AllowedQueryOptions' property on EnableQueryAttribute or QueryValidationSettings.")
	}
	return badRequest("The query parameter '" + name + "' is not supported.")
}

func (c *call) readTop(q url.Values) *apiError {
	c.opts.top = c.resource.defaultTop
	maxTop := c.resource.maxTop
	if c.selectsActivity() {
		maxTop = maxTopActivity
	}
	if !q.Has("$top") {
		return nil
	}
	top, err := topOf(q.Get("$top"))
	if err != nil || top < 1 || top > maxTop && c.resource.strictTop {
		code := "BadRequest"
		if c.resource.strictTop {
			code = "Request_BadRequest"
		}
		return fail(http.StatusBadRequest, code,
			"Invalid page size specified: '"+q.Get("$top")+"'. Must be between 1 and "+strconv.Itoa(maxTop)+" inclusive.")
	}
	c.opts.top = min(top, maxTop)
	return nil
}

func (c *call) readOrder(order string) *apiError {
	property, direction, _ := strings.Cut(strings.TrimSpace(order), " ")
	switch {
	case order == "":
		return nil
	case c.resource.logs == nil:
		return fail(http.StatusBadRequest, "Request_UnsupportedQuery", "Sorting not supported for current query.")
	case property != c.resource.cursor || direction != "" && direction != "asc" && direction != "desc":
		return badRequest("Invalid orderby clause")
	}
	c.opts.ascending = direction != "desc"
	return nil
}

func (c *call) readFilter(q url.Values) *apiError {
	c.opts.logs = c.resource.logs
	if len(c.opts.logs) > 1 {
		c.opts.logs = c.opts.logs[:1]
	}
	if !q.Has("$filter") {
		return nil
	}
	parsed, err := odata.Parse(q.Get("$filter"))
	if err == nil {
		oldest := time.Time{}
		if c.resource.report {
			oldest = c.now.Add(-oldestBound)
		}
		c.opts.filter, err = c.resource.schema(c.beta).Check(parsed, oldest)
	}
	if err != nil {
		return badRequest(err.Error())
	}
	c.nameLogs(parsed)
	if c.resource.cursor != "" {
		c.readWindow()
	}
	return nil
}

// readWindow takes the range of times out of the filter; what it says beside that stays.
func (c *call) readWindow() {
	filter := c.opts.filter
	if types := eventTypes(); len(c.resource.logs) > 1 {
		filter = withoutTypes(filter, types)
	}
	var exact bool
	c.opts.from, c.opts.to, exact = odata.Window(filter, c.resource.cursor, resolution)
	if exact {
		filter = nil
	}
	c.opts.filter = filter
}

// eventTypes are the logs of the sign-in event types.
func eventTypes() map[string]string {
	return map[string]string{
		"interactiveuser": tenant.Interactive, "noninteractiveuser": tenant.NonInteractive,
		"serviceprincipal": tenant.ServicePrincipal, "managedidentity": tenant.ManagedIdentity,
	}
}

const signInEventTypes = "signInEventTypes"

// nameLogs chooses the logs that a filter names by signInEventTypes, all that it names anywhere.
func (c *call) nameLogs(filter odata.Expr) {
	types, named, logs := eventTypes(), false, []string(nil)
	odata.Comparisons(filter, func(collection string, cmp odata.Compare) {
		if collection != signInEventTypes {
			return
		}
		named = true
		if log := types[strings.ToLower(cmp.Literal.Text)]; log != "" && !slices.Contains(logs, log) {
			logs = append(logs, log)
		}
	})
	if named {
		c.opts.logs = logs
	}
}

// withoutTypes takes a single condition on signInEventTypes out of a conjunction: choosing the logs has met it.
func withoutTypes(e odata.Expr, types map[string]string) odata.Expr {
	isTypes := func(e odata.Expr) bool {
		lambda, ok := e.(odata.Any)
		return ok && lambda.Path == signInEventTypes && onlyKnown(lambda.Cond, types)
	}
	if isTypes(e) {
		return nil
	}
	and, ok := e.(odata.And)
	if !ok {
		return e
	}
	n := 0
	for _, part := range and {
		if isTypes(part) {
			n++
		}
	}
	if n != 1 {
		return e
	}
	return slices.DeleteFunc(slices.Clone(and), isTypes)
}

// onlyKnown is true of one or several types between which there is an or.
func onlyKnown(e odata.Expr, types map[string]string) bool {
	switch e := e.(type) {
	case odata.Compare:
		return e.Path == "" && e.Op == odata.Eq && types[strings.ToLower(e.Literal.Text)] != ""
	case odata.Or:
		return !slices.ContainsFunc(e, func(part odata.Expr) bool { return !onlyKnown(part, types) })
	}
	return false
}

func splitList(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
