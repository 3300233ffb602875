package decode

// SkipValue returns the index behind the JSON value that starts at or after i, which must be in the text or at
// its end. It accepts exactly the JSON of RFC 8259, up to 64 levels deep, allocates nothing on success, and
// returns an *Error of reason unreadable_json otherwise.
func SkipValue(text []byte, i int) (int, error) {
	end, f := skipValue(text, i)
	if f != noFault {
		return end, &Error{Reason: ReasonUnreadableJSON, Detail: f.String()}
	}
	return end, nil
}
