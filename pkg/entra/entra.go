// Package entra reads Microsoft Graph for one application in one tenant: clouds, credentials, causes of
// failure with what to do about them, and a client that keeps to the request budget.
//
// It sends GET requests and token requests to the endpoints of one cloud, over TLS, and never a token
// anywhere else. It writes nothing, keeps nothing on disk, and puts no token, secret or response body into
// an error or a log. Facts and traps come from reference/graph.md.
package entra
