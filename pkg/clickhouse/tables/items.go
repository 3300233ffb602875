package tables

import "google.golang.org/protobuf/types/known/timestamppb"

// items makes array columns from the messages I of a repeated field in M: one element for each, so
// that the columns of one field have equal lengths and can be joined (ARRAY JOIN).
type items[M, I any] struct{ of func(M) []*I }

func itemsOf[M, I any](of func(M) []*I) items[M, I] { return items[M, I]{of} }

func (s items[M, I]) text(name string, get func(*I) string) source[M] {
	return eachItem(s, name, typeString, get)
}

func (s items[M, I]) maybeText(name string, get func(*I) *string) source[M] {
	return eachItem(s, name, nullable(typeString), get)
}

func (s items[M, I]) texts(name string, get func(*I) []string) source[M] {
	return eachItem(s, name, "Array("+typeString+")", get)
}

func (s items[M, I]) maybeTime(name string, get func(*I) *timestamppb.Timestamp) source[M] {
	return eachItem(s, name, nullable(typeTime), func(item *I) *int64 { return maybeUnixMilli(get(item)) })
}

func (s items[M, I]) maybeBool(name string, get func(*I) *bool) source[M] {
	return eachItem(s, name, nullable(typeBool), get)
}

func eachItem[M, I, V any](s items[M, I], name, sent string, get func(*I) V) source[M] {
	return array(name, sent, func(buf []V, r *Row[M]) []V {
		for _, item := range s.of(r.Message) {
			buf = append(buf, get(item))
		}
		return buf
	})
}
