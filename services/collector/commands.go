package collector

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/collector/internal/tenant"
)

// VerbCollect asks for a run.
const VerbCollect = "collect"

// commandHandler writes what is wanted into the bucket runs and does nothing else: the replica that has the tenant's
// lease sees it there. The same command twice asks once. A command for an integration that is gone, or that is not seen here
// yet, fails.
func commandHandler(set tenant.Settings) func(context.Context, *bus.Delivery) error {
	return func(ctx context.Context, d *bus.Delivery) error {
		command := &statev1.Command{}
		if err := d.Decode(command); err != nil {
			return err
		}
		if command.GetTarget() != bus.UserCollector || command.GetVerb() != VerbCollect {
			return bus.Permanent("command_unknown", fmt.Errorf("command %s for %s is unknown", command.GetVerb(), command.GetTarget()))
		}
		if _, err := set.Integrations.Get(ctx, command.GetIntegration()); err != nil {
			return err
		}
		run := &controlv1.Run{
			Name: runs.Name(command.GetIntegration(), command.GetId()), Trigger: controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND,
			State: controlv1.RunState_RUN_STATE_PENDING, CreateTime: command.GetCreateTime(), UpdateTime: command.GetCreateTime(),
			Since: command.GetSince(),
		}
		for _, id := range command.GetDataTypes() {
			run.DataTypes = append(run.DataTypes, &controlv1.DataTypeProgress{
				DataType: id, State: controlv1.RunState_RUN_STATE_PENDING, ThrottleWait: durationpb.New(0),
			})
		}
		if _, err := set.Runs.Create(ctx, run); err != nil && !errors.Is(err, runs.ErrExists) {
			return err
		}
		return nil
	}
}
