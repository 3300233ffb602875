package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
)

// Questions. Both are a TestRequest and are answered by a TestResponse.
const (
	// QuestionTestConnection asks the collector whether a tenant can be read.
	QuestionTestConnection = "test_connection"
	// QuestionTestHub asks the streamer whether an Event Hub can be read.
	QuestionTestHub = "test_hub"
)

const (
	// questionTimeout bounds how long an answer may take.
	questionTimeout = time.Minute
	// maxAnswering bounds the questions that one process answers at once; more are refused.
	maxAnswering = 32
	headerFault  = "Entraflow-Fault"
	faultBusy    = "busy"
	faultBad     = "unreadable"
	faultFailed  = "failed"
)

// Errors of asking.
var (
	// ErrNobodyAnswers is returned if no service that answers is connected, or it is too busy.
	ErrNobodyAnswers = errors.New("nobody answers")
	// ErrAnswerFailed is returned if the service has no answer because of a fault of its own, which its log has.
	ErrAnswerFailed = errors.New("the answering service failed")
)

// Question is a row of the topology: a short question whose answer a person waits for.
type Question struct {
	Name string
	// Answerer is the service that answers, in the process that NATS chooses of its.
	Answerer string
	// Askers are the users that may ask.
	Askers []string
}

func (q Question) subject() string { return "questions.v1." + q.Answerer + "." + q.Name }

func findQuestion(name string) (Question, bool) {
	i := slices.IndexFunc(Questions(), func(q Question) bool { return q.Name == name })
	if i < 0 {
		return Question{}, false
	}
	return Questions()[i], true
}

// Ask asks a question of the topology and reads the answer into answer. It waits until ctx is done, at most a
// minute.
func Ask(ctx context.Context, conn *Conn, name string, question, answer proto.Message) error {
	q, ok := findQuestion(name)
	if !ok {
		return fmt.Errorf("asking: no question %q in the topology", name)
	}
	data, err := proto.Marshal(question)
	if err != nil {
		return fmt.Errorf("asking %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	reply, err := conn.nats.RequestWithContext(ctx, q.subject(), data)
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("asking %s: %w", name, ErrNobodyAnswers)
	}
	if err != nil {
		return fmt.Errorf("asking %s: %w", name, err)
	}
	switch reply.Header.Get(headerFault) {
	case "":
	case faultBusy:
		return fmt.Errorf("asking %s: %w", name, ErrNobodyAnswers)
	default:
		return fmt.Errorf("asking %s: %w", name, ErrAnswerFailed)
	}
	if err := proto.Unmarshal(reply.Data, answer); err != nil {
		return fmt.Errorf("reading answer to %s: %w", name, err)
	}
	return nil
}

// Answer answers a question of the topology until ctx is done, then waits for the answers it is at. Q and A are
// the messages of question and answer. An error of handler is logged and is no answer.
func Answer[Q, A proto.Message](
	ctx context.Context, conn *Conn, name string, newQuestion func() Q, handler func(context.Context, Q) (A, error),
) error {
	q, ok := findQuestion(name)
	if !ok || q.Answerer != conn.Service() {
		return fmt.Errorf("answering: %s has no question %q in the topology", conn.Service(), name)
	}
	var answering sync.WaitGroup
	defer answering.Wait()
	free := make(chan struct{}, maxAnswering)
	reply := func(m *nats.Msg, data []byte, fault string) {
		answer := nats.NewMsg(m.Reply)
		answer.Data = data
		if fault != "" {
			answer.Header.Set(headerFault, fault)
		}
		if err := conn.nats.PublishMsg(answer); err != nil {
			conn.set.Logger.Warn("answering failed", slog.String("question", name), slog.Any("err", err))
		}
	}
	sub, err := conn.nats.QueueSubscribe(q.subject(), q.Answerer, func(m *nats.Msg) {
		select {
		case free <- struct{}{}:
		default:
			reply(m, nil, faultBusy)
			return
		}
		answering.Go(func() {
			defer func() { <-free }()
			question := newQuestion()
			if err := proto.Unmarshal(m.Data, question); err != nil {
				reply(m, nil, faultBad)
				return
			}
			ctx, cancel := context.WithTimeout(ctx, questionTimeout)
			defer cancel()
			answer, err := handler(ctx, question)
			if err == nil {
				var data []byte
				if data, err = proto.Marshal(answer); err == nil {
					reply(m, data, "")
					return
				}
			}
			conn.set.Logger.Error("a question has no answer", slog.String("question", name), slog.Any("err", err))
			reply(m, nil, faultFailed)
		})
	})
	if err != nil {
		return fmt.Errorf("answering %s: %w", name, err)
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // the connection may be closed already
	return nil
}
