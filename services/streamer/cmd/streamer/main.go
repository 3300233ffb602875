// Command streamer takes Entra records from Azure Event Hubs. See package streamer.
package main

import (
	"os"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/streamer"
)

func main() { os.Exit(app.Main(streamer.Program())) }
