package signins

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/decode"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// condition is a part of a filter: SQL that is a constant of this file, and what is bound to its
// parameters.
type condition struct {
	sql    string
	params []driver.NamedValue
}

// filter is a SignInFilter ready to be asked: the bounds of occurred_at in milliseconds since 1970,
// from inclusive and to exclusive, and a conjunction.
type filter struct {
	from, to   int64
	conditions []condition
}

// compile checks f and turns it into conditions. The error is an *failure.InvalidError.
func compile(f *controlv1.SignInFilter) (filter, error) {
	compiled := filter{from: math.MinInt64, to: math.MaxInt64}
	var err error
	if f.GetStart() != nil {
		if compiled.from, err = milliseconds("filter.start", f.GetStart()); err != nil {
			return filter{}, err
		}
	}
	if f.GetEnd() != nil {
		if compiled.to, err = milliseconds("filter.end", f.GetEnd()); err != nil {
			return filter{}, err
		}
	}
	if compiled.from > compiled.to {
		return filter{}, failure.NewInvalid("filter.start", "must not be after filter.end")
	}
	compiled.addTexts("tenant_id IN {tenants:Array(String)}", "tenants", f.GetTenantIds(), strings.ToLower)
	compiled.addUser(f.GetUser())
	if f.GetApp() != "" {
		compiled.add("(lower(app_id) = {app:String} OR lower(app_service_principal_id) = {app:String}"+
			" OR lower(service_principal_id) = {app:String})",
			clickhouse.Named("app", strings.ToLower(f.GetApp())))
	}
	if err := compiled.addAddress(f.GetIp()); err != nil {
		return filter{}, err
	}
	compiled.addTexts("country IN {countries:Array(String)}", "countries", f.GetCountries(), strings.ToUpper)
	compiled.addOutcome(f.GetOutcome())
	compiled.addErrorCodes(f.GetErrorCodes())
	compiled.addTypes(f.GetTypes())
	return compiled, nil
}

func (f *filter) add(sql string, params ...driver.NamedValue) {
	f.conditions = append(f.conditions, condition{sql, params})
}

// addUser restricts to a user by name or id.
func (f *filter) addUser(user string) {
	switch {
	case user == "":
	case strings.Contains(user, "@"):
		// No object id has one, and one index is looked through in half the time of two.
		f.add("user_key = {user:String}", clickhouse.Named("user", tables.Key(user)))
	default:
		f.add("(user_key = {user:String} OR lower(user_id) = {user:String})", clickhouse.Named("user", tables.Key(user)))
	}
}

func (f *filter) addTexts(sql, name string, values []string, normal func(string) string) {
	if len(values) == 0 {
		return
	}
	normalized := make([]string, 0, len(values))
	for _, value := range values {
		normalized = append(normalized, normal(value))
	}
	f.add(sql, clickhouse.Named(name, sorted(normalized)))
}

// noAddress is the condition that leaves out rows without an address, which have "::" there. Others need
// not be asked: it is another column to read.
const noAddress = " AND ip_address != ''"

// addAddress restricts to an address or a network.
func (f *filter) addAddress(text string) error {
	if text == "" {
		return nil
	}
	first, last, err := addressRange(strings.TrimSpace(text))
	if err != nil {
		return failure.NewInvalid("filter.ip", "must be an IP address or a network in CIDR form")
	}
	named := ""
	if first == netip.IPv6Unspecified() {
		named = noAddress
	}
	if first == last {
		// The index knows single addresses.
		f.add("(ip = toIPv6({ip:String})"+named+")", clickhouse.Named("ip", first.String()))
		return nil
	}
	within := "ip BETWEEN toIPv6({ip_first:String}) AND toIPv6({ip_last:String})"
	params := []driver.NamedValue{clickhouse.Named("ip_first", first.String()), clickhouse.Named("ip_last", last.String())}
	if network, ok := indexedNetwork(first, last); ok {
		within = "has(" + indexedNetworks + ", toIPv6({ip_network:String})) AND " + within
		params = append(params, clickhouse.Named("ip_network", network.String()))
	}
	f.add("("+within+named+")", params...)
	return nil
}

