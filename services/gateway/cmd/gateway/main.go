// Command gateway serves searches and live events over gRPC.
package main

import (
	"os"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/gateway"
)

func main() { os.Exit(app.Main(gateway.Program())) }
