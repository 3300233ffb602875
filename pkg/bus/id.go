package bus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// idBytes is how much of a SHA-256 an id keeps.
const idBytes = 16

// Tags begin what is hashed, so that ids of different forms never meet.
const (
	tagSourceID   = "entraflow.event.source_id.v1"
	tagRawBytes   = "entraflow.event.raw.v1"
	tagGraph      = "entraflow.delivery.graph.v1"
	tagDeadStream = "entraflow.dead.stream.v1"
	tagDeadHub    = "entraflow.dead.hub.v1"
	tagDeadBytes  = "entraflow.dead.bytes.v1"
)

// EventID names a fact: 32 lower-case hex digits, the first 128 bits of SHA-256 over a tag and the
// length-prefixed tenant, kind and source id. If sourceID is empty the record's bytes take its
// place under another tag, so that no source id can equal some record's bytes. It depends on
// nothing else: the same sign-in by Graph and by an Event Hub has one id. The golden vectors in
// testdata never change.
func EventID(tenant, kind, sourceID string, raw []byte) string {
	if sourceID == "" {
		return idOfBytes(raw, tagRawBytes, tenant, kind)
	}
	return idOf(tagSourceID, tenant, kind, sourceID)
}

// HubMessageID is the Nats-Msg-Id of one record of one Event Hub message: it names the delivery,
// so that reading the hub again after a crash publishes nothing twice, while a newer version of
// the same event passes. Partition is the id as the hub gives it.
func HubMessageID(namespace, hub, partition string, sequence int64, index int) string {
	b := make([]byte, 0, len(namespace)+len(hub)+len(partition)+48)
	b = append(b, "hub:"...)
	b = append(b, namespace...)
	b = append(b, '/')
	b = append(b, hub...)
	b = append(b, '/')
	b = append(b, partition...)
	b = append(b, ':')
	b = strconv.AppendInt(b, sequence, 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, int64(index), 10)
	return string(b)
}

// GraphMessageID is the Nats-Msg-Id of a record read from Graph: a hash of the record, since Graph
// gives a page no lasting name. An unchanged record read twice is published once, a changed one again.
func GraphMessageID(tenant, kind string, raw []byte) string {
	return "graph:" + idOfBytes(raw, tagGraph, tenant, kind)
}

// idOf hashes the parts, each with its length before it, so that ("ab", "c") and ("a", "bc") differ.
func idOf(parts ...string) string {
	var stack [256]byte
	return idText(sha256.Sum256(appendParts(stack[:0], parts)))
}

// idOfBytes hashes the parts and then raw, with its length before it too.
func idOfBytes(raw []byte, parts ...string) string {
	var stack [256]byte
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint64(appendParts(stack[:0], parts), uint64(len(raw)))) // a hash never fails
	_, _ = h.Write(raw)
	return idText([sha256.Size]byte(h.Sum(nil)))
}

func appendParts(b []byte, parts []string) []byte {
	for _, part := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

func idText(sum [sha256.Size]byte) string {
	var text [2 * idBytes]byte
	hex.Encode(text[:], sum[:idBytes])
	return string(text[:])
}
