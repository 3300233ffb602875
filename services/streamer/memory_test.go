package streamer_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// TestReconnectsKeepMemoryFlat renews connections over and over, in the ways that happen.
func TestReconnectsKeepMemoryFlat(t *testing.T) {
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 512
	cases := map[string]struct {
		rounds int
		hurt   func(*world)
	}{
		"connections cut": {50, func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultCut}) }},
		"links detached":  {50, func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultDetach}) }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			cfg := w.config()
			w.overTCP(&cfg) // a closed net.Pipe stays in memory until its deadlines are over
			r := w.start(cfg, noPipe)
			sent := 0
			rounds := func() {
				for range tc.rounds {
					w.fill(sent, 2, 1)
					sent += 2
					w.awaitStored(eventv1.EventStream, sent)
					tc.hurt(w)
				}
			}
			rounds()
			bytes, goroutines := footprint()
			rounds()
			bytesLater, goroutinesLater := footprint()
			t.Logf("%d bytes then %d, %d goroutines then %d, %v connections", bytes, bytesLater, goroutines, goroutinesLater,
				r.metric("entraflow_streamer_hub_connections_total"))
			require.Less(t, bytesLater-bytes, 1000*tc.rounds, "less than a kilobyte for each round")
			require.Less(t, goroutinesLater-goroutines, tc.rounds/10)
			r.wait()
			requireExactly(t, w.events(), 0, sent)
		})
	}
}

// footprint is the memory that the streamer and the SDK hold, without that of the servers in this process, and the
// number of goroutines; the least of some looks, since connections come and go.
func footprint() (bytes, goroutines int) {
	for range 20 {
		<-time.After(25 * time.Millisecond)
		runtime.GC()
		runtime.GC()
		records := make([]runtime.MemProfileRecord, 20_000)
		n, _ := runtime.MemProfile(records, false)
		sum := 0
		for _, r := range records[:n] {
			if ours(r.Stack()) {
				sum += int(r.InUseBytes())
			}
		}
		if bytes == 0 || sum < bytes {
			bytes = sum
		}
		if count := runtime.NumGoroutine(); goroutines == 0 || count < goroutines {
			goroutines = count
		}
	}
	return bytes, goroutines
}

// ours tells stacks that go through the streamer or its SDK.
func ours(stack []uintptr) bool {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		for _, part := range []string{"azeventhubs/v2", "go-amqp", "services/streamer/internal"} {
			if strings.Contains(f.Function, part) {
				return true
			}
		}
		if !more {
			return false
		}
	}
}
