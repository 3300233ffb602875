package hublog

import "github.com/entraflow/entraflow/services/simulator/internal/amqp"

// Annotations that the service sets; a sender's own values for them are dropped.
const (
	keySequence = "x-opt-sequence-number"
	keyOffset   = "x-opt-offset"
	keyEnqueued = "x-opt-enqueued-time"
	// KeyPartition is the annotation that holds the partition key.
	KeyPartition = "x-opt-partition-key"
)

// systemAnnotationBytes bounds what the service's own annotations add, the partition key apart.
const systemAnnotationBytes = 256

func encodedBound(e *Event) int {
	return len(e.Header) + len(e.Bare) + e.Annotations.Size() + len(e.PartitionKey) + systemAnnotationBytes
}

// encode appends the event as readers get it: header, annotations of service and sender, then the bare message as it came.
func (l *Log) encode(b []byte, e *Event) []byte {
	b = append(b, e.Header...)
	b, mark := amqp.OpenAnnotations(b)
	n := 6
	b = amqp.AppendLong(amqp.AppendSymbol(b, keySequence), l.next)
	b = amqp.AppendString(amqp.AppendSymbol(b, keyOffset), l.offsetText(l.nextOffset, l.next))
	b = amqp.AppendTimestamp(amqp.AppendSymbol(b, keyEnqueued), l.lastStamp)
	if e.HasKey {
		b = amqp.AppendString(amqp.AppendSymbol(b, KeyPartition), e.PartitionKey)
		n += 2
	}
	if e.Annotations.IsMap() {
		it := e.Annotations.Items()
		for {
			key, more := it.Next()
			value, ok := it.Next()
			if !more || !ok {
				break
			}
			if name, _ := key.Text(); systemKey(name) {
				continue
			}
			b = amqp.AppendValue(amqp.AppendValue(b, key), value)
			n += 2
		}
	}
	b = amqp.CloseCompound(b, mark, n)
	return append(b, e.Bare...)
}

func systemKey(name string) bool {
	switch name {
	case keySequence, keyOffset, keyEnqueued, KeyPartition:
		return true
	}
	return false
}
