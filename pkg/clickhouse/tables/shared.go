package tables

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

// placeColumns are the columns of a location.
func placeColumns(of func(*eventv1.Event) *eventv1.Location) []source[*eventv1.Event] {
	type location = eventv1.Location
	l := partOf(of)
	return []source[*eventv1.Event]{
		l.text("city", (*location).GetCity),
		l.text("state", (*location).GetState),
		l.text("country", (*location).GetCountry),
		l.maybeFloat("latitude", func(l *location) *float64 { return l.Latitude }),
		l.maybeFloat("longitude", func(l *location) *float64 { return l.Longitude }),
	}
}

// pairList is the column of a list of pairs in P, as JSON objects with key and value.
func pairList[P any](name string, p part[*eventv1.Event, P], of func(*P) []*eventv1.KeyValue) source[*eventv1.Event] {
	pairs := itemsOf(func(e *eventv1.Event) []*eventv1.KeyValue { return of(p.of(e)) })
	return pairs.jsonList(name, func(o *object, pair *eventv1.KeyValue) {
		o.text("key", pair.GetKey())
		o.text("value", pair.GetValue())
	})
}

// pairColumns are the columns name.key and name.value of a list of pairs in P.
func pairColumns[P any](name string, p part[*eventv1.Event, P], of func(*P) []*eventv1.KeyValue) []source[*eventv1.Event] {
	pairs := itemsOf(func(e *eventv1.Event) []*eventv1.KeyValue { return of(p.of(e)) })
	return []source[*eventv1.Event]{
		pairs.text(name+".key", (*eventv1.KeyValue).GetKey),
		pairs.text(name+".value", (*eventv1.KeyValue).GetValue),
	}
}

// changeColumns are the columns of changed properties.
func changeColumns[I any](changes items[*eventv1.Event, I], of func(*I) *eventv1.ModifiedProperty) []source[*eventv1.Event] {
	return []source[*eventv1.Event]{
		changes.text("modified_properties.name", func(i *I) string { return of(i).GetName() }),
		changes.maybeText("modified_properties.old_value", func(i *I) *string { return of(i).OldValue }),
		changes.maybeText("modified_properties.new_value", func(i *I) *string { return of(i).NewValue }),
	}
}
