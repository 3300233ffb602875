// Command sink stores every stream of the bus in ClickHouse. See package sink.
package main

import (
	"os"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/sink"
)

func main() { os.Exit(app.Main(sink.Program())) }
