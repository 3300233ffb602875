package decode

import (
	"bytes"
	"compress/gzip"
	"io"
	"strconv"
)

// gzipMagic begins a gzip body.
const gzipMagic = "\x1F\x8B"

// Split cuts the body of an Event Hub message into records without decoding them. It takes
// {"records":[…]}, a bare array, a bare object and several of these one after the other (NDJSON), plain
// or gzip. Graph change notifications ({"value":[…]}) come back with ReasonChangeNotification. A damaged
// record does not take its neighbors with it. No byte is lost but brackets, separators, white space and
// the @odata members beside a value array: what cannot be read is in a Record with Err. An empty body has
// no records.
func (d *Decoder) Split(body []byte) []Record {
	limits := d.limits.withDefaults()
	if bytes.HasPrefix(body, []byte(gzipMagic)) {
		inflated, err := inflate(body, limits.MaxInflated)
		if err != nil {
			return []Record{{Raw: body, Err: err}}
		}
		body = inflated
	}
	s := splitter{body: body, most: limits.MaxRecords, budget: splitBudget * len(body)}
	i := 0
	if bytes.HasPrefix(body, []byte(byteOrderMark)) {
		i = len(byteOrderMark)
	}
	for {
		if i = skipSeparators(body, i); i >= len(body) {
			return s.records
		}
		switch body[i] {
		case '{':
			i = s.outerObject(i)
		case '[':
			i = s.elements(i+1, outside)
		default:
			i = s.element(i, outside)
		}
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.MaxRecords <= 0 {
		l.MaxRecords = d.MaxRecords
	}
	if l.MaxInflated <= 0 {
		l.MaxInflated = d.MaxInflated
	}
	return l
}

func inflate(body []byte, most int64) ([]byte, *Error) {
	const what = "the body begins like gzip and "
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Reason: ReasonUnreadableJSON, Detail: what + "is none"}
	}
	inflated, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return nil, &Error{Reason: ReasonUnreadableJSON, Detail: what + "does not unpack"}
	}
	if int64(len(inflated)) > most {
		return nil, &Error{
			Reason: ReasonUnreadableJSON,
			Detail: what + "unpacks to more than " + strconv.FormatInt(most, 10) + " bytes",
		}
	}
	return inflated, nil
}

// wrapper is what stands around records.
type wrapper uint8

const (
	outside wrapper = iota
	inRecords
	inValue
)

// splitter cuts one body.
type splitter struct {
	body    []byte
	most    int
	records []Record
	// budget bounds, in bytes, the search for sound records behind damaged ones.
	budget int
}

// splitBudget is the factor between a body's length and the bytes searched behind its damages.
const splitBudget = 8

// add appends a part; with an empty reason it is a record.
func (s *splitter) add(from, to int, reason, detail string) {
	part := Record{Raw: s.body[from:to:to], Index: len(s.records)}
	if reason != "" {
		part.Err = &Error{Reason: reason, Detail: detail}
	}
	s.records = append(s.records, part)
}

// outerObject cuts an object on the outermost level, a record or a wrapper around records, and returns
// the index behind it.
func (s *splitter) outerObject(start int) int {
	var beside []span
	onlyMetadata := true
	for i := start + 1; ; {
		if i = skipSeparators(s.body, i); i >= len(s.body) {
			return s.damaged(start)
		}
		if s.body[i] == '}' {
			return s.record(start, i+1, outside)
		}
		if in, list := s.wrapperMember(i); in == inRecords || in == inValue && onlyMetadata {
			s.addBeside(beside)
			if s.body[list] == '{' {
				return s.wrapperEnd(s.element(list, in))
			}
			return s.wrapperEnd(s.elements(list+1, in))
		}
		member := span{from: i}
		value, f := skipKey(s.body, i)
		if f == noFault {
			i, f = skipValue(s.body, value)
		}
		if f != noFault {
			return s.damaged(start)
		}
		if member.to = i; s.body[member.from+1] != '@' {
			onlyMetadata = false
			beside = append(beside, member)
		}
	}
}

// wrapperMember says whether the member at i holds a wrapper's list, or a single record in its place, and
// where that begins. Quotes around the name may be single ones or missing, as in bodies that need repair.
func (s *splitter) wrapperMember(i int) (in wrapper, list int) {
	rest := bytes.TrimLeft(s.body[i:min(len(s.body), i+maxKey)], `"'`)
	name, _, found := bytes.Cut(rest, []byte{':'})
	if !found {
		return outside, 0
	}
	switch name = bytes.TrimRight(name, "\"' \t\r\n"); {
	case bytes.EqualFold(name, []byte("records")):
		in = inRecords
	case bytes.EqualFold(name, []byte("value")):
		in = inValue
	default:
		return outside, 0
	}
	i += bytes.IndexByte(s.body[i:], ':') + 1
	i = skipSpace(s.body, i)
	if i < len(s.body) && (s.body[i] == '[' || s.body[i] == '{' && in == inRecords) {
		return in, i
	}
	return outside, 0
}

// addBeside reports members that stand beside a wrapper's list: nobody knows what they say.
func (s *splitter) addBeside(members []span) {
	for _, m := range members {
		s.add(m.from, m.to, ReasonPayloadInvalid, "a member of the message beside its records")
	}
}

// wrapperEnd goes over what follows a wrapper's list and returns the index behind the wrapper.
func (s *splitter) wrapperEnd(i int) int {
	for {
		if i = skipSeparators(s.body, i); i >= len(s.body) {
			return i
		}
		if s.body[i] == '}' {
			return i + 1
		}
		from := i
		value, f := skipKey(s.body, i)
		if f == noFault {
			i, f = skipValue(s.body, value)
		}
		if f != noFault {
			return s.damaged(from)
		}
		if s.body[from+1] != '@' {
			s.addBeside([]span{{from, i}})
		}
	}
}

// elements cuts a list from its first element on and returns the index behind it.
func (s *splitter) elements(i int, in wrapper) int {
	for {
		if i = skipSeparators(s.body, i); i >= len(s.body) {
			return i
		}
		if s.body[i] == ']' {
			return i + 1
		}
		i = s.element(i, in)
	}
}

// element cuts one value and returns the index behind it.
func (s *splitter) element(i int, in wrapper) int {
	end, f := skipValue(s.body, i)
	if f != noFault {
		return s.damaged(i)
	}
	return s.record(i, end, in)
}

// record adds a sound value.
func (s *splitter) record(from, to int, in wrapper) int {
	switch {
	case len(s.records) >= s.most:
		s.add(from, len(s.body), ReasonTooManyRecords,
			"the message holds more than "+strconv.Itoa(s.most)+" records; these are the rest")
		return len(s.body)
	case s.body[from] != '{':
		s.add(from, to, ReasonPayloadInvalid, "a record must be an object")
	case in == inValue && countMembers(s.body[from:to], isSubscription) > 0:
		s.add(from, to, ReasonChangeNotification,
			"a Graph change notification, not a log record; let Graph deliver those to another Event Hub")
	default:
		s.add(from, to, "", "")
	}
	return to
}

// skipSeparators goes over white space and commas.
func skipSeparators(s []byte, i int) int {
	for i < len(s) && (s[i] == ',' || s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}
