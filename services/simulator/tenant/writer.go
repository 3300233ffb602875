package tenant

import "strconv"

// writer appends JSON to a buffer. Its methods store the buffer once: each store costs a write barrier while
// the garbage collector runs.
// All texts that it gets are plain ASCII without quotes, backslashes or
// control characters, so nothing has to be escaped. Members begin with a comma: the first is written whole.
type writer struct {
	t *Tenant
	b []byte
	f form
}

func (w *writer) raw(s string) { w.b = append(w.b, s...) }

// text writes a member: key is `,"name":"` with the opening quote.
func (w *writer) text(key, value string) {
	w.b = append(append(append(w.b, key...), value...), '"')
}

// null writes a member with an empty value: null in Graph, nothing in a hub. key is `,"name":`.
func (w *writer) null(key string) {
	if !w.f.hub {
		w.b = append(w.b, key...)
		w.b = append(w.b, "null"...)
	}
}

// optional is text, or null for an empty value.
func (w *writer) optional(key, value string) {
	if value == "" {
		w.null(key)
		return
	}
	w.b = append(append(append(append(w.b, key...), '"'), value...), '"')
}

func (w *writer) guid(key string, g guid) {
	text := g.text()
	w.b = append(append(append(w.b, key...), text[:]...), '"')
}

// optionalGUID is guid, or an empty text.
func (w *writer) optionalGUID(key string, g guid) {
	if !g.isZero() {
		w.guid(key, g)
		return
	}
	w.b = append(w.b, key...)
	w.b = append(w.b, '"')
}

func (w *writer) number(key string, n int) {
	w.b = strconv.AppendInt(append(w.b, key...), int64(n), 10)
}

func (w *writer) boolean(key string, value bool) {
	w.b = strconv.AppendBool(append(w.b, key...), value)
}

// time writes a time with Z, in a hub with its offset.
func (w *writer) time(key string, at ticks) {
	zone := `Z"`
	if w.f.hub {
		zone = `+00:00"`
	}
	text := at.text()
	w.b = append(append(append(w.b, key...), text[:]...), zone...)
}

// userName, userPrincipalName and appName write members that are put together.
func (w *writer) userName(key string, u *user) {
	w.b = append(u.appendName(append(w.b, key...)), '"')
}

func (w *writer) userPrincipalName(key string, u *user) {
	w.b = append(w.t.appendUPN(append(w.b, key...), u), '"')
}

func (w *writer) appName(key string, a *appRef) {
	w.b = append(a.appendName(append(w.b, key...)), '"')
}

func (w *writer) appID(key string, a *appRef) {
	if a.known == "" {
		w.guid(key, a.id)
		return
	}
	w.text(key, a.known)
}

// place writes a location object, or what stands for none.
func (w *writer) place(key string, p *place) {
	w.raw(key)
	if p == nil {
		if w.f.hub {
			w.raw(`{"city":"","state":"","countryOrRegion":"","geoCoordinates":{"latitude":0.0,"longitude":0.0}}`)
			return
		}
		w.raw("null")
		return
	}
	w.text(`{"city":"`, p.city)
	w.text(`,"state":"`, p.state)
	w.text(`,"countryOrRegion":"`, p.country)
	w.raw(`,"geoCoordinates":{"latitude":`)
	w.raw(p.latitude)
	w.raw(`,"longitude":`)
	w.raw(p.longitude)
	w.raw(`}}`)
}
