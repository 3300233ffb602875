package audit

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// condition is a part of a filter: SQL that is a constant of this file, and what is bound to its parameters.
type condition struct {
	sql    string
	params []driver.NamedValue
}

// filter is a conjunction.
type filter []condition

// The conditions. Whoever may not see every tenant sees an entry if it may see each tenant that the entry is about,
// and there is one.
const (
	visibleSQL = "(tenant_id != '' OR notEmpty(tenant_ids)) AND (tenant_id = '' OR tenant_id IN {visible:Array(String)})" +
		" AND hasAll({visible:Array(String)}, tenant_ids)"
	tenantsSQL = "(tenant_id IN {tenants:Array(String)} OR hasAny(tenant_ids, {tenants:Array(String)}))"
	actorSQL   = "(lowerUTF8(actor) = lowerUTF8({actor:String}) OR lowerUTF8(actor_display_name) = lowerUTF8({actor:String}))"
	actionSQL  = "(action = {action:String} OR startsWith(action, concat({action:String}, '-')))"
	targetSQL  = "target = {target:String}"
	failedSQL  = "(code != 'OK') = {failed:Bool}"
	startSQL   = "time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')"
	endSQL     = "time < fromUnixTimestamp64Milli({end:Int64}, 'UTC')"
	afterSQL   = "time <= fromUnixTimestamp64Milli({at:Int64}, 'UTC')" +
		" AND (time < fromUnixTimestamp64Milli({at:Int64}, 'UTC') OR id < {id:String})"
)

// scope is what of the log a call is about.
type scope struct {
	// limited says that visible are all tenants that the caller may see.
	limited bool
	visible []string
	// wanted are the tenants that it asked for: entries about one of them. Empty: it named none.
	wanted []string
}

// compile turns a request into conditions. The error is an *failure.InvalidError.
func compile(req *controlv1.ListAuditEntriesRequest, s scope) (filter, error) {
	var f filter
	if s.limited {
		f.add(visibleSQL, clickhouse.Named("visible", sorted(s.visible)))
	}
	if len(s.wanted) > 0 {
		f.add(tenantsSQL, clickhouse.Named("tenants", sorted(s.wanted)))
	}
	if req.GetActor() != "" {
		f.add(actorSQL, clickhouse.Named("actor", req.GetActor()))
	}
	if req.GetAction() != "" {
		f.add(actionSQL, clickhouse.Named("action", req.GetAction()))
	}
	if req.GetTarget() != "" {
		f.add(targetSQL, clickhouse.Named("target", req.GetTarget()))
	}
	if req.Failed != nil {
		f.add(failedSQL, clickhouse.Named("failed", req.GetFailed()))
	}
	return f, f.addTimes(req.GetStart(), req.GetEnd())
}

func (f *filter) add(sql string, params ...driver.NamedValue) {
	*f = append(*f, condition{sql, params})
}

func (f *filter) addTimes(start, end *timestamppb.Timestamp) error {
	from, to := int64(0), latest
	var err error
	if start != nil {
		if from, err = milliseconds("start", start); err != nil {
			return err
		}
		f.add(startSQL, clickhouse.Named("start", from))
	}
	if end != nil {
		if to, err = milliseconds("end", end); err != nil {
			return err
		}
		f.add(endSQL, clickhouse.Named("end", to))
	}
	if from > to {
		return failure.NewInvalid("start", "must not be after end")
	}
	return nil
}

// latest is the year 2200 in milliseconds since 1970: no call is that late, and the store's times end in 2299.
const latest = int64(7_258_118_400_000)

// milliseconds rounds up: times are stored in whole milliseconds, so "at or after t" and "before t" mean the same for
// t and for the next whole millisecond. What no call can have is as good as the bounds of what one can.
func milliseconds(field string, t *timestamppb.Timestamp) (int64, error) {
	if err := t.CheckValid(); err != nil {
		return 0, failure.NewInvalid(field, "must be a valid time")
	}
	return min(max(t.AsTime().Add(time.Millisecond-time.Nanosecond).UnixMilli(), 0), latest), nil
}

// newestFirst is the order of a list. Rows of one key are one entry; FINAL would say so only after merging every row.
const newestFirst = " ORDER BY time DESC, id DESC LIMIT 1 BY time, id"

// listQuery reads entries of a filter: first just their keys, as for rare ones most rows are looked at in vain.
func listQuery(f *filter) string {
	return "SELECT " + tables.AuditEntryColumns + " FROM " + tables.AuditLog + " WHERE (time, id) GLOBAL IN (" +
		"SELECT time, id FROM " + tables.AuditLog + " WHERE " + f.sql() + newestFirst + " LIMIT {limit:UInt64}" +
		")" + newestFirst
}

func listParams(f *filter, after cursor, limit int) []any {
	return append(f.params(), clickhouse.Named("at", after.at), clickhouse.Named("id", after.id), clickhouse.Named("limit", limit))
}

// sql returns the conjunction, and that of the place to go on after.
func (f *filter) sql() string {
	parts := []string{afterSQL}
	for _, c := range *f {
		parts = append(parts, c.sql)
	}
	return strings.Join(parts, " AND ")
}

// params returns what is bound to the parameters of the filter.
func (f *filter) params() []any {
	var params []any
	for _, c := range *f {
		for _, p := range c.params {
			params = append(params, p)
		}
	}
	return params
}

// digestSize is the size of a filter's digest in a page token.
const digestSize = 16

// digest tells filters apart that mean different things.
func (f *filter) digest() [digestSize]byte {
	h := sha256.New()
	for _, c := range *f {
		for _, p := range c.params {
			_, _ = fmt.Fprintf(h, "%s %#v\n", p.Name, p.Value) // a hash takes everything
		}
	}
	return [digestSize]byte(h.Sum(nil))
}

func sorted(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}
