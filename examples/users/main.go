// Command users keeps a table of the users of all tenants from the stream DIRECTORY: everybody there is at first, then
// every change. It prints how many there are whenever it is up to date, and needs nothing of Entraflow but the proto module:
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

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	conn, err := nats.Connect(url,
		nats.UserInfo("reader", os.Getenv("NATS_PASSWORD")), nats.CustomInboxPrefix("_INBOX_reader"))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := follow(ctx, conn); err != nil {
		log.Fatal(err)
	}
}

func follow(ctx context.Context, conn *nats.Conn) error {
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	consumer, err := js.OrderedConsumer(ctx, directoryv1.ObjectStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{directoryv1.ObjectFilter("user", "", "")}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return err
	}
	users := map[string]*directoryv1.User{}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		var o directoryv1.Object
		if err := proto.Unmarshal(msg.Data(), &o); err != nil {
			return
		}
		if users[msg.Subject()] = o.GetUser(); o.GetDeleted() {
			delete(users, msg.Subject())
		}
		if meta, err := msg.Metadata(); err == nil && meta.NumPending == 0 {
			fmt.Println(len(users), "users")
		}
	})
	if err != nil {
		return err
	}
	defer consuming.Stop()
	<-ctx.Done()
	return nil
}
