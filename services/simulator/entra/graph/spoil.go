package graph

import (
	"net/http"
	"strconv"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/fault"
)

const badGatewayPage = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n" +
	"<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n</body>\r\n</html>\r\n"

func (c *call) faultTarget() fault.Request {
	return fault.Request{Tenant: c.tenant.ID(), App: c.claims.AppID, Path: c.r.URL.Path}
}

// spoil answers in place of the service if a fault says so, and waits if one says that. How long an answer shall take at
// least it only notes.
func (g *Graph) spoil(c *call) *apiError {
	kinds := []fault.Kind{
		fault.Throttle, fault.Unavailable, fault.GatewayTimeout, fault.BadGateway, fault.Unauthorized, fault.Latency, fault.Forbidden,
	}
	switch {
	case !c.r.URL.Query().Has("$skiptoken"):
		kinds = append(kinds, fault.Slow)
	case c.resource.logs == nil:
		kinds = append(kinds, fault.SkipToken, fault.PageToken, fault.ExpiredPageToken)
	default:
		kinds = append(kinds, fault.SkipToken)
	}
	for _, f := range g.set.Faults.Draw(c.faultTarget(), kinds...) {
		if f.Kind == fault.Latency {
			c.latency = max(c.latency, f.Delay)
			continue
		}
		if f.Kind == fault.Slow {
			if g.set.Sleep(c.r, f.Delay) != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
			continue
		}
		bucket, _ := c.charges()
		if f.Kind == fault.Throttle {
			g.set.Throttle.CountFault(bucket, c.tenant.ID(), c.claims.AppID)
		}
		return faultError(f)
	}
	return nil
}

// delay waits until an answer has taken as long as it shall. What the simulator itself took counts.
func (g *Graph) delay(c *call, began time.Time) {
	left := c.latency - time.Since(began)
	if left > 0 && g.set.Sleep(c.r, left) != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

func faultError(f fault.Fault) *apiError {
	switch f.Kind {
	case fault.Throttle:
		return tooManyRequests(time.Duration(f.RetryAfterSeconds) * time.Second)
	case fault.Unavailable:
		err := fail(http.StatusServiceUnavailable, "serviceNotAvailable", "The service is temporarily unavailable. Please retry.")
		if f.RetryAfterSeconds > 0 {
			err.header.Set("Retry-After", strconv.Itoa(f.RetryAfterSeconds))
		}
		return err
	case fault.GatewayTimeout:
		return fail(http.StatusGatewayTimeout, "UnknownError", "")
	case fault.BadGateway:
		err := fail(http.StatusBadGateway, "", "")
		err.html = badGatewayPage
		return err
	case fault.Forbidden:
		return insufficient()
	case fault.PageToken, fault.ExpiredPageToken:
		return pageTokenError(f.Kind)
	case fault.Unauthorized:
		return unauthorized("Access token has expired or is not yet valid.")
	}
	return badRequest("Invalid Skip Token, skip token is null")
}

// The faults of page tokens are named by graph.md §3.1; the second's text is that of msgraph-sdk-dotnet#2254.
func pageTokenError(kind fault.Kind) *apiError {
	if kind == fault.PageToken {
		return fail(http.StatusBadRequest, "DirectoryPageTokenNotFoundException", "The page token of the request was not found.")
	}
	return fail(http.StatusBadRequest, "Directory_ExpiredPageToken",
		"The specified page token value has expired and can no longer be included in your request.")
}

// WriteFault answers a request to another host than Graph with a fault: the errors of the gateways in front are the same.
func WriteFault(w http.ResponseWriter, r *http.Request, f fault.Fault, now time.Time) {
	faultError(f).write(w, &call{r: r, now: now, requestID: newID()})
}
