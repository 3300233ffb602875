package bus_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenant = "11111111-2222-3333-4444-555555555555"

// event returns an event of about size bytes, different for each n.
func event(n, size int) *eventv1.Event {
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = byte('a' + (i*7+n)%26)
	}
	id := bus.EventID(tenant, "signin", fmt.Sprint(n), nil)
	return &eventv1.Event{
		Id: id, TenantId: tenant, Integration: "contoso", Kind: "signin", Source: eventv1.Source_SOURCE_EVENT_HUB,
		SourceId: fmt.Sprint(n), Category: "SignInLogs",
		OccurredAt: timestamppb.New(time.Unix(1_700_000_000+int64(n), 0)), Raw: raw,
		Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{}},
	}
}

func messageID(n int) string { return bus.HubMessageID("ns", "hub", "0", int64(n), 0) }

// reportCPU reports the CPU of the whole process, client and server, for each operation: unlike the
// time that passes it says the same on a busy machine.
func reportCPU(b *testing.B) (stop func()) {
	b.Helper()
	used := func() time.Duration {
		var usage syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Microseconds())/float64(b.N), "cpu-us/op") }
}

func BenchmarkPublish(b *testing.B) {
	server := bustest.New(b)
	conn := server.Connect(b, bus.UserStreamer)
	publisher := bustest.Publisher(b, conn)
	e := event(1, 700)
	var failed atomic.Int64
	b.ReportAllocs()
	stop := reportCPU(b)
	for n := 0; b.Loop(); n++ {
		err := publisher.PublishAsync(b.Context(), e, bus.PublishOptions{MessageID: messageID(n)}, func(_ bus.Ack, err error) {
			if err != nil {
				failed.Add(1)
			}
		})
		require.NoError(b, err)
	}
	require.NoError(b, publisher.Wait(b.Context()))
	stop()
	require.Zero(b, failed.Load())
}

// listen makes a server listen where another one did.
func listen(url string) func(*natsserver.Config) {
	return func(c *natsserver.Config) { c.Listen = strings.TrimPrefix(url, "nats://") }
}
