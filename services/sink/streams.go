package sink

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/sink/internal/intake"
)

// handler stores a batch and says of each delivery what becomes of it.
type handler func(ctx context.Context, deliveries []*bus.Delivery)

// intakes says for each stream how its messages are stored. A stream of the topology that the sink
// reads and that is missing here keeps New from working.
func intakes() map[string]func(intake.Limits, intake.Settings) handler {
	return map[string]func(intake.Limits, intake.Settings) handler{
		eventv1.EventStream:        intakeOf(intake.Events()),
		directoryv1.ObjectStream:   intakeOf(intake.Objects()),
		eventv1.DeadLetterStream:   intakeOf(intake.DeadLetters()),
		controlv1.AuditEntryStream: intakeOf(intake.AuditEntries()),
	}
}

func intakeOf[M proto.Message](kind intake.Kind[M]) func(intake.Limits, intake.Settings) handler {
	return func(limits intake.Limits, set intake.Settings) handler { return intake.New(kind, limits, set).Handle }
}

// streams are the streams of the topology that the sink reads.
func streams() []string {
	var names []string
	for _, stream := range bus.Streams() {
		if _, ok := stream.Durable(bus.UserSink); ok {
			names = append(names, stream.Name)
		}
	}
	return names
}

// checkStreams returns an error for a stream that has no table.
func checkStreams() error {
	known := intakes()
	for _, name := range streams() {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("stream %s of the topology has no table", name)
		}
	}
	return nil
}
