package hub

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// tryTimeout bounds a test.
	tryTimeout = 28 * time.Second
	// attachWait is how long an event is waited for. Whatever is wrong with the group shows at once; an empty partition
	// says nothing.
	attachWait = 4 * time.Second
	// maxShown bounds the partitions whose newest event is told.
	maxShown = 32
)

// TrySettings are what a test is given.
type TrySettings struct {
	// Dial, if set, makes the connections; the network is not looked at then.
	Dial Dialer
	// Reach opens a connection to see whether it can be; nil is net.Dialer's.
	Reach func(ctx context.Context, network, address string) (net.Conn, error)
	Clock clock.Clock
}

// Try connects anew, within 30 s, and reports whether the hub can be read as the config says, and if not why and what
// helps. It reads at most one event and saves no position. It may run beside a Hub of the same config.
func Try(ctx context.Context, cfg Config, set TrySettings) *controlv1.ConnectionReport {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if set.Reach == nil {
		set.Reach = (&net.Dialer{}).DialContext
	}
	partitions, fault := try(ctx, cfg, set)
	if fault != nil {
		return fault.report(set.Clock.Now())
	}
	report := &controlv1.ConnectionReport{
		Connected: true, Headline: news(partitions), TestTime: timestamppb.New(set.Clock.Now()),
	}
	for _, p := range partitions {
		title := "Partition " + p.PartitionID + ": nothing yet"
		if !p.IsEmpty {
			title = "Partition " + p.PartitionID + ": newest event " + p.LastEnqueuedOn.UTC().Format(time.RFC3339)
		}
		report.DataTypes = append(report.DataTypes, &controlv1.DataTypeReport{
			DataType: "partition." + p.PartitionID, Title: title, Enabled: true,
			Availability: controlv1.Availability_AVAILABILITY_AVAILABLE,
		})
	}
	return report
}

// Unusable is the report of what cannot even be tried.
func Unusable(err error, now time.Time) *controlv1.ConnectionReport {
	return faultOf(err).report(now)
}

func try(ctx context.Context, cfg Config, set TrySettings) ([]azeventhubs.PartitionProperties, *fault) {
	if err := cfg.Validate(); err != nil {
		return nil, faultOf(err)
	}
	if cfg.Token != nil {
		if _, err := cfg.Token.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{tokenScope}}); err != nil {
			return nil, faultOf(entra.Classify(err))
		}
	}
	if set.Dial == nil {
		if cause, reached := cfg.reach(ctx, set.Reach); !reached {
			return nil, newFault(cause, "")
		}
	}
	client, err := cfg.connect(set.Dial, &azeventhubs.ConsumerClientOptions{
		InstanceID: "entraflow-test", RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1},
	})
	if err != nil {
		return nil, newFault(CauseConnectionInvalid, "")
	}
	defer closeClient(ctx, client)
	byToken := cfg.ConnectionString.IsZero()
	hub, err := client.GetEventHubProperties(ctx, nil)
	if err != nil {
		return nil, newFault(causeOf(err, askingHub, byToken))
	}
	partitions, err := ask(ctx, client, hub.PartitionIDs)
	if err != nil {
		return nil, newFault(causeOf(err, askingHub, byToken))
	}
	if err := attach(ctx, client, newest(partitions).PartitionID); err != nil {
		return nil, newFault(causeOf(err, readingGroup, byToken))
	}
	return partitions, nil
}

// ask asks how each partition is, up to maxShown, all at once.
func ask(ctx context.Context, client *azeventhubs.ConsumerClient, ids []string) ([]azeventhubs.PartitionProperties, error) {
	ids = ids[:min(len(ids), maxShown)]
	all, errs := make([]azeventhubs.PartitionProperties, len(ids)), make([]error, len(ids))
	var asking sync.WaitGroup
	for i, id := range ids {
		asking.Go(func() { all[i], errs[i] = client.GetPartitionProperties(ctx, id, nil) })
	}
	asking.Wait()
	slices.SortFunc(all, func(a, b azeventhubs.PartitionProperties) int {
		return PartitionNumber(a.PartitionID) - PartitionNumber(b.PartitionID)
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// attach reads in the consumer group for a moment.
func attach(ctx context.Context, client *azeventhubs.ConsumerClient, partition string) error {
	earliest := true
	reader, err := client.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{
		StartPosition: azeventhubs.StartPosition{Earliest: &earliest}, Prefetch: -1,
	})
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, attachWait)
	defer cancel()
	_, err = reader.ReceiveEvents(waiting, 1, nil)
	closing, cancelClosing := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancelClosing()
	_ = reader.Close(closing) // the connection ends at once
	known, ok := errors.AsType[*azeventhubs.Error](err)
	switch {
	case ok && known.Code == azeventhubs.ErrorCodeOwnershipLost:
		return nil // a reader with precedence is there, such as our own: so there is a group, and it may be read
	case waiting.Err() != nil && ctx.Err() == nil:
		return nil // nothing to read
	default:
		return err
	}
}

// newest returns the partition with the newest event, or the first.
func newest(partitions []azeventhubs.PartitionProperties) azeventhubs.PartitionProperties {
	var found azeventhubs.PartitionProperties
	for i, p := range partitions {
		if i == 0 || !p.IsEmpty && (found.IsEmpty || p.LastEnqueuedOn.After(found.LastEnqueuedOn)) {
			found = p
		}
	}
	return found
}

// news says what is in the hub.
func news(partitions []azeventhubs.PartitionProperties) string {
	p := newest(partitions)
	if p.IsEmpty || p.PartitionID == "" {
		return "Connected! Nothing has arrived yet: that is normal for up to a day after diagnostic settings were made."
	}
	return "Connected! The newest event is of " + p.LastEnqueuedOn.UTC().Format("2006-01-02 15:04:05") + " UTC, in partition " +
		p.PartitionID + " of " + strconv.Itoa(len(partitions)) + "."
}

// fault is why a hub cannot be read.
type fault struct {
	headline string
	problem  *controlv1.Problem
}

func newFault(cause Cause, code string) *fault {
	text := cause.text()
	return &fault{text.headline, &controlv1.Problem{
		Cause: string(cause), Code: code, Detail: text.headline + ".", Remedy: text.remedy,
	}}
}

// faultOf is for what is wrong before the hub was asked: it names the keys, or Entra's cause.
func faultOf(err error) *fault {
	if said, ok := errors.AsType[*entra.Error](err); ok {
		return &fault{said.Cause.Headline(), &controlv1.Problem{
			Cause: string(said.Cause), Code: said.Code, Detail: said.Detail, Remedy: said.Remedy, RequestId: said.RequestID,
		}}
	}
	f := newFault(CauseConnectionInvalid, "")
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		faults := make([]string, len(invalid.Problems))
		for i, p := range invalid.Problems {
			faults[i] = p.Key + " " + p.Text
		}
		f.problem.Detail = f.headline + ": " + strings.Join(faults, "; ") + "."
	}
	return f
}

func (f *fault) report(now time.Time) *controlv1.ConnectionReport {
	return &controlv1.ConnectionReport{Headline: f.headline, Problem: f.problem, TestTime: timestamppb.New(now)}
}
