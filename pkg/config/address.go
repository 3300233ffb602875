package config

import (
	"net"
	"net/netip"
)

// IsLoopback reports whether a host:port address can be reached from this machine alone:
// its host is localhost or an address of the loopback network. An empty host is every
// interface, so it is not.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
