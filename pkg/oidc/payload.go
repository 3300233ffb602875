package oidc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/jwt"
)

// maxText bounds a subject and a name.
const maxText = 256

// maxDate is the last instant a token may name; RFC 3339 has no later one.
const maxDate = 253402300799

// payload is the claims of a token by their exact names.
type payload map[string]json.RawMessage

func readPayload(text []byte) (payload, error) {
	var p payload
	if json.Unmarshal(text, &p) != nil || p == nil {
		return nil, fmt.Errorf("%w: it holds no claims", ErrMalformed)
	}
	return p, nil
}

// text returns a claim that is a text, else an empty one.
func (p payload) text(name string) string {
	var text string
	if json.Unmarshal(p[name], &text) != nil {
		return ""
	}
	return text
}

// date reads a NumericDate; not ok is none.
func (p payload) date(name string) (at time.Time, ok bool, err error) {
	raw, ok := p[name]
	if !ok {
		return time.Time{}, false, nil
	}
	var date *jwt.NumericDate
	if json.Unmarshal(raw, &date) != nil || date == nil || *date < 0 || *date > maxDate {
		return time.Time{}, false, fmt.Errorf("%w: %s is no time", ErrMalformed, name)
	}
	return date.Time(), true, nil
}

func (p payload) isFor(audience []string) bool {
	var all jwt.Audience
	if json.Unmarshal(p["aud"], &all) != nil {
		return false
	}
	return slices.ContainsFunc(all, func(one string) bool { return slices.Contains(audience, one) })
}

// texts returns the text or the texts of a claim by its name or path. Others than texts are
// left out.
func (p payload) texts(path string) []string {
	raw, ok := p[path]
	for !ok {
		name, rest, deeper := strings.Cut(path, ".")
		var inner payload
		if !deeper || json.Unmarshal(p[name], &inner) != nil {
			return nil
		}
		p, path = inner, rest
		raw, ok = p[path]
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var list []any
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var all []string
	for _, element := range list {
		if text, ok := element.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// claims puts together what a checked payload says.
func (v *Verifier) claims(p payload, expires time.Time) (Claims, error) {
	subject := p.text(v.cfg.SubjectClaim)
	if v.cfg.SubjectClaim == "" {
		if subject = p.text("oid"); subject == "" {
			subject = p.text("sub")
		}
	}
	if subject == "" || len(subject) > maxText || printable(subject) != subject {
		return Claims{}, fmt.Errorf("%w: its subject is missing or no short text", ErrMalformed)
	}
	name := p.text(v.cfg.NameClaim)
	if name == "" {
		name = p.text("upn")
	}
	c := Claims{Issuer: p.text("iss"), Subject: subject, Name: short(printable(name)), Expires: expires}
	for _, value := range p.texts(v.cfg.RolesClaim) {
		role, ok := v.cfg.Roles[value]
		if !ok {
			continue
		}
		g := role.grant()
		if !slices.ContainsFunc(c.Grants, func(other Grant) bool { return equal(g, other) }) {
			c.Grants = append(c.Grants, g)
		}
	}
	if len(c.Grants) == 0 {
		return c, ErrNoRole
	}
	return c, nil
}

func equal(a, b Grant) bool {
	return a.Role == b.Role && a.AllTenants == b.AllTenants && slices.Equal(a.Tenants, b.Tenants)
}

// printable drops what could forge a line of a log or move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return -1
	}, text)
}

// short cuts a text to maxText bytes and whole characters.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	text = text[:maxText]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}
