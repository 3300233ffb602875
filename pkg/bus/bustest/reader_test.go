package bustest_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// follow is what a program outside writes: it needs nats.go and the module proto, nothing else.
func follow(url, password string, events chan<- *eventv1.Event) (*nats.Conn, error) {
	conn, err := nats.Connect(url, nats.UserInfo("reader", password), nats.CustomInboxPrefix("_INBOX_reader"))
	if err != nil {
		return nil, err
	}
	_, err = conn.Subscribe("events.v1.signin.>", func(m *nats.Msg) {
		event := new(eventv1.Event)
		if proto.Unmarshal(m.Data, event) == nil {
			events <- event
		}
	})
	return conn, err
}

func TestAReaderNeedsOnlyProto(t *testing.T) {
	b := bustest.New(t)
	events := make(chan *eventv1.Event, 1)
	conn, err := follow(b.Server.URL(), b.Server.Password(bus.UserReader).Reveal(), events)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Flush())

	publisher := bustest.Publisher(t, b.Connect(t, bus.UserStreamer))
	_, err = publisher.Publish(t.Context(), &eventv1.Event{Id: "1", Kind: "audit", TenantId: "t"}, bus.PublishOptions{})
	require.NoError(t, err)
	_, err = publisher.Publish(t.Context(), &eventv1.Event{Id: "2", Kind: "signin", TenantId: "t"}, bus.PublishOptions{})
	require.NoError(t, err)
	select {
	case event := <-events:
		require.Equal(t, "2", event.GetId())
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no event")
	}
}
