package decode

import (
	"net/netip"
	"strings"
)

// cleanAddress takes an IP address out of a text: bare, with a port ("1.2.3.4:5", "[::1]:5") or in
// brackets, with or without a zone. Empty: it holds none. Version 6 comes out in its canonical form, and
// a version 4 address written as version 6 as version 4, so that the same address is the same text.
func cleanAddress(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Is4() {
			return text
		}
		return canonicalAddress(a)
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return canonicalAddress(ap.Addr())
	}
	if inside, ok := strings.CutPrefix(text, "["); ok {
		if inside, ok = strings.CutSuffix(inside, "]"); ok {
			if a, err := netip.ParseAddr(inside); err == nil {
				return canonicalAddress(a)
			}
		}
	}
	return ""
}

func canonicalAddress(a netip.Addr) string { return a.Unmap().WithZone("").String() }
