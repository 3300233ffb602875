package runs

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

// Handler handles the commands of a verb to the store's service. It writes what is wanted as a run and does nothing else:
// the replica that has the integration's lease sees it there (Keeper.Asked). The same command twice asks once. A command
// for an integration of which exists returns an error fails; one with another verb is permanently refused, and one to
// another service is left to that.
func (s *Store) Handler(verb string, exists func(ctx context.Context, integration string) error) func(context.Context, *bus.Delivery) error {
	return func(ctx context.Context, d *bus.Delivery) error {
		command := &statev1.Command{}
		if err := d.Decode(command); err != nil {
			return err
		}
		if command.GetTarget() != s.service {
			return nil // every service has a durable of its own on the stream
		}
		if command.GetVerb() != verb {
			return bus.Permanent("command_unknown", fmt.Errorf("command %s for %s is unknown", command.GetVerb(), command.GetTarget()))
		}
		if err := exists(ctx, command.GetIntegration()); err != nil {
			return err
		}
		if _, err := s.Create(ctx, wanted(command)); err != nil && !errors.Is(err, ErrExists) {
			return err
		}
		return nil
	}
}

// wanted is the run that a command asks for.
func wanted(command *statev1.Command) *controlv1.Run {
	run := &controlv1.Run{
		Name: Name(command.GetIntegration(), command.GetId()), Trigger: controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND,
		State: controlv1.RunState_RUN_STATE_PENDING, CreateTime: command.GetCreateTime(), UpdateTime: command.GetCreateTime(),
		Since: command.GetSince(),
	}
	for _, id := range command.GetDataTypes() {
		run.DataTypes = append(run.DataTypes, &controlv1.DataTypeProgress{
			DataType: id, State: controlv1.RunState_RUN_STATE_PENDING, ThrottleWait: durationpb.New(0),
		})
	}
	return run
}
