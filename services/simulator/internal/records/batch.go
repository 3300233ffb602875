package records

// The frame of a message as diagnostic settings write it.
const (
	batchHead = `{"records":[`
	batchTail = `]}`
)

// Batcher puts records together into {"records":[...]} messages. It is for one goroutine.
type Batcher struct {
	maxRecords, maxBytes int
	body                 []byte
	count                int
}

// NewBatcher returns a batcher whose messages have at most maxRecords records and, unless one record alone is
// larger, at most maxBytes bytes.
func NewBatcher(maxRecords, maxBytes int) *Batcher {
	return &Batcher{maxRecords: maxRecords, maxBytes: maxBytes}
}

// Full tells whether a record of the given size needs another message.
func (b *Batcher) Full(size int) bool {
	return b.count > 0 && (b.count >= b.maxRecords || len(b.body)+1+size+len(batchTail) > b.maxBytes)
}

// Add adds a record.
func (b *Batcher) Add(record []byte) {
	if b.count == 0 {
		b.body = append(b.body[:0], batchHead...)
	} else {
		b.body = append(b.body, ',')
	}
	b.body = append(b.body, record...)
	b.count++
}

// Take returns the message and its number of records, and starts a new one. The message is valid until the next
// Add. Without records it returns nil and 0.
func (b *Batcher) Take() (message []byte, count int) {
	if b.count == 0 {
		return nil, 0
	}
	b.body = append(b.body, batchTail...)
	count, b.count = b.count, 0
	return b.body, count
}
