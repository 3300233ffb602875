// Package events answers SearchEvents from the tables of events other than sign-ins.
//
// It turns a request into conditions, which is pure and whose SQL is constants of this package, and has package search find
// what they let through. It writes nothing.
package events

import (
	"context"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/decode"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/search"
)

// Conditions on the user, by kind; kinds without one know no user. The keys are in lower case, the ids as they came.
const (
	auditUser = "(initiator_user_key = {user:String} OR has(`targets.user_key`, {user:String})" +
		" OR lower(initiator_user_id) = {user:String} OR arrayExists(id -> lower(id) = {user:String}, `targets.id`))"
	riskUser = "(user_key = {user:String} OR lower(user_id) = {user:String})"
)

// Conditions on the user by name alone: no object id has an @, and they are found by an index.
const (
	auditUserName = "(initiator_user_key = {user:String} OR has(`targets.user_key`, {user:String}))"
	riskUserName  = "user_key = {user:String}"
)

const activitySQL = "lowerUTF8(activity) = lowerUTF8({activity:String})"

// Server answers SearchEvents.
type Server struct{ searcher *search.Searcher }

// NewServer returns the Server.
func NewServer(searcher *search.Searcher) *Server { return &Server{searcher: searcher} }

// SearchEvents returns a page of events of one kind, newest first.
func (s *Server) SearchEvents(
	ctx context.Context, req *controlv1.SearchEventsRequest,
) (*controlv1.SearchEventsResponse, error) {
	tenants, err := caller.Tenants(ctx, req.GetTenantIds())
	if err != nil {
		return nil, err
	}
	compiled, err := compile(req, tenants)
	if err != nil {
		return nil, err
	}
	found, next, err := s.searcher.Find(ctx, compiled, search.Page{
		Size: req.GetPageSize(), Token: req.GetPageToken(), IncludeRaw: req.GetIncludeRaw(),
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.SearchEventsResponse{Events: found, NextPageToken: next}, nil
}

// compile checks req and turns it into conditions on the events of tenants; none are all. The error is an
// *failure.InvalidError.
func compile(req *controlv1.SearchEventsRequest, tenants []string) (*search.Filter, error) {
	kind := req.GetKind()
	if kind == decode.KindSignIn {
		return nil, failure.NewInvalid("kind", "sign-ins are searched with SignInService.SearchSignIns, at /v1/sign-ins")
	}
	compiled := search.NewFilter(kind)
	if err := compiled.Between("", req.GetStart(), req.GetEnd()); err != nil {
		return nil, err
	}
	compiled.AddTenants(tenants)
	if err := addUser(compiled, kind, req.GetUser()); err != nil {
		return nil, err
	}
	if req.GetActivity() != "" {
		if !isAudit(kind) {
			return nil, failure.NewInvalid("activity", "only events of the kinds audit and custom_security_attribute_audit have one")
		}
		compiled.Add(activitySQL, clickhouse.Named("activity", strings.ToLower(req.GetActivity())))
	}
	return compiled, nil
}

func isAudit(kind string) bool {
	return kind == decode.KindAudit || kind == decode.KindCustomSecurityAttributeAudit
}

// addUser restricts to a user by name or id.
func addUser(f *search.Filter, kind, user string) error {
	if user == "" {
		return nil
	}
	named := strings.Contains(user, "@")
	var sql string
	switch {
	case isAudit(kind) && named:
		sql = auditUserName
	case isAudit(kind):
		sql = auditUser
	case kind != decode.KindRiskDetection && kind != decode.KindRiskyUser:
		return failure.NewInvalid("user", "only events of the kinds audit, custom_security_attribute_audit, risk_detection and risky_user have one")
	case named:
		sql = riskUserName
	default:
		sql = riskUser
	}
	f.Add(sql, clickhouse.Named("user", tables.Key(user)))
	return nil
}
