package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

// fanOutWorld is NATS and the gateway, each a process.
type fanOutWorld struct {
	dir     string
	product product // of which the process is NATS
	gateway *proc.Process
	token   config.Secret
	conns   []*grpc.ClientConn
}

func newFanOutWorld(ctx context.Context, o Options) (_ *fanOutWorld, err error) {
	w := &fanOutWorld{}
	if w.dir, err = os.MkdirTemp("", "entraflow-bench-"); err != nil {
		return nil, fmt.Errorf("making folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	credentials := filepath.Join(w.dir, "credentials")
	var at announcement
	if w.product.process, err = w.start(ctx, o, ChildBus, &at); err != nil {
		return nil, err
	}
	if err := w.product.openBus(ctx, at.NATS, credentials); err != nil {
		return nil, err
	}
	if w.gateway, err = w.start(ctx, o, ChildGateway, &at, busEnv+"="+at.NATS); err != nil {
		return nil, err
	}
	if w.token, err = config.ReadSecret(filepath.Join(credentials, "gateway.token")); err != nil {
		return nil, err
	}
	for range subscribers / perConnection {
		conn, err := grpc.NewClient(at.Gateway, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithReadBufferSize(clientReadBuffer))
		if err != nil {
			return nil, fmt.Errorf("calling the gateway: %w", err)
		}
		w.conns = append(w.conns, conn)
	}
	return w, nil
}

func (w *fanOutWorld) start(ctx context.Context, o Options, kind string, at *announcement, env ...string) (*proc.Process, error) {
	p, err := proc.Start(ctx, proc.Command{Path: o.Self, Args: []string{"child", kind, w.dir}, Env: env, Log: o.Log})
	if err != nil {
		return nil, err
	}
	if err := p.Announced(ctx, at); err != nil {
		return nil, errors.Join(err, p.Stop(stopBudget))
	}
	return p, nil
}

func (w *fanOutWorld) close() error {
	var errs []error
	for _, conn := range w.conns {
		errs = append(errs, conn.Close())
	}
	if w.gateway != nil {
		errs = append(errs, w.gateway.Stop(stopBudget))
	}
	if w.product.process != nil {
		errs = append(errs, w.product.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// usage returns what the gateway, NATS and this process used.
func (w *fanOutWorld) usage() (used [3]proc.Usage, err error) {
	var errs [3]error
	used[0], errs[0] = w.gateway.Used()
	used[1], errs[1] = w.product.process.Used()
	used[2], errs[2] = proc.Self()
	return used, errors.Join(errs[:]...)
}

// subscribe returns once the subscription stands.
func (w *fanOutWorld) subscribe(
	ctx context.Context, n int, req *controlv1.SubscribeRequest,
) (grpc.ServerStreamingClient[controlv1.SubscribeResponse], error) {
	client := controlv1.NewEventServiceClient(w.conns[n%len(w.conns)])
	stream, err := client.Subscribe(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+w.token.Reveal()), req)
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	return stream, nil
}

// publish publishes events at an even rate until ctx is done. Each says when.
func (w *fanOutWorld) publish(ctx context.Context, got *received) error {
	publisher, err := bus.NewPublisher(w.product.bus)
	if err != nil {
		return err
	}
	defer publisher.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to lose
	ticker := time.NewTicker(publishEvery)
	defer ticker.Stop()
	began := time.Now()
	for n := 0; ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for ; n < int(time.Since(began).Seconds()*published); n++ {
			event := sampleEvent(n)
			err := publisher.PublishAsync(ctx, event, bus.PublishOptions{}, func(bus.Ack, error) {
				if got.counting.Load() {
					got.acked.add(time.Since(event.GetObservedAt().AsTime()))
				}
			})
			if err != nil {
				return err
			}
		}
	}
}

// sampleEvent is a sign-in of 1.1 KB as the streamer decodes it.
func sampleEvent(n int) *eventv1.Event {
	raw := record(n, sizeCommon, time.Now())
	number := n / subscribedTenants
	return &eventv1.Event{
		Id: fmt.Sprintf("%032x", n), TenantId: numbered(1, n%subscribedTenants), Integration: "bench", Kind: "signin",
		Source: eventv1.Source_SOURCE_EVENT_HUB, SourceId: numbered(3, n), Category: "SignInLogs", Version: uint64(n),
		OccurredAt: timestamppb.Now(), ObservedAt: timestamppb.Now(), Raw: []byte(raw),
		Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{
			UserId: numbered(4, n%20_000), UserPrincipalName: fmt.Sprintf("user%d@example.com", n%20_000), UserType: "member",
			Type: eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE, EventTypes: []string{"interactiveUser"}, IsInteractive: new(true),
			AppId: numbered(5, 1), AppDisplayName: "Azure Portal", ResourceId: numbered(6, 1), ResourceDisplayName: "Microsoft Graph",
			ClientAppUsed: "Browser", UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
			Device:    &eventv1.Device{Id: numbered(7, n%20_000), OperatingSystem: "MacOs", Browser: "Safari 18.0"},
			IpAddress: fmt.Sprintf("203.0.113.%d", n%250), Location: &eventv1.Location{City: "Stockholm", Country: "SE"},
			ErrorCode: new(int64(number % 2)), ConditionalAccessStatus: "success", AuthenticationRequirement: "multiFactorAuthentication",
			CorrelationId: numbered(8, n), AutonomousSystemNumber: new(uint32(64496)),
		}},
	}
}
