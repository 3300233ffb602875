package object_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

// BenchmarkNewUser is what a user costs at the first reading, without the stream.
func BenchmarkNewUser(b *testing.B) {
	raw := []byte(records["user"])
	b.ReportAllocs()
	for b.Loop() {
		s, err := object.Read(raw, "id", date)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := proto.Marshal(users.Next(nil, s, now)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSameUser is what a user costs who is as before.
func BenchmarkSameUser(b *testing.B) {
	raw := []byte(records["user"])
	s, err := object.Read(raw, "id", date)
	if err != nil {
		b.Fatal(err)
	}
	before := users.Next(nil, s, now)
	b.ReportAllocs()
	for b.Loop() {
		s, _ := object.Read(raw, "id", date)
		if users.Next(before, s, now) != nil {
			b.Fatal("it is new")
		}
	}
}
