package directory

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// rawPage bounds the states with their JSON that are read at once.
const rawPage = 100

const (
	ofObject     = inTenants + " AND object = {object:String} AND id = {id:String}"
	tenantsQuery = "SELECT DISTINCT tenant_id FROM directory_history WHERE " + ofObject + " LIMIT 2"
	historyQuery = "SELECT version, observed_at, change, changed, deleted, display_name, if({raw:Bool}, raw, ''), integration" +
		" FROM directory_history FINAL WHERE " + ofObject + " AND version < {before:UInt64} ORDER BY version DESC LIMIT {limit:UInt64}"
)

// ListHistory returns a page of the states of an object.
func (s *Server) ListHistory(ctx context.Context, req *controlv1.ListHistoryRequest) (*controlv1.ListHistoryResponse, error) {
	tenants, err := caller.Tenants(ctx, named(req.GetTenantId()))
	if err != nil {
		return nil, err
	}
	cursor, err := s.open(req, tenants, 1)
	if err != nil {
		return nil, err
	}
	before := uint64(math.MaxUint64)
	if cursor[0] != "" {
		if before, err = strconv.ParseUint(cursor[0], 10, 64); err != nil {
			return nil, failure.NewInvalid("page_token", "must be next_page_token of an answer, unchanged")
		}
	}
	object := []any{clickhouse.Named("object", req.GetObject()), clickhouse.Named("id", req.GetId())}
	tenant, err := one(s.texts(ctx, statement{
		name: "history_tenants", sql: tenantsQuery, params: append(object, clickhouse.Named("tenants", emptied(tenants))),
	}))
	if err != nil {
		return nil, err
	}
	size := pageSize(req)
	if req.GetIncludeRaw() {
		size = min(size, rawPage)
	}
	answer := &controlv1.ListHistoryResponse{}
	err = s.query(ctx, statement{name: "history", sql: historyQuery, params: append(object,
		clickhouse.Named("tenants", []string{tenant}), clickhouse.Named("raw", req.GetIncludeRaw()),
		clickhouse.Named("before", before), clickhouse.Named("limit", size+1),
	)}, func(rows driver.Rows) error {
		var (
			state    = &controlv1.ObjectState{}
			observed time.Time
			raw      string
		)
		err := rows.Scan(&state.Version, &observed, &state.Change, &state.Changed, &state.Deleted, &state.DisplayName, &raw, &state.Integration)
		state.ObservedAt = timestamppb.New(observed)
		if raw != "" {
			state.Raw = []byte(raw)
		}
		answer.States = append(answer.States, state)
		return err
	})
	if err != nil {
		return nil, err
	}
	if n := cut(answer.GetStates(), size, int(s.cfg.PageBytes)); n < len(answer.GetStates()) {
		answer.States = answer.GetStates()[:n]
		answer.NextPageToken, err = s.seal(req, tenants, []string{strconv.FormatUint(answer.GetStates()[n-1].GetVersion(), 10)})
	}
	return answer, err
}
