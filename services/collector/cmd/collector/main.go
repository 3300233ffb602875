// Command collector reads the logs of Entra tenants through Microsoft Graph. See package collector.
package main

import (
	"os"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/collector"
)

func main() { os.Exit(app.Main(collector.Program())) }
