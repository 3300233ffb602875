package tenant

import "net/netip"

// place is a city with the network that its people use.
type place struct {
	city, state, country string
	latitude, longitude  string
	zone                 int // hours east of Greenwich
	asn                  int
}

// places are the cities that users can live in. Their number is homePlaces' bound in addresses.
var places = [...]place{
	{"Oslo", "Oslo", "NO", "59.91273", "10.74609", 1, 2119},
	{"Stockholm", "Stockholms Lan", "SE", "59.33258", "18.0649", 1, 3301},
	{"Hamburg", "Hamburg", "DE", "53.55073", "9.99302", 1, 3320},
	{"Munich", "Bayern", "DE", "48.13743", "11.57549", 1, 3320},
	{"Paris", "Paris", "FR", "48.85341", "2.3488", 1, 3215},
	{"Madrid", "Madrid", "ES", "40.4165", "-3.70256", 1, 3352},
	{"Milan", "Milano", "IT", "45.46427", "9.18951", 1, 3269},
	{"London", "London", "GB", "51.50853", "-0.12574", 0, 2856},
	{"Dublin", "Dublin", "IE", "53.33306", "-6.24889", 0, 5466},
	{"Amsterdam", "Noord-Holland", "NL", "52.37403", "4.88969", 1, 1136},
	{"Warsaw", "Mazowieckie", "PL", "52.22977", "21.01178", 1, 5617},
	{"Zurich", "Zurich", "CH", "47.36667", "8.55", 1, 3303},
	{"New York", "New York", "US", "40.71427", "-74.00597", -5, 701},
	{"Chicago", "Illinois", "US", "41.85003", "-87.65005", -6, 7018},
	{"Seattle", "Washington", "US", "47.60621", "-122.33207", -8, 7922},
	{"Austin", "Texas", "US", "30.26715", "-97.74306", -6, 7018},
	{"Toronto", "Ontario", "CA", "43.70011", "-79.4163", -5, 577},
	{"Mexico City", "Ciudad de Mexico", "MX", "19.42847", "-99.12766", -6, 8151},
	{"Bengaluru", "Karnataka", "IN", "12.97194", "77.59369", 5, 24560},
	{"Singapore", "Singapore", "SG", "1.28967", "103.85007", 8, 7473},
	{"Tokyo", "Tokyo", "JP", "35.6895", "139.69171", 9, 4713},
	{"Sydney", "New South Wales", "AU", "-33.86785", "151.20732", 10, 1221},
	{"Auckland", "Auckland", "NZ", "-36.84853", "174.76349", 12, 4771},
	{"Cape Town", "Western Cape", "ZA", "-33.92584", "18.42322", 2, 3741},
}

// farPlaces are where only incidents come from.
var farPlaces = [...]place{
	{"Lagos", "Lagos", "NG", "6.45407", "3.39467", 1, 37148},
	{"Minsk", "Minsk", "BY", "53.9", "27.56667", 3, 6697},
	{"Hanoi", "Ha Noi", "VN", "21.0245", "105.84117", 7, 7552},
	{"Sao Paulo", "Sao Paulo", "BR", "-23.5475", "-46.63611", -3, 28573},
}

// cloud is where machines sign in from.
var cloud = [...]place{{"Dublin", "Dublin", "IE", "53.33306", "-6.24889", 0, 8075}}

// homePlaces is how many places a tenant's users live in, and their weights.
const homePlaces = 6

var homeWeights = [...]int{40, 20, 15, 10, 8, 7}

// Addresses come from blocks that are nobody's: 198.18.0.0/15 (benchmarks), 2001:db8::/32, 192.0.2.0/24,
// 198.51.100.0/24 and 203.0.113.0/24 (documentation).

// homeAddress is a user's address at home.
func homeAddress(home int, h uint64) netip.Addr {
	const perPlace = 4096
	if h%10 < 6 {
		n := uint32(home*perPlace) + uint32(h>>8%perPlace)
		return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16), byte(n >> 8), byte(n)})
	}
	return netip.AddrFrom16([16]byte{
		0x20, 0x01, 0x0d, 0xb8, 0, byte(home + 1), byte(h >> 8), byte(h >> 16), 15: byte(h>>24) | 1,
		8: byte(h >> 32), 9: byte(h >> 40),
	})
}

// officeAddress is the address of the office in a place.
func officeAddress(home int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(home + 10)}) }

// cloudAddress is the address of machine n.
func cloudAddress(n uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 19, 192 + byte(n>>8%64), byte(n)})
}

// attackAddress is the address of attacker n.
func attackAddress(n int) netip.Addr {
	const half = 128
	if n < half {
		return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})
	}
	return netip.AddrFrom4([4]byte{198, 51, 100, byte(n)})
}
