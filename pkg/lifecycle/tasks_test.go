package lifecycle_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/lifecycle"
)

func TestRunTasks(t *testing.T) {
	errBroken := errors.New("broken")
	waits := func(ended *bool) lifecycle.Task {
		return lifecycle.Task{What: "waiting", Run: func(ctx context.Context) error {
			<-ctx.Done()
			*ended = true
			return errBroken // too late to count
		}}
	}
	var ended bool
	err := lifecycle.RunTasks(t.Context(), waits(&ended), lifecycle.Task{What: "breaking", Run: func(context.Context) error { return errBroken }})
	require.EqualError(t, err, "breaking: broken")
	require.True(t, ended, "the others have ended")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended = false
	require.NoError(t, lifecycle.RunTasks(ctx, waits(&ended)))
	require.True(t, ended)
}
