package events

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// The statement never depends on what is in a request, only on what is set and on the kind.
func FuzzCompile(f *testing.F) {
	f.Add("audit", "ada@example.com", "Update user", "t", int64(0), int64(5))
	f.Add("risky_user", "') OR 1=1 --", "", "'; DROP TABLE audits; --", int64(9), int64(5))
	f.Add("graph_activity", "", "", "{kind:String}", int64(-1), int64(1)<<60)
	f.Fuzz(func(t *testing.T, kind, user, activity, tenant string, start, end int64) {
		compiled, err := compile(&controlv1.SearchEventsRequest{
			Kind: kind, User: user, Activity: activity,
			Start: &timestamppb.Timestamp{Seconds: start}, End: &timestamppb.Timestamp{Seconds: end},
		}, []string{tenant})
		if err != nil {
			if _, ok := errors.AsType[*failure.InvalidError](err); !ok {
				t.Fatalf("compile returned a %T", err)
			}
			return
		}
		known := map[string]bool{
			tenantSQL: true, tenantSQL + " AND " + auditUser: true, tenantSQL + " AND " + auditUserName: true,
			tenantSQL + " AND " + riskUser: true, tenantSQL + " AND " + riskUserName: true,
			tenantSQL + " AND " + activitySQL:                           true,
			tenantSQL + " AND " + auditUser + " AND " + activitySQL:     true,
			tenantSQL + " AND " + auditUserName + " AND " + activitySQL: true,
		}
		if !known[compiled.SQL()] {
			t.Fatalf("a value reached the statement: %s", compiled.SQL())
		}
	})
}

const tenantSQL = "kind = {kind:String} AND tenant_id IN {tenants:Array(String)}"
