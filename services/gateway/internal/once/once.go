// Package once makes requests with a request_id idempotent (https://google.aip.dev/155): the same request of the same
// caller, within a day, is done once and has one answer.
//
// It keeps answers in the bucket requests, without what their messages call secret, under a keyed hash of caller, method and id, with a
// keyed hash of the request beside it; nothing else of a request is kept.
package once

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

const (
	// abandoned is when a request without an answer may be made again: its gateway died. No method takes so long.
	abandoned = 2 * time.Minute
	// storeTimeout bounds each step of the bookkeeping.
	storeTimeout = 5 * time.Second
	// maxAnswer bounds an answer that is kept; a larger one is not, and the request is done anew.
	maxAnswer = 256 << 10
)

var (
	errReused = grpcserver.NewError(codes.InvalidArgument, "REQUEST_ID_REUSED",
		"request_id: was used for another request", "take a new request_id for each request, and the same one only to repeat it")
	errUnderWay = grpcserver.NewError(codes.Aborted, "REQUEST_UNDER_WAY",
		"the request with this request_id is under way", "repeat it in some seconds for its answer")
	errAway = grpcserver.NewError(codes.Unavailable, "BUS_UNAVAILABLE",
		"NATS cannot be reached", "try again in some seconds; the gateway's log has the cause")
)

// Requests remembers requests. It is safe for concurrent use.
type Requests struct {
	// Bucket returns the bucket requests.
	Bucket func(context.Context) (jetstream.KeyValue, error)
	// Key keeps anyone who reads the bucket from guessing requests.
	Key   []byte
	Clock clock.Clock
}

// Once implements grpcserver.Settings.Once: requests without a request_id are done each time.
func (r *Requests) Once(
	ctx context.Context, call *grpcserver.Call, handle func(context.Context) (any, error),
) (any, error) {
	id := requestID(call.Request)
	if id == "" {
		return handle(ctx)
	}
	kv, err := r.Bucket(ctx)
	if err != nil {
		return nil, errAway.Because(err)
	}
	digest, err := r.digest(call.Request)
	if err != nil {
		return nil, err
	}
	key := hex.EncodeToString(r.mac(scope(call.Identity, call.Method, id)...))
	revision, earlier, err := r.claim(ctx, kv, key, &statev1.StoredRequest{
		Method: call.Method, RequestHash: digest, BeginTime: timestamppb.New(r.Clock.Now()),
	})
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		// The repetition is about what the first was about.
		grpcserver.Touch(ctx, earlier.GetTenantIds()...)
		grpcserver.Name(ctx, earlier.GetTarget())
		return answerOf(earlier, digest)
	}
	var answer any
	err = errBroken
	defer func() { // after a panic, too
		r.settle(ctx, kv, key, revision, &statev1.StoredRequest{
			Method: call.Method, RequestHash: digest, BeginTime: timestamppb.New(r.Clock.Now()), Done: true,
			TenantIds: call.Touched(), Target: call.Target(),
		}, answer, err)
	}()
	answer, err = handle(ctx)
	return answer, err
}

var errBroken = errors.New("the method did not return")

// scope is what a request_id is its caller's own within: whoever may less than when it was used does not get its answer.
func scope(caller grpcserver.Identity, method, id string) []string {
	parts := []string{caller.Subject, caller.APIToken, caller.Role.String(), strconv.FormatBool(caller.AllTenants), method, id}
	return append(parts, caller.Tenants...)
}

// claim takes the key, or returns what an earlier request left there.
func (r *Requests) claim(
	ctx context.Context, kv jetstream.KeyValue, key string, claim *statev1.StoredRequest,
) (revision uint64, earlier *statev1.StoredRequest, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	value, err := proto.Marshal(claim)
	if err != nil {
		return 0, nil, fmt.Errorf("encoding a request: %w", err)
	}
	revision, err = kv.Create(ctx, key, value)
	if err == nil {
		return revision, nil, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return 0, nil, errAway.Because(err)
	}
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, nil, errUnderWay // it failed just now, and its key is gone
	}
	if err != nil {
		return 0, nil, errAway.Because(err)
	}
	earlier = &statev1.StoredRequest{}
	if err := proto.Unmarshal(entry.Value(), earlier); err != nil {
		return 0, nil, fmt.Errorf("decoding a request: %w", err)
	}
	if earlier.GetDone() || r.Clock.Now().Sub(earlier.GetBeginTime().AsTime()) < abandoned ||
		!hmac.Equal(earlier.GetRequestHash(), claim.GetRequestHash()) {
		return 0, earlier, nil
	}
	revision, err = kv.Update(ctx, key, value, entry.Revision())
	if bus.WrongRevision(err) {
		return 0, nil, errUnderWay
	}
	if err != nil {
		return 0, nil, errAway.Because(err)
	}
	return revision, nil, nil
}

// answerOf returns the answer of an earlier request.
func answerOf(earlier *statev1.StoredRequest, digest []byte) (any, error) {
	switch {
	case !hmac.Equal(earlier.GetRequestHash(), digest):
		return nil, errReused
	case !earlier.GetDone():
		return nil, errUnderWay
	}
	var kept anypb.Any
	if err := proto.Unmarshal(earlier.GetResponse(), &kept); err != nil {
		return nil, fmt.Errorf("decoding an answer: %w", err)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByURL(kept.GetTypeUrl())
	if err != nil {
		return nil, fmt.Errorf("decoding an answer: %w", err)
	}
	answer := kind.New().Interface()
	if err := kept.UnmarshalTo(answer); err != nil {
		return nil, fmt.Errorf("decoding an answer: %w", err)
	}
	return answer, nil
}

// settle keeps an answer, or gives the id free again after an error. If it fails, the request counts as under way for two
// minutes and may be made again then: what it did is known to its method, which refuses what is there already.
func (r *Requests) settle(
	ctx context.Context, kv jetstream.KeyValue, key string, revision uint64, done *statev1.StoredRequest, answer any, failed error,
) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	var value []byte
	err := failed
	if err == nil { // else the answer is a nil of its type
		value, err = encode(done, answer)
	}
	if err != nil || len(value) > maxAnswer {
		_ = kv.Purge(ctx, key, jetstream.LastRevision(revision))
		return
	}
	_, _ = kv.Update(ctx, key, value, revision)
}

func encode(done *statev1.StoredRequest, answer any) ([]byte, error) {
	message, ok := answer.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("encoding an answer: a %T is no message", answer)
	}
	message = proto.Clone(message)
	if f := stringField(message.ProtoReflect(), "secret"); f != nil {
		message.ProtoReflect().Clear(f)
	}
	kept, err := anypb.New(message)
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	if done.Response, err = proto.Marshal(kept); err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	value, err := proto.Marshal(done)
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	return value, nil
}

func requestID(request proto.Message) string {
	if request == nil {
		return ""
	}
	if f := stringField(request.ProtoReflect(), "request_id"); f != nil {
		return request.ProtoReflect().Get(f).String()
	}
	return ""
}

func stringField(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	f := m.Descriptor().Fields().ByName(name)
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return nil
	}
	return f
}

func (r *Requests) digest(request proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	return r.mac("request", string(data)), nil
}

// mac hashes parts, each with its length before it.
func (r *Requests) mac(parts ...string) []byte {
	mac := hmac.New(sha256.New, r.Key)
	for _, part := range parts {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return mac.Sum(nil)
}
