package search

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/decode"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// tableOf has the tables of kinds, as tables.Events.For puts their events; those of all others are in tables.OtherEvents.
var tableOf = map[string]string{
	decode.KindSignIn:                        tables.SignIns,
	decode.KindAudit:                         tables.Audits,
	decode.KindCustomSecurityAttributeAudit:  tables.Audits,
	decode.KindRiskDetection:                 tables.RiskDetections,
	decode.KindServicePrincipalRiskDetection: tables.RiskDetections,
	decode.KindRiskyUser:                     tables.RiskyUsers,
	decode.KindProvisioning:                  tables.Provisioning,
}

// condition is a part of a filter: SQL that is a constant, and what is bound to its parameters.
type condition struct {
	sql    string
	params []driver.NamedValue
}

// Filter chooses events of one kind: bounds of occurred_at and a conjunction. It is built by one goroutine and may be shared
// when it is not changed any more.
type Filter struct {
	kind, table string
	// from (inclusive) and to (exclusive) are milliseconds since 1970.
	from, to   int64
	conditions []condition
}

// NewFilter returns the filter that lets through every event of a kind.
func NewFilter(kind string) *Filter {
	f := &Filter{kind: kind, from: math.MinInt64, to: math.MaxInt64}
	table, ok := tableOf[kind]
	if !ok {
		table = tables.OtherEvents
	}
	f.table = table
	if table != tables.SignIns { // which has one kind alone
		f.Add("kind = {kind:String}", clickhouse.Named("kind", kind))
	}
	return f
}

// Between restricts occurred_at to from start, inclusive, to end, exclusive; nil is no bound. Under stands before the names
// start and end in the *failure.InvalidError for a time that is none, or a start after the end: "filter.".
func (f *Filter) Between(under string, start, end *timestamppb.Timestamp) error {
	var err error
	if start != nil {
		if f.from, err = milliseconds(under+"start", start); err != nil {
			return err
		}
	}
	if end != nil {
		if f.to, err = milliseconds(under+"end", end); err != nil {
			return err
		}
	}
	if f.from > f.to {
		return failure.NewInvalid(under+"start", "must not be after "+under+"end")
	}
	return nil
}

// Bounds returns the bounds of occurred_at in milliseconds since 1970, from inclusive and to exclusive.
func (f *Filter) Bounds() (from, to int64) { return f.from, f.to }

// Add adds a condition that must be true, too: sql must be a constant, and params bind its parameters. The names from, at,
// id, limit, kind and row_… are taken.
func (f *Filter) Add(sql string, params ...driver.NamedValue) {
	f.conditions = append(f.conditions, condition{sql, params})
}

// AddTexts adds a condition on values, to which normal is applied, bound to the parameter called name: none if there are no
// values.
func (f *Filter) AddTexts(sql, name string, values []string, normal func(string) string) {
	if len(values) == 0 {
		return
	}
	normalized := make([]string, 0, len(values))
	for _, value := range values {
		normalized = append(normalized, normal(value))
	}
	f.Add(sql, clickhouse.Named(name, sorted(normalized)))
}

// AddTenants restricts to tenants; none are no restriction.
func (f *Filter) AddTenants(ids []string) {
	f.AddTexts("tenant_id IN {tenants:Array(String)}", "tenants", ids, strings.ToLower)
}

// digestSize is the size of a filter's digest in a page token.
const digestSize = 16

// digest tells filters apart that mean different things.
func (f *Filter) digest() [digestSize]byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %d %d\n", f.kind, f.from, f.to) // a hash takes everything
	for _, c := range f.conditions {
		for _, p := range c.params {
			_, _ = fmt.Fprintf(h, "%s %#v\n", p.Name, p.Value)
		}
	}
	return [digestSize]byte(h.Sum(nil))
}

// SQL returns the conjunction of the conditions. It may be NULL, which means false.
func (f *Filter) SQL() string {
	if len(f.conditions) == 0 {
		return "true"
	}
	parts := make([]string, 0, len(f.conditions))
	for _, c := range f.conditions {
		parts = append(parts, c.sql)
	}
	return strings.Join(parts, " AND ")
}

// Params returns what is bound to the parameters of SQL.
func (f *Filter) Params() []driver.NamedValue {
	var params []driver.NamedValue
	for _, c := range f.conditions {
		params = append(params, c.params...)
	}
	return params
}

// bind returns Params and more, as a statement takes them.
func (f *Filter) bind(more ...driver.NamedValue) []any {
	var params []any
	for _, p := range slices.Concat(f.Params(), more) {
		params = append(params, p)
	}
	return params
}

// milliseconds rounds up: occurred_at has whole milliseconds, so "at or after t" and "before t" mean
// the same for t and for the next whole millisecond.
func milliseconds(field string, t *timestamppb.Timestamp) (int64, error) {
	if err := t.CheckValid(); err != nil {
		return 0, failure.NewInvalid(field, "must be a valid time")
	}
	return t.AsTime().Add(time.Millisecond - time.Nanosecond).UnixMilli(), nil
}

func sorted(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}
