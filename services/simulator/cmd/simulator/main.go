// Command simulator plays Microsoft's Event Hubs. See package simulator.
package main

import (
	"os"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/simulator"
)

func main() { os.Exit(app.MainCommand(simulator.Command)) }
