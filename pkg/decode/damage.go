package decode

import "bytes"

// damaged adds the part that begins at from and is no JSON, and returns the index behind it. It ends
// where its brackets are balanced, or before the next sound record, whichever comes first; so that the
// damage of one record does not swallow the next.
func (s *splitter) damaged(from int) int {
	if len(s.records) >= s.most {
		return s.record(from, len(s.body), outside)
	}
	isObject := s.body[from] == '{'
	end := len(s.body)
	if isObject {
		if balanced := balancedEnd(s.body, from); balanced > 0 {
			end = balanced
		}
	} else if line := bytes.IndexByte(s.body[from:], '\n'); line >= 0 {
		end = from + line
	}
	if sound := s.nextSound(from+1, end); sound > 0 {
		end = sound
	}
	last := end
	for last > from+1 && skipSeparators(s.body[:last], last-1) == last {
		last--
	}
	if isObject {
		// HubRecord says whether it can be repaired.
		s.add(from, last, "", "")
	} else {
		s.add(from, last, ReasonUnreadableJSON, "text that is no JSON between or instead of records")
	}
	return end
}

// balancedEnd returns the index behind the object at from, by brackets and quotes alone. 0: it does not end.
func balancedEnd(s []byte, from int) int {
	var quote byte
	depth := 0
	for i := from; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// nextSound finds, before limit, the next object that is sound JSON, looks like a record and stands where
// one may: behind a comma, a bracket or on a new line. 0: none, or the budget is spent.
func (s *splitter) nextSound(i, limit int) int {
	for s.budget > 0 {
		next := bytes.IndexByte(s.body[i:limit], '{')
		if next < 0 {
			s.budget -= limit - i
			return 0
		}
		s.budget -= next + 1
		i += next
		if !mayBegin(s.body, i) {
			i++
			continue
		}
		end, f := skipValue(s.body, i)
		s.budget -= end - i
		if f != noFault {
			i++
			continue
		}
		const enough = 2
		if countMembers(s.body[i:end], isRecordMember) >= enough {
			return i
		}
		if i = end; i >= limit {
			return 0
		}
	}
	return 0
}

// mayBegin says whether a record may begin at i.
func mayBegin(s []byte, i int) bool {
	for i--; i >= 0; i-- {
		switch s[i] {
		case ' ', '\t', '\r':
		case ',', '[', '\n', '}':
			return true
		default:
			return false
		}
	}
	return true
}

// countMembers counts the members, of a sound object, whose name is as asked.
func countMembers(object []byte, asked func(name []byte) bool) int {
	var keys [maxKey]byte
	n := 0
	for i := 1; ; {
		if i = skipSeparators(object, i); object[i] == '}' {
			return n
		}
		nameEnd, _ := skipString(object, i)
		if asked(foldKey(string(object[i+1:nameEnd-1]), &keys)) {
			n++
		}
		i, _ = skipKey(object, i)
		i, _ = skipValue(object, i)
	}
}

func isSubscription(name []byte) bool { return string(name) == "subscriptionid" }

func isRecordMember(name []byte) bool {
	switch string(name) {
	case "time", "category", "tenantid", "resourceid", "operationname", "properties", "createddatetime", "activitydatetime":
		return true
	default:
		return false
	}
}
