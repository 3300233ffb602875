package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

const (
	// changesMade are half of users and half of groups, changesAtOnce at a time.
	changesMade, changesAtOnce = 1000, 8
	// changedTitle is what changed users have for a job.
	changedTitle = "changed by the bench"
)

// latenciesOfChanges is how long each change took until it was in DIRECTORY, in order.
type latenciesOfChanges []time.Duration

// change changes half as many users as changesMade and adds a member to as many groups, and waits until all of that is in
// DIRECTORY.
func (w *graphWorld) change(ctx context.Context, tenantID string) (latenciesOfChanges, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxDuration, ErrTooSlow)
	defer cancel()
	users, err := w.objects(ctx, tenantID, "users", changesMade/2)
	if err != nil {
		return nil, err
	}
	groups, err := w.objects(ctx, tenantID, "groups", changesMade/2)
	if err != nil {
		return nil, err
	}
	consumer, err := w.product.bus.JetStream().OrderedConsumer(ctx, directoryv1.ObjectStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("reading DIRECTORY: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("reading DIRECTORY: %w", err)
	}
	defer messages.Stop()
	made := changed{at: map[string]time.Time{}}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(changesAtOnce)
	path := "/v1/entra/tenants/" + tenantID + "/directory/"
	for _, u := range users {
		group.Go(func() error {
			made.note("user", u.ID)
			return w.admin(working, http.MethodPatch, path+"users/"+u.ID, map[string]string{"jobTitle": changedTitle}, nil)
		})
	}
	for _, g := range groups {
		joins := users[slices.IndexFunc(users, func(u object) bool { return !slices.Contains(g.Members, member{u.ID}) })]
		group.Go(func() error {
			made.note("group_members", g.ID)
			return w.admin(working, http.MethodPut, path+"groups/"+g.ID+"/members/"+joins.ID, nil, nil)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return made.await(ctx, messages)
}

// changed is what was changed when, by kind and id.
type changed struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (c *changed) note(kind, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[kind+"/"+id] = time.Now()
}

// await reads DIRECTORY until all changes are there.
func (c *changed) await(ctx context.Context, messages jetstream.MessagesContext) (latenciesOfChanges, error) {
	var all latenciesOfChanges
	for len(c.at) > 0 {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("waiting for %d of %d changes: %w", len(c.at), changesMade, errors.Join(err, context.Cause(ctx)))
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("reading DIRECTORY: %w", err)
		}
		o := &directoryv1.Object{}
		if err := proto.Unmarshal(m.Data(), o); err != nil {
			return nil, fmt.Errorf("reading DIRECTORY: %w", err)
		}
		key := o.GetObject() + "/" + o.GetId()
		if o.GetObject() == "group_members" {
			key = o.GetObject() + "/" + o.GetGroupMembers().GetGroupId()
		}
		if o.GetObject() == "user" && o.GetUser().GetJobTitle() != changedTitle {
			continue
		}
		if at, waiting := c.at[key]; waiting {
			all = append(all, meta.Timestamp.Sub(at))
			delete(c.at, key)
		}
	}
	slices.Sort(all)
	return all, nil
}

// object is one of the simulator's.
type object struct {
	ID      string   `json:"id"`
	Members []member `json:"members"`
}

type member struct {
	ID string `json:"id"`
}

// objects returns the first n objects of a collection.
func (w *graphWorld) objects(ctx context.Context, tenantID, collection string, n int) ([]object, error) {
	response, err := w.ask(ctx, http.MethodGet, "/v1/entra/tenants/"+tenantID+"/truth/"+collection, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	all := make([]object, n)
	lines := json.NewDecoder(response.Body)
	for i := range all {
		if err := lines.Decode(&all[i]); err != nil {
			return nil, fmt.Errorf("reading %s: %w", collection, err)
		}
	}
	return all, nil
}

// requests is how many requests to Graph the simulator has counted.
func (w *graphWorld) requests(ctx context.Context) (n uint64, err error) {
	var counters []struct {
		Bucket   string `json:"bucket"`
		Requests uint64 `json:"requests"`
	}
	if err := w.admin(ctx, http.MethodGet, "/v1/entra/counters", nil, &counters); err != nil {
		return 0, err
	}
	for _, c := range counters {
		if c.Bucket != "login" {
			n += c.Requests
		}
	}
	return n, nil
}

var errAdmin = errors.New("the simulator's admin API refused")

// admin asks the simulator's admin API and reads the answer into answer, if it is not nil.
func (w *graphWorld) admin(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("asking the simulator: %w", err)
	}
	response, err := w.ask(ctx, method, path, text)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("asking the simulator: %w", err)
	}
	return nil
}

// ask returns an answer whose body the caller closes.
func (w *graphWorld) ask(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+w.announced.Admin+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the simulator: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+w.announced.AdminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the simulator: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, errors.Join(fmt.Errorf("%w: %s %s: %s", errAdmin, method, path, response.Status), response.Body.Close())
	}
	return response, nil
}
