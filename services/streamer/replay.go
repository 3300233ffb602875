package streamer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// ErrTenantNotAllowed is returned for a dead letter of a tenant that the replay may not carry.
var ErrTenantNotAllowed = errors.New("tenant is not among those allowed")

// Replayer takes records that became dead letters as if they had just come from their hub: for when the
// decoder has learned to read them, or their tenant was allowed since.
type Replayer struct {
	// Publisher publishes as a user that may write EVENTS. The replayer does not close it.
	Publisher *bus.Publisher
	// Tenants are the directory ids whose records are taken, lower-case, or [AnyTenant]. With exactly one,
	// records that name no tenant are that tenant's.
	Tenants []string
	Clock   clock.Clock
}

// Replay decodes the bytes of a dead letter and publishes the events with the id and version they would
// have had, and returns once they are stored. It is a bus.ReplayOptions.Hub. It returns a *decode.Error for
// what still cannot be read and ErrTenantNotAllowed; the records before it are stored then.
func (r Replayer) Replay(ctx context.Context, letter *eventv1.DeadLetter, raw []byte) error {
	decoder := decode.New(decode.DefaultLimits())
	records := []decode.Record{{Raw: raw, Index: int(letter.GetHub().GetRecordIndex())}}
	if letter.GetHub().GetRecordIndex() < 0 {
		records = decoder.Split(raw)
	}
	for _, record := range records {
		if record.Err != nil {
			return fmt.Errorf("reading record %d: %w", record.Index, record.Err)
		}
		if err := r.replay(ctx, decoder, letter, record); err != nil {
			return fmt.Errorf("reading record %d: %w", record.Index, err)
		}
	}
	return nil
}

func (r Replayer) replay(ctx context.Context, decoder *decode.Decoder, letter *eventv1.DeadLetter, record decode.Record) error {
	place := letter.GetHub()
	origin := decode.Origin{
		Integration: letter.GetIntegration(), ObservedAt: r.Clock.Now(), Clock: place.GetEnqueuedAt().AsTime(),
		Partition: hub.PartitionNumber(place.GetPartition()), Sequence: place.GetSequenceNumber(), Index: record.Index,
	}
	if len(r.Tenants) == 1 && r.Tenants[0] != AnyTenant {
		origin.TenantID = r.Tenants[0]
	}
	event, err := decoder.HubRecord(record.Raw, origin)
	if err != nil {
		return err
	}
	if !slices.Contains(r.Tenants, AnyTenant) && !slices.Contains(r.Tenants, strings.ToLower(event.GetTenantId())) {
		return ErrTenantNotAllowed
	}
	// The id of the delivery that failed is in nobody's window, but a replay twice at once is one.
	_, err = r.Publisher.Publish(ctx, event, bus.PublishOptions{
		MessageID: "replay:" + letter.GetId() + ":" + strconv.Itoa(record.Index),
	})
	return err
}
