// Command directorysync keeps the directories of Entra tenants up to date. See package directorysync.
package main

import (
	"os"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/directorysync"
)

func main() { os.Exit(app.Main(directorysync.Program())) }