// indexedNetworks is the expression of the index by_network, to the letter.
const indexedNetworks = "[tupleElement(IPv6CIDRToRange(ip, 48), 1), tupleElement(IPv6CIDRToRange(ip, 64), 1)," +
	" tupleElement(IPv6CIDRToRange(ip, 112), 1), tupleElement(IPv6CIDRToRange(ip, 120), 1)]"

// indexedNetwork returns the first address of the smallest network of indexedNetworks that has all addresses from first
// to last; false if none has, or only the one that has all of IPv4.
func indexedNetwork(first, last netip.Addr) (netip.Addr, bool) {
	for _, bits := range [...]int{120, 112, 64, 48} {
		network := netip.PrefixFrom(first, bits).Masked()
		if network.Contains(last) {
			return network.Addr(), !network.Addr().IsUnspecified()
		}
	}
	return netip.Addr{}, false
}

// addressRange returns the first and last address that text means, IPv4 mapped into IPv6.
func addressRange(text string) (first, last netip.Addr, err error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err == nil && address.Zone() != "" {
			err = fmt.Errorf("address %s has a zone", text)
		}
		address = netip.AddrFrom16(address.As16())
		return address, address, err
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Addr{}, netip.Addr{}, err
	}
	const all, mapped = 128, 96
	bits := network.Bits()
	if network.Addr().Is4() {
		bits += mapped
	}
	low, high := network.Addr().As16(), network.Addr().As16()
	for bit := bits; bit < all; bit++ {
		low[bit/8] &^= 0x80 >> (bit % 8)
		high[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom16(low), netip.AddrFrom16(high), nil
}

func (f *filter) addOutcome(outcome controlv1.SignInOutcome) {
	name := ""
	switch outcome {
	case controlv1.SignInOutcome_SIGN_IN_OUTCOME_UNSPECIFIED:
		return
	case controlv1.SignInOutcome_SIGN_IN_OUTCOME_SUCCESS:
		name = "success"
	case controlv1.SignInOutcome_SIGN_IN_OUTCOME_FAILURE:
		name = "failure"
	case controlv1.SignInOutcome_SIGN_IN_OUTCOME_INTERRUPTED:
		name = "interrupted"
	}
	f.add("outcome = {outcome:String}", clickhouse.Named("outcome", name))
}

func (f *filter) addErrorCodes(codes []int64) {
	if len(codes) > 0 {
		f.add("error_code IN {error_codes:Array(Int64)}", clickhouse.Named("error_codes", sorted(slices.Clone(codes))))
	}
}

func (f *filter) addTypes(types []eventv1.SignInType) {
	names := make([]string, 0, len(types))
	for _, t := range types {
		names = append(names, decode.DataType(&eventv1.Event{
			Kind: decode.KindSignIn, Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{Type: t}},
		}))
	}
	f.addTexts("data_type IN {types:Array(String)}", "types", names, strings.ToLower)
}

// digestSize is the size of a filter's digest in a page token.
const digestSize = 16

// digest tells filters apart that mean different things.
func (f *filter) digest() [digestSize]byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d %d\n", f.from, f.to) // a hash takes everything
	for _, c := range f.conditions {
		for _, p := range c.params {
			_, _ = fmt.Fprintf(h, "%s %#v\n", p.Name, p.Value)
		}
	}
	return [digestSize]byte(h.Sum(nil))
}

// sql returns the conjunction of the conditions. It may be NULL, which means false.
func (f *filter) sql() string {
	if len(f.conditions) == 0 {
		return "true"
	}
	parts := make([]string, 0, len(f.conditions))
	for _, c := range f.conditions {
		parts = append(parts, c.sql)
	}
	return strings.Join(parts, " AND ")
}

// params returns what is bound to the parameters of sql.
func (f *filter) params() []any {
	var params []any
	for _, c := range f.conditions {
		for _, p := range c.params {
			params = append(params, p)
		}
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

func sorted[V string | int64](values []V) []V {
	slices.Sort(values)
	return slices.Compact(values)
}
