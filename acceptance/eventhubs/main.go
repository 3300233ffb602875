// Command eventhubs runs azeventhubs' own test suite, its live tests included, against the simulator. It builds and
// starts the simulator and Azurite on 127.0.0.2, runs the stages asked for, prints one line and exits non-zero if a
// test failed or was skipped that should not be. It writes to its work folder only and stops what it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// module is the module under test; its version is pinned in go.mod.
const module = "github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

// detaches is the one test that needs a fake of Resource Manager, stage 3.
const detaches = "TestConsumerClient_Detaches"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "simulator-acceptance: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("eventhubs", flag.ContinueOnError)
	chosen := flags.String("stages", "1,2,3", "stages to run: 1 no storage, 2 all with blob store, 3 Detaches with a fake Resource Manager")
	repo := flags.String("repo", "../..", "root of the project")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := filepath.Abs(*repo)
	if err != nil {
		return err
	}
	work := filepath.Join(root, "build", "acceptance", "eventhubs")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	if err := checkFree(); err != nil {
		return err
	}
	fmt.Println("simulator-acceptance: work folder", work)
	packages, err := compileTests(ctx)
	if err != nil {
		return err
	}
	sim, err := startSimulator(ctx, root, work)
	if err != nil {
		return err
	}
	defer sim.stop()

	var total tally
	for _, name := range strings.Split(*chosen, ",") {
		result, err := runStage(ctx, name, sim, packages)
		if err != nil {
			return fmt.Errorf("stage %s: %w", name, err)
		}
		fmt.Printf("simulator-acceptance: stage %s: %s\n", name, result.summary())
		total.add(result)
	}
	fmt.Printf("simulator-acceptance: %s\n", total.summary())
	if total.failed > 0 || len(total.skipped) > 0 {
		return errors.New("there are failures or skips; see the logs in the work folder")
	}
	return nil
}

func runStage(ctx context.Context, name string, sim *simulator, packages []string) (tally, error) {
	switch name {
	case "1":
		first, err := goTest(ctx, sim, job{
			log: "stage1", env: sim.env(false), packages: []string{module},
			run: `TestConsumerClient_(UsingWebSockets|DefaultAzureCredential|GetHub|Concurrent|SameEpoch|LowerEpochs|NoPrefetch|` +
				`ReceiveEvents|StartPosition|InstanceID|Recovery)|CustomEndpoint|TestProducerClient_|TestClientsUnauthorizedCreds`,
		})
		if err != nil {
			return first, err
		}
		second, err := goTest(ctx, sim, job{
			log: "stage1-internal", env: sim.env(false), packages: []string{module + "/internal"},
			run: "TestLink|TestRecoveryWithCancelled",
		})
		first.add(second)
		return first, err
	case "2":
		azurite, err := startAzurite(ctx, sim)
		if err != nil {
			return tally{}, err
		}
		defer azurite.stop()
		return goTest(ctx, sim, job{log: "stage2", env: sim.env(true), packages: packages, skip: detaches})
	case "3":
		env := append(sim.env(true), "HTTPS_PROXY=http://"+proxyAddress, "NO_PROXY=")
		return goTest(ctx, sim, job{log: "stage3", env: env, packages: []string{module}, run: detaches})
	}
	return tally{}, errors.New("no such stage")
}
