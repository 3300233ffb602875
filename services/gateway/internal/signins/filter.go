package signins

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/decode"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/search"
)

// filter is what is under way to be asked.
type filter struct{ *search.Filter }

// compile checks f and turns it into conditions. The error is an *failure.InvalidError.
func compile(f *controlv1.SignInFilter) (*search.Filter, error) {
	compiled := filter{search.NewFilter(decode.KindSignIn)}
	if err := compiled.Between("filter.", f.GetStart(), f.GetEnd()); err != nil {
		return nil, err
	}
	compiled.AddTenants(f.GetTenantIds())
	compiled.addUser(f.GetUser())
	if f.GetApp() != "" {
		compiled.Add("(lower(app_id) = {app:String} OR lower(app_service_principal_id) = {app:String}"+
			" OR lower(service_principal_id) = {app:String})",
			clickhouse.Named("app", strings.ToLower(f.GetApp())))
	}
	if err := compiled.addAddress(f.GetIp()); err != nil {
		return nil, err
	}
	compiled.AddTexts("country IN {countries:Array(String)}", "countries", f.GetCountries(), strings.ToUpper)
	compiled.addOutcome(f.GetOutcome())
	compiled.addErrorCodes(f.GetErrorCodes())
	compiled.addTypes(f.GetTypes())
	return compiled.Filter, nil
}

// addUser restricts to a user by name or id.
func (f filter) addUser(user string) {
	switch {
	case user == "":
	case strings.Contains(user, "@"):
		// No object id has one, and one index is looked through in half the time of two.
		f.Add("user_key = {user:String}", clickhouse.Named("user", tables.Key(user)))
	default:
		f.Add("(user_key = {user:String} OR lower(user_id) = {user:String})", clickhouse.Named("user", tables.Key(user)))
	}
}

// noAddress is the condition that leaves out rows without an address, which have "::" there. Others need
// not be asked: it is another column to read.
const noAddress = " AND ip_address != ''"

// addAddress restricts to an address or a network.
func (f filter) addAddress(text string) error {
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
		f.Add("(ip = toIPv6({ip:String})"+named+")", clickhouse.Named("ip", first.String()))
		return nil
	}
	within := "ip BETWEEN toIPv6({ip_first:String}) AND toIPv6({ip_last:String})"
	params := []driver.NamedValue{clickhouse.Named("ip_first", first.String()), clickhouse.Named("ip_last", last.String())}
	if network, ok := indexedNetwork(first, last); ok {
		within = "has(" + indexedNetworks + ", toIPv6({ip_network:String})) AND " + within
		params = append(params, clickhouse.Named("ip_network", network.String()))
	}
	f.Add("("+within+named+")", params...)
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

func (f filter) addOutcome(outcome controlv1.SignInOutcome) {
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
	f.Add("outcome = {outcome:String}", clickhouse.Named("outcome", name))
}

func (f filter) addErrorCodes(codes []int64) {
	if len(codes) > 0 {
		codes = slices.Compact(slices.Sorted(slices.Values(codes)))
		f.Add("error_code IN {error_codes:Array(Int64)}", clickhouse.Named("error_codes", codes))
	}
}

func (f filter) addTypes(types []eventv1.SignInType) {
	names := make([]string, 0, len(types))
	for _, t := range types {
		names = append(names, decode.DataType(&eventv1.Event{
			Kind: decode.KindSignIn, Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{Type: t}},
		}))
	}
	f.AddTexts("data_type IN {types:Array(String)}", "types", names, strings.ToLower)
}
