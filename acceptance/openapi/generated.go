package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/entraflow/entraflow/acceptance/openapi/client"
)

// generated returns the examples as calls of the generated client, in the order of the README.
func generated(p *product) []func(context.Context) error {
	var calls []func(context.Context) error
	for _, call := range []func(context.Context, *client.ClientWithResponses) error{
		listIntegrations, failedSignIns, oneUser, collectNow, followEvents,
	} {
		calls = append(calls, func(ctx context.Context) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			return call(ctx, c)
		})
	}
	return calls
}

const integration = "simulated-1"

// refused says why there is no answer.
func refused(response *http.Response, body []byte) error {
	return fmt.Errorf("%s: %s", response.Status, body)
}

func listIntegrations(ctx context.Context, c *client.ClientWithResponses) error {
	answer, err := c.IntegrationServiceListIntegrationsWithResponse(ctx, nil)
	if err != nil {
		return err
	}
	if answer.JSON200 == nil || answer.JSON200.Integrations == nil {
		return refused(answer.HTTPResponse, answer.Body)
	}
	for _, i := range *answer.JSON200.Integrations {
		if i.Name != nil && *i.Name == "integrations/"+integration {
			return nil
		}
	}
	return errors.New("the integration is not listed")
}

func failedSignIns(ctx context.Context, c *client.ClientWithResponses) error {
	outcome, start, size := client.SIGNINOUTCOMEFAILURE, time.Now().UTC().Add(-24*time.Hour), int32(5)
	answer, err := c.SignInServiceSearchSignInsWithResponse(ctx, &client.SignInServiceSearchSignInsParams{
		FilterOutcome: &outcome, FilterStart: &start, PageSize: &size,
	})
	if err != nil {
		return err
	}
	if answer.JSON200 == nil || answer.JSON200.SignIns == nil {
		return refused(answer.HTTPResponse, answer.Body)
	}
	for _, event := range *answer.JSON200.SignIns {
		if event.OccurredAt == nil || event.OccurredAt.Before(start) || event.SignIn == nil {
			return fmt.Errorf("an event that was not asked for: %s", answer.Body)
		}
	}
	return nil
}

func oneUser(ctx context.Context, c *client.ClientWithResponses) error {
	answer, err := c.DirectoryServiceGetUserWithResponse(ctx, "ada.adler.1599@northwind2768.example", nil)
	if err != nil {
		return err
	}
	if answer.JSON200 == nil || answer.JSON200.User == nil || answer.JSON200.User.DisplayName == nil {
		return refused(answer.HTTPResponse, answer.Body)
	}
	if name := *answer.JSON200.User.DisplayName; name != "Ada Adler" {
		return fmt.Errorf("the user is called %s", name)
	}
	return nil
}

func collectNow(ctx context.Context, c *client.ClientWithResponses) error {
	id, types := "by-client", []string{"risk_detection"}
	asked, err := c.IntegrationServiceCollectNowWithResponse(ctx, integration, client.IntegrationServiceCollectNowJSONRequestBody{
		RequestId: &id, DataTypes: &types,
	})
	if err != nil {
		return err
	}
	if asked.JSON200 == nil {
		return refused(asked.HTTPResponse, asked.Body)
	}
	watched, err := c.ClientInterface.IntegrationServiceWatchRun(ctx, integration, id)
	if err != nil {
		return err
	}
	var state client.EntraflowControlV1RunState
	err = eachLine(watched, func(line []byte) (bool, error) {
		var chunk struct {
			Result struct{ Run client.EntraflowControlV1Run }
			Error  *client.GoogleRpcStatus
		}
		if err := json.Unmarshal(line, &chunk); err != nil {
			return false, err
		}
		if chunk.Error != nil || chunk.Result.Run.State == nil {
			return false, fmt.Errorf("the stream broke: %s", line)
		}
		state = *chunk.Result.Run.State
		return true, nil
	})
	if err == nil && state != client.RUNSTATESUCCEEDED {
		err = fmt.Errorf("the run ended as %s", state)
	}
	return err
}

// followEvents takes server-sent events, then goes on behind the first of them.
func followEvents(ctx context.Context, c *client.ClientWithResponses) error {
	filter := `event.kind == "signin"`
	params := &client.EventServiceSubscribeParams{Filter: &filter}
	id := ""
	for range 2 {
		response, err := c.ClientInterface.EventServiceSubscribe(ctx, params, func(_ context.Context, r *http.Request) error {
			r.Header.Set("Accept", "text/event-stream")
			r.Header.Set("Last-Event-ID", id)
			return nil
		})
		if err != nil {
			return err
		}
		if id, err = firstEvent(response); err != nil {
			return err
		}
	}
	return nil
}

func firstEvent(response *http.Response) (id string, err error) {
	found := false
	err = eachLine(response, func(line []byte) (bool, error) {
		if after, ok := strings.CutPrefix(string(line), "id: "); ok {
			id = after
		}
		data, ok := strings.CutPrefix(string(line), "data: ")
		if !ok {
			return true, nil
		}
		var got client.EntraflowControlV1SubscribeResponse
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			return false, err
		}
		found = got.Events != nil && len(*got.Events) > 0 && *(*got.Events)[0].Kind == "signin"
		return false, nil
	})
	if err == nil && !found {
		err = errors.New("the stream had no sign-in")
	}
	return id, err
}

// eachLine reads the lines of a stream until it ends or take has enough.
func eachLine(response *http.Response, take func(line []byte) (more bool, err error)) error {
	defer response.Body.Close() //nolint:errcheck // it was read as far as it is needed
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if more, err := take(lines.Bytes()); err != nil || !more {
			return err
		}
	}
	return lines.Err()
}
