package signins

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/search"
)

// bound returns the values bound to the parameters of f by name.
func bound(f *search.Filter) map[string]any {
	values := map[string]any{}
	for _, p := range f.Params() {
		values[p.Name] = p.Value
	}
	return values
}

func TestFiltersAreNormalized(t *testing.T) {
	cases := map[string]struct {
		filter *controlv1.SignInFilter
		sql    string
		want   map[string]any
	}{
		"none": {nil, "true", map[string]any{}},
		"tenants": {
			&controlv1.SignInFilter{TenantIds: []string{"B", "a", "b"}},
			"tenant_id IN {tenants:Array(String)}",
			map[string]any{"tenants": []string{"a", "b"}},
		},
		"user": {
			&controlv1.SignInFilter{User: "Ada@Example.COM"},
			"user_key = {user:String}",
			map[string]any{"user": "ada@example.com"},
		},
		"user by id": {
			&controlv1.SignInFilter{User: "0A1B2C3D-0000-4000-8000-000000000001"},
			"(user_key = {user:String} OR lower(user_id) = {user:String})",
			map[string]any{"user": "0a1b2c3d-0000-4000-8000-000000000001"},
		},
		"IPv4 address": {
			&controlv1.SignInFilter{Ip: "203.0.113.7"},
			"(ip = toIPv6({ip:String}))",
			map[string]any{"ip": "::ffff:203.0.113.7"},
		},
		"network": {
			&controlv1.SignInFilter{Ip: "203.0.113.0/24"},
			"(has(" + indexedNetworks + ", toIPv6({ip_network:String}))" +
				" AND ip BETWEEN toIPv6({ip_first:String}) AND toIPv6({ip_last:String}))",
			map[string]any{
				"ip_first": "::ffff:203.0.113.0", "ip_last": "::ffff:203.0.113.255", "ip_network": "::ffff:203.0.113.0",
			},
		},
		"a network too large for the index": {
			&controlv1.SignInFilter{Ip: "10.0.0.0/8"},
			"(ip BETWEEN toIPv6({ip_first:String}) AND toIPv6({ip_last:String}))",
			map[string]any{"ip_first": "::ffff:10.0.0.0", "ip_last": "::ffff:10.255.255.255"},
		},
		"a network with the address of rows without one": {
			&controlv1.SignInFilter{Ip: "::/0"},
			"(ip BETWEEN toIPv6({ip_first:String}) AND toIPv6({ip_last:String}) AND ip_address != '')",
			map[string]any{"ip_first": "::", "ip_last": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		},
		"countries": {
			&controlv1.SignInFilter{Countries: []string{"us", "CH"}},
			"country IN {countries:Array(String)}",
			map[string]any{"countries": []string{"CH", "US"}},
		},
		"error codes and types": {
			&controlv1.SignInFilter{
				ErrorCodes: []int64{50126, 0, 0},
				Types: []eventv1.SignInType{
					eventv1.SignInType_SIGN_IN_TYPE_UNSPECIFIED, eventv1.SignInType_SIGN_IN_TYPE_ADFS,
				},
			},
			"error_code IN {error_codes:Array(Int64)} AND data_type IN {types:Array(String)}",
			map[string]any{"error_codes": []int64{0, 50126}, "types": []string{"signin", "signin.adfs"}},
		},
		"outcome": {
			&controlv1.SignInFilter{Outcome: controlv1.SignInOutcome_SIGN_IN_OUTCOME_INTERRUPTED},
			"outcome = {outcome:String}",
			map[string]any{"outcome": "interrupted"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := compile(tc.filter)
			require.NoError(t, err)
			require.Equal(t, tc.sql, f.SQL())
			require.Equal(t, tc.want, bound(f))
			from, to := f.Bounds()
			require.Equal(t, int64(math.MinInt64), from)
			require.Equal(t, int64(math.MaxInt64), to)
		})
	}
}

func TestNetworksHaveTwoEnds(t *testing.T) {
	cases := map[string][2]string{
		"203.0.113.0/24":        {"::ffff:203.0.113.0", "::ffff:203.0.113.255"},
		"203.0.113.77/24":       {"::ffff:203.0.113.0", "::ffff:203.0.113.255"},
		"203.0.113.7/32":        {"::ffff:203.0.113.7", "::ffff:203.0.113.7"},
		"0.0.0.0/0":             {"::ffff:0.0.0.0", "::ffff:255.255.255.255"},
		"2001:db8::/33":         {"2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
		"2001:DB8::1":           {"2001:db8::1", "2001:db8::1"},
		"::/0":                  {"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"::ffff:203.0.113.7":    {"::ffff:203.0.113.7", "::ffff:203.0.113.7"},
		"::ffff:203.0.113.0/97": {"::ffff:128.0.0.0", "::ffff:255.255.255.255"},
	}
	for text, want := range cases {
		t.Run(text, func(t *testing.T) {
			first, last, err := addressRange(text)
			require.NoError(t, err)
			require.Equal(t, want, [2]string{first.String(), last.String()})
		})
	}
}

func TestNetworksAreFoundByTheSmallestInTheIndex(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.128/25": "::ffff:203.0.113.0", "203.0.113.0/24": "::ffff:203.0.113.0", "203.0.112.0/23": "::ffff:203.0.0.0",
		"203.0.0.0/16": "::ffff:203.0.0.0", "2001:db8:1:2:3::/80": "2001:db8:1:2::", "2001:db8:1:2::/64": "2001:db8:1:2::",
		"2001:db8:1:2::/63": "2001:db8:1::", "2001:db8:1::/48": "2001:db8:1::", "2001:db8::/32": "", "::/0": "",
		"202.0.0.0/15": "", "::/64": "", // what has all of IPv4 leaves out nothing
	} {
		t.Run(text, func(t *testing.T) {
			first, last, err := addressRange(text)
			require.NoError(t, err)
			got := ""
			if network, ok := indexedNetwork(first, last); ok {
				got = network.String()
			}
			require.Equal(t, want, got)
		})
	}
}

func TestWrongFiltersNameTheirField(t *testing.T) {
	at := func(seconds int64) *timestamppb.Timestamp { return &timestamppb.Timestamp{Seconds: seconds} }
	cases := map[string]struct {
		filter *controlv1.SignInFilter
		want   string
	}{
		"no address":     {&controlv1.SignInFilter{Ip: "house"}, "filter.ip: must be an IP address or a network in CIDR form"},
		"zone":           {&controlv1.SignInFilter{Ip: "fe80::1%eth0"}, "filter.ip: must be an IP address or a network in CIDR form"},
		"network length": {&controlv1.SignInFilter{Ip: "10.0.0.0/33"}, "filter.ip: must be an IP address or a network in CIDR form"},
		"start":          {&controlv1.SignInFilter{Start: at(-1 << 60)}, "filter.start: must be a valid time"},
		"end":            {&controlv1.SignInFilter{End: at(1 << 60)}, "filter.end: must be a valid time"},
		"turned":         {&controlv1.SignInFilter{Start: at(2), End: at(1)}, "filter.start: must not be after filter.end"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := compile(tc.filter)
			var invalid *failure.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, tc.want, invalid.Error())
		})
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("ada@example.com", "203.0.113.0/24", "US", int64(0), int64(5), int64(50126))
	f.Add("'; DROP TABLE sign_ins; --", "::/0", "{user:String}", int64(9), int64(5), int64(-1))
	f.Fuzz(func(t *testing.T, user, ip, country string, start, end, code int64) {
		compiled, err := compile(&controlv1.SignInFilter{
			TenantIds: []string{user}, User: user, App: user, Ip: ip, Countries: []string{country},
			ErrorCodes: []int64{code},
			Start:      &timestamppb.Timestamp{Seconds: start}, End: &timestamppb.Timestamp{Seconds: end},
		})
		if err != nil {
			if _, ok := errors.AsType[*failure.InvalidError](err); !ok {
				t.Fatalf("compile returned a %T", err)
			}
			return
		}
		// The statement never depends on what is in a filter, only on what is set.
		other, err := compile(&controlv1.SignInFilter{
			TenantIds: []string{"t"}, User: "u", App: "a", Countries: []string{"DE"}, ErrorCodes: []int64{1},
		})
		if err != nil {
			t.Fatal(err)
		}
		if user != "" && ip == "" && compiled.SQL() != other.SQL() {
			t.Fatalf("a value reached the statement: %s", compiled.SQL())
		}
	})
}
