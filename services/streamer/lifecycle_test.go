package streamer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/lifecycle/lifecycletest"
	"github.com/entraflow/entraflow/services/streamer"
)

func TestLifecycle(t *testing.T) {
	w := newWorld(t, 2)
	w.fill(0, 10, 10)
	lifecycletest.Run(t, func(t *testing.T) lifecycle.Service {
		t.Helper()
		s, err := streamer.New(w.config(), streamer.Settings{Settings: app.Settings{Logger: discard()}, Dial: w.dial})
		require.NoError(t, err)
		return s
	})
}

// TestLifecycleWithoutHub has nothing to reach: neither getting ready nor stopping waits for a hub.
func TestLifecycleWithoutHub(t *testing.T) {
	w := newWorld(t, 1)
	lifecycletest.Run(t, func(t *testing.T) lifecycle.Service {
		t.Helper()
		s, err := streamer.New(w.config(), streamer.Settings{Settings: app.Settings{Logger: discard()}, Dial: refuseDial})
		require.NoError(t, err)
		return s
	})
}
