package bus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

// metrics are the same for every user of a registry. The label service tells them apart where one
// process runs several.
type metrics struct {
	connected, inFlight, inFlightBytes, gateClosed *prometheus.GaugeVec
	asyncErrors, published, duplicates, retries    *prometheus.CounterVec
	refused, delivered, settled, dead, deadRefused *prometheus.CounterVec
	trimmed, blobs                                 *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := telemetry.NewMetrics(registerer, "bus")
	made := &metrics{
		connected:     m.Gauge("connection_up", "1 while connected to NATS.", "service"),
		inFlight:      m.Gauge("in_flight_messages", "Published messages that wait for their PubAck.", "service"),
		inFlightBytes: m.Gauge("in_flight_bytes", "Bytes of published messages that wait for their PubAck.", "service"),
		gateClosed:    m.Gauge("gate_closed", "1 while producers must not take more for the stream.", "service", "stream"),

		asyncErrors: m.Counter("connection_errors", "Errors that NATS reported outside a call.", "service"),
		published:   m.Counter("published_messages", "Messages the server acknowledged.", "service", "stream"),
		duplicates:  m.Counter("duplicate_messages", "Messages the server had already.", "service", "stream"),
		retries:     m.Counter("publish_retries", "Publications tried again, by cause.", "service", "cause"),
		refused:     m.Counter("refused_messages", "Messages that could not be published.", "service", "stream"),
		delivered:   m.Counter("delivered_messages", "Messages delivered, redeliveries too.", "stream", "durable"),
		settled:     m.Counter("settled_messages", "Messages settled, by how: ack, retry, dead.", "stream", "durable", "how"),
		dead:        m.Counter("dead_letters", "Dead letters stored, by reason.", "service", "origin", "reason"),
		deadRefused: m.Counter("dead_letter_failures", "Dead letters that could not be handled and stay in DEAD alone.", "durable", "reason"),
		trimmed:     m.Counter("trimmed_messages", "Messages removed after every required durable had them.", "stream"),
		blobs:       m.Counter("blob_bytes", "Bytes put into the object store.", "service"),
	}
	return made, m.Err()
}

// consumeCounters are the metrics of one durable, found once and not for every message.
type consumeCounters struct{ acked, retried, dead, delivered prometheus.Counter }

func newConsumeCounters(m *metrics, stream, durable string) consumeCounters {
	return consumeCounters{
		delivered: m.delivered.WithLabelValues(stream, durable),
		acked:     m.settled.WithLabelValues(stream, durable, "ack"),
		retried:   m.settled.WithLabelValues(stream, durable, "retry"),
		dead:      m.settled.WithLabelValues(stream, durable, "dead"),
	}
}
