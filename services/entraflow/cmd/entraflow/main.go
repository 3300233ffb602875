// Command entraflow is the whole product in one process. See package entraflow.
package main

import (
	"os"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/entraflow"
)

func main() { os.Exit(app.MainCommand(entraflow.Command)) }
