package connect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

const (
	verbCollect = "collect"
	verbSync    = "sync"
	// maxRunID is how long WatchRun takes the id of a run.
	maxRunID = 64
)

// CollectNow implements the method. The collector is asked for logs and directorysync for the directory, each by a run
// of its own, and both if no data type is named. The run that is returned has the id of the request: it is the
// collector's if that is asked. The directory's has DirectoryRun then.
func (s *Server) CollectNow(ctx context.Context, req *controlv1.CollectNowRequest) (*controlv1.CollectNowResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if record.Integration.GetEntra() == nil {
		return nil, errNoRuns
	}
	if err := s.checkCollect(ctx, record, req); err != nil {
		return nil, err
	}
	if record.Integration.GetDisabled() {
		return nil, errDisabled
	}
	id := req.GetRequestId()
	if id == "" {
		id = newID()
	}
	now := timestamppb.New(s.set.Clock.Now())
	for _, command := range commands(id, req) {
		command.TenantId, command.Integration, command.CreateTime = record.TenantID(), record.ID, now
		options := bus.PublishOptions{MessageID: record.ID + "/" + command.GetId()}
		if _, err := s.set.Publisher.Publish(ctx, command, options); err != nil {
			return nil, shown(err)
		}
	}
	return &controlv1.CollectNowResponse{Run: &controlv1.Run{
		Name: runs.Name(record.ID, id), Trigger: controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND,
		State: controlv1.RunState_RUN_STATE_PENDING, CreateTime: now, UpdateTime: now, Since: req.GetSince(),
	}}, nil
}

// commands are what a request asks of services; the first has the request's id.
func commands(id string, req *controlv1.CollectNowRequest) []*statev1.Command {
	var logs, directory []string
	for _, dataType := range req.GetDataTypes() {
		if info, known := entra.LookupDataType(entra.DataType(dataType)); known && info.Log {
			logs = append(logs, dataType)
		} else {
			directory = append(directory, dataType)
		}
	}
	all := len(req.GetDataTypes()) == 0
	var asked []*statev1.Command
	if all || len(logs) > 0 {
		asked = append(asked, &statev1.Command{Id: id, Target: bus.UserCollector, Verb: verbCollect, DataTypes: logs, Since: req.GetSince()})
	}
	if all || len(directory) > 0 {
		if len(asked) > 0 {
			id = DirectoryRun(id)
		}
		asked = append(asked, &statev1.Command{Id: id, Target: bus.UserDirectorySync, Verb: verbSync, DataTypes: directory})
	}
	return asked
}

// DirectoryRun is the id of the directory's run beside the collector's run of an id.
func DirectoryRun(id string) string {
	const prefix = bus.UserDirectorySync + "-"
	if len(prefix)+len(id) > maxRunID {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:maxRunID/4])
	}
	return prefix + id
}

// checkCollect refuses what cannot be collected: beside the data types that a test asks for, those may be named that the
// services have shown in the integration's status.
func (s *Server) checkCollect(ctx context.Context, record integrations.Record, req *controlv1.CollectNowRequest) error {
	if since := req.GetSince(); since != nil && (!since.IsValid() || since.AsTime().After(s.set.Clock.Now())) {
		return failure.NewInvalid("since", "must be a time in the past")
	}
	err := checkDataTypes("data_types", req.GetDataTypes())
	if err == nil {
		return nil
	}
	full, failed := s.full(ctx, record)
	if failed != nil {
		return failed
	}
	var others []string
	for _, id := range req.GetDataTypes() {
		shows := func(t *controlv1.DataTypeStatus) bool { return t.GetDataType() == id }
		if !slices.ContainsFunc(full.GetStatus().GetDataTypes(), shows) {
			others = append(others, id)
		}
	}
	return checkDataTypes("data_types", others)
}
