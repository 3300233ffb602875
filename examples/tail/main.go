// Command tail prints the sign-ins of the stream EVENTS from its beginning on, and then as they come.
// It needs nothing of Entraflow but the proto module:
//
//	NATS_PASSWORD=$(cat data/credentials/nats-reader.password) go run .
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := tail(ctx); err != nil {
		log.Fatal(err)
	}
}

func tail(ctx context.Context) error {
	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	conn, err := nats.Connect(url,
		nats.UserInfo("reader", os.Getenv("NATS_PASSWORD")), nats.CustomInboxPrefix("_INBOX_reader"))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	consumer, err := js.OrderedConsumer(ctx, eventv1.EventStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{eventv1.EventFilter("signin", "")},
	})
	if err != nil {
		return err
	}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		var event eventv1.Event
		if err := proto.Unmarshal(msg.Data(), &event); err == nil {
			fmt.Println(event.GetOccurredAt().AsTime(), event.GetSignIn().GetUserPrincipalName())
		}
	})
	if err != nil {
		return err
	}
	defer consuming.Stop()
	<-ctx.Done()
	return nil
}
