package tenant

import "strings"

// form says how records are written.
type form struct {
	// hub means the form of Event Hubs; else Graph beta's.
	hub  bool
	hide Hide
	// at is when the record is read: it decides over its first or second form.
	at ticks
}

// recordGUID returns the GUID inside a record's id.
func (t *Tenant) recordGUID(log int, slot int64, h head) guid {
	if h.index < 0 {
		return t.ids.seal(classWoven+class(log), 0, uint64(-1-h.index))
	}
	return t.ids.seal(classRecord+class(log), uint64(slot), uint64(h.index))
}

// recordID returns a record's id in the form of its log.
func (t *Tenant) recordID(log int, slot int64, h head) string {
	return string(t.appendRecordID(make([]byte, 0, 64), log, slot, h))
}

func (t *Tenant) appendRecordID(b []byte, log int, slot int64, h head) []byte {
	switch log {
	case logRiskyUser:
		return t.userID(t.riskyUserOf(slot, h)).appendTo(b)
	case logRiskDetection:
		// 64 hexadecimal digits instead of a GUID.
		g := t.recordGUID(log, slot, h)
		b = appendHex(b, g.hi, 16)
		b = appendHex(b, g.lo, 16)
		b = appendHex(b, mix(g.hi), 16)
		return appendHex(b, mix(g.lo), 16)
	case logAudit:
		g := t.recordGUID(log, slot, h)
		b = append(b, auditIDPrefix...)
		b = g.appendTo(b)
		b = append(b, '_')
		const letters, digits = 5, 8
		for i := range letters {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			b = append(b, alphabet[mix(g.lo)>>(i*8)&0xff%uint64(len(alphabet))])
		}
		b = append(b, '_')
		return appendDigits(b, int(mix(g.hi)%90_000_000+10_000_000), digits)
	default:
		return t.recordGUID(log, slot, h).appendTo(b)
	}
}

const auditIDPrefix = "Directory_"

// locate finds a record by its id.
func (t *Tenant) locate(s *series, id string, at ticks) (slot int64, h head, ok bool) {
	id = strings.TrimSpace(id)
	if s.log == logRiskyUser {
		return t.locateRiskyUser(s, id, at)
	}
	g, ok := guidInID(s.log, id)
	if !ok {
		return 0, h, false
	}
	c, a, b := t.ids.open(g)
	switch {
	case c == classWoven+class(s.log) && a == 0 && b < uint64(len(s.woven)):
		w := s.woven[b]
		slot, h = s.slotOf(w.at), head{at: w.at, index: int32(-1 - int64(b))}
	case c == classRecord+class(s.log) && a < 1<<40 && b < 1<<31:
		slot = int64(a)
		if int(b) >= s.ordinary(slot) {
			return 0, h, false
		}
		h = head{at: s.timeOf(t.cfg.Seed, slot, int(b)), index: int32(b)}
	default:
		return 0, h, false
	}
	return slot, h, strings.EqualFold(id, t.recordID(s.log, slot, h))
}

// guidInID takes the GUID out of a record's id.
func guidInID(log int, id string) (guid, bool) {
	switch log {
	case logRiskDetection:
		const hexLen = 64
		if len(id) != hexLen {
			return guid{}, false
		}
		// The first 32 digits with the hyphens of a GUID.
		return parseGUID(id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:32])
	case logAudit:
		if len(id) < len(auditIDPrefix)+guidLen {
			return guid{}, false
		}
		return parseGUID(id[len(auditIDPrefix):][:guidLen])
	default:
		return parseGUID(id)
	}
}

// appendRecord appends a record's JSON.
func (t *Tenant) appendRecord(b []byte, f form, log int, slot int64, h head) []byte {
	w := writer{t: t, b: b, f: f}
	switch log {
	case logAudit:
		w.audit(t.auditOf(slot, h))
	case logProvisioning:
		w.provisioning(t.provisioningOf(slot, h))
	case logRiskDetection:
		w.riskDetection(t.riskDetectionOf(slot, h, t.changed(log, slot, h, f.at)))
	case logRiskyUser:
		w.riskyUser(t.riskyUserStateOf(slot, h))
	default:
		s := t.signInOf(log, slot, h)
		if t.changed(log, slot, h, f.at) {
			s.change()
		}
		w.signIn(&s)
	}
	return w.b
}
